//! Websockets: opened as a call is, kept for as long as the caller may.

use http::{HeaderValue, Method, Response, Uri, request::Parts};
use hyper::body::{Body, Incoming};

use super::{admit::Admitted, refuse, serve::GuardConnection, state::PolicyState, travel::Travel};
use crate::{
    core::{
        policy::decide,
        protocol::{Need, Route},
    },
    proxy::{
        http::{
            answer::Refusal,
            body::AnswerBody,
            connect::Origin,
            hygiene::Side,
            tunnel::Tunnel,
            websocket::{Handshake, Opened},
        },
        usage::Place,
    },
};

/// What is asked again while a websocket is open.
struct Permit {
    connection: GuardConnection,
    /// Nobody on a public route.
    authorization: Option<HeaderValue>,
    uri: Uri,
    /// Its place among its client's calls, until it ends.
    _place: Option<Place>,
}

impl GuardConnection {
    /// Opens an admitted websocket on a connection of its own.
    pub(super) async fn open(
        &self,
        mut parts: Parts,
        body: &Incoming,
        admitted: Admitted,
        authorization: Option<HeaderValue>,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let Admitted { port, caller, endpoint, place, .. } = admitted;
        // Not reached: what travels as a websocket has a handshake.
        let handshake = parts.extensions.remove::<Handshake>().ok_or_else(refuse::handshake_with_body)?;
        if !body.is_end_stream() {
            return Err(self.stop("refused", refuse::handshake_with_body()));
        }
        let uri = parts.uri.clone();
        self.introduce(&mut parts.headers, caller.as_deref(), endpoint);
        let opened = handshake.open(&Origin::loopback(port), parts, Side::Guard).await;
        let Opened { response, upgraded } = opened.map_err(|error| self.failed(refuse::upstream(error, port)))?;
        if let Some(upgraded) = upgraded {
            let permit = Permit { connection: self.detached(), authorization, uri, _place: place };
            self.flow.switch(Tunnel::new(upgraded, move || permit.still_holds()));
        }
        Ok(response)
    }
}

impl Permit {
    /// Whether the websocket would be opened now: by the policy in force, with the token that opened it. A yes is not
    /// counted again; a no is a decision as any other.
    fn still_holds(&self) -> bool {
        let Self { connection, authorization, uri, .. } = self;
        let view = connection.guard.view();
        let PolicyState::Active(policy) = &view.policy else { return false };
        let Ok(Some(route)) = connection.route_of(policy, Travel::WebSocket, &Method::GET, uri) else { return false };
        if route.need == Need::Public {
            return true;
        }
        let Some(trust) = &view.trust else { return false };
        let Ok(caller) = connection.authenticate(policy, trust, Some(&route), authorization.as_ref(), false) else {
            return false;
        };
        let principal = &caller.verified.principal;
        let asks = principal.caller();
        let now = connection.guard.clock().now();
        let holds = match &route {
            Route { need: Need::Permission(permission), models, .. } => {
                decide::decide(policy, &asks, permission, models, now).is_ok()
            }
            Route { .. } => false,
        };
        // Asked once more where it is written down.
        holds || connection.authorize(&view, policy, &caller, Some(&route)).is_ok()
    }
}
