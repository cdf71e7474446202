//! How a request came, beside how its route is served.

use http::{Method, request::Parts};

use crate::{
    core::protocol::{WEBSOCKET, Wire},
    proxy::http::{grpc, websocket::Handshake},
};

/// How a request travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Travel {
    /// A request of HTTP, whatever its version.
    Http,
    /// A call of gRPC.
    Grpc,
    /// The handshake of a websocket.
    WebSocket,
}

impl Travel {
    /// What a request whose form was checked is.
    pub fn of(parts: &Parts) -> Self {
        if parts.extensions.get::<Handshake>().is_some() {
            Self::WebSocket
        } else if parts.method == Method::POST && grpc::is_call(parts.version, &parts.headers) {
            Self::Grpc
        } else {
            Self::Http
        }
    }

    /// The method that it is looked up by.
    pub fn method(self, method: &Method) -> &str {
        match self {
            Self::Http | Self::Grpc => method.as_str(),
            Self::WebSocket => WEBSOCKET,
        }
    }

    /// Whether a route is served in this way.
    pub fn fits(self, wire: Wire) -> bool {
        match wire {
            Wire::Http => self == Self::Http,
            Wire::Grpc(_) => self == Self::Grpc,
            Wire::WebSocket | Wire::Session => self == Self::WebSocket,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Request, Version, header::CONTENT_TYPE};

    use super::*;
    use crate::core::protocol::Messages;

    fn request(method: Method, version: Version) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        (parts.method, parts.version) = (method, version);
        parts
    }

    #[test]
    fn a_way_is_told_by_the_head_and_fits_one_wire() {
        let mut call = request(Method::POST, Version::HTTP_2);
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        assert_eq!(Travel::of(&call), Travel::Grpc);
        call.method = Method::GET;
        assert_eq!(Travel::of(&call), Travel::Http);
        // Its name alone makes no websocket.
        let Ok(method) = Method::from_bytes(WEBSOCKET.as_bytes()) else { panic!("a method") };
        assert_eq!(Travel::of(&request(method, Version::HTTP_11)), Travel::Http);
        let ways = [Travel::Http, Travel::Grpc, Travel::WebSocket];
        let wires = [Wire::Http, Wire::Grpc(Messages::One), Wire::WebSocket];
        for (at, way) in ways.iter().enumerate() {
            for (other, wire) in wires.iter().enumerate() {
                assert_eq!(way.fits(*wire), at == other, "{way:?} {wire:?}");
            }
        }
    }
}
