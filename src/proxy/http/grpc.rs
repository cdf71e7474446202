//! gRPC over HTTP/2: how a call is told, and how it is said no to.

use http::{
    HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TE},
    request::Parts,
    uri::Scheme,
};

use super::{messages::CallBody, pool::UpstreamError};

/// How a call ended; zero is well.
pub const STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Why, for a person.
pub const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// What calls and answers are.
pub const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");

/// Whether a request is a call of gRPC: HTTP/2, and one of the two names of what can be read here. What is behind a
/// semicolon no client sends.
pub fn is_call(version: Version, headers: &HeaderMap) -> bool {
    if version != Version::HTTP_2 {
        return false;
    }
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (first, second) = (types.next(), types.next());
    let is_known = |value: &HeaderValue| matches!(value.as_bytes(), b"application/grpc" | b"application/grpc+proto");
    first.is_some_and(is_known) && second.is_none()
}

/// The status of gRPC that stands for one of HTTP.
pub fn status(status: StatusCode) -> HeaderValue {
    HeaderValue::from_static(match status {
        StatusCode::UNAUTHORIZED => "16",
        StatusCode::FORBIDDEN => "7",
        StatusCode::PAYLOAD_TOO_LARGE => "8",
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => "4",
        StatusCode::NOT_IMPLEMENTED => "12",
        status if status.is_client_error() => "3",
        _ => "14",
    })
}

/// A sentence as `grpc-message` carries it: what is not plain ASCII, and the percent sign, in percent-encoding.
pub fn message(text: &str) -> HeaderValue {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    // Plain ASCII by now.
    HeaderValue::try_from(out).unwrap_or(HeaderValue::from_static("refused"))
}

/// A call as HTTP/2 wants it. How long the body is may have changed, and need not be said.
pub fn outgoing(mut parts: Parts, body: CallBody, scheme: Scheme) -> Result<Request<CallBody>, UpstreamError> {
    let host = parts.headers.remove(HOST).ok_or(UpstreamError::Broken)?;
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(TE, HeaderValue::from_static("trailers"));
    let mut uri = parts.uri.into_parts();
    uri.scheme = Some(scheme);
    uri.authority = Some(host.as_bytes().try_into().map_err(|_| UpstreamError::Broken)?);
    parts.uri = Uri::from_parts(uri).map_err(|_| UpstreamError::Broken)?;
    parts.version = Version::HTTP_2;
    Ok(Request::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_is_a_call() {
        for (version, types, expected) in [
            (Version::HTTP_2, &["application/grpc"][..], true),
            (Version::HTTP_2, &["application/grpc+proto"], true),
            (Version::HTTP_11, &["application/grpc"], false),
            (Version::HTTP_2, &["application/grpc+json"], false),
            (Version::HTTP_2, &["application/grpc-web"], false),
            (Version::HTTP_2, &["application/json"], false),
            (Version::HTTP_2, &["application/grpc", "application/json"], false),
            (Version::HTTP_2, &[], false),
        ] {
            let types = types.iter().map(|text| (CONTENT_TYPE, HeaderValue::from_static(text)));
            let headers: HeaderMap = types.clone().fold(HeaderMap::new(), |mut all, (name, value)| {
                all.append(name, value);
                all
            });
            assert_eq!(is_call(version, &headers), expected, "{version:?} {headers:?}");
        }
    }

    #[test]
    fn messages_are_encoded() {
        assert_eq!(message("100 % \"no\" – é\n"), "100 %25 \"no\" %E2%80%93 %C3%A9%0A");
    }

    #[test]
    fn each_status_has_one_of_grpc() {
        for (http, grpc) in [(401, "16"), (403, "7"), (400, "3"), (415, "3"), (413, "8"), (408, "4"), (504, "4")] {
            assert_eq!(StatusCode::from_u16(http).map(status).ok(), Some(HeaderValue::from_static(grpc)), "{http}");
        }
        for (http, grpc) in [(501, "12"), (503, "14"), (502, "14"), (500, "14")] {
            assert_eq!(StatusCode::from_u16(http).map(status).ok(), Some(HeaderValue::from_static(grpc)), "{http}");
        }
    }
}
