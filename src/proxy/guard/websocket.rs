//! Websockets: opened as a call is, kept for as long as the caller may.

use std::rc::Rc;

use http::{HeaderValue, Method, Response, Uri, header::SEC_WEBSOCKET_EXTENSIONS, request::Parts};
use hyper::body::{Body, Incoming};

use super::{
    admit::{Admitted, Stop},
    identity::Caller,
    refuse,
    serve::GuardConnection,
    session::{End, Named, POLICY_VIOLATION, Session},
    state::PolicyState,
    travel::Travel,
};
use crate::{
    core::{
        policy::decide,
        protocol::{ModelUse, Need, Route, Wire},
    },
    proxy::{
        http::{
            answer::Refusal,
            body::AnswerBody,
            connect::Origin,
            hygiene::Side,
            pool::UpstreamError,
            tunnel::Tunnel,
            websocket::{Handshake, Opened},
        },
        usage::Place,
    },
};

/// What is asked again while a websocket is open.
pub(super) struct Permit {
    pub connection: GuardConnection,
    /// Nobody on a public route.
    caller: Option<Rc<Caller>>,
    authorization: Option<HeaderValue>,
    uri: Uri,
    /// What it has named, where its messages do.
    pub named: Named,
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
        let Admitted { port, caller, endpoint, place, wire, .. } = admitted;
        // Not reached: what travels as a websocket has a handshake.
        let handshake = parts.extensions.remove::<Handshake>().ok_or_else(refuse::handshake_with_body)?;
        if !body.is_end_stream() {
            return Err(self.stop("refused", refuse::handshake_with_body()));
        }
        let is_read = wire == Wire::Session;
        if is_read {
            // With an extension messages could come in a form that is not read here.
            parts.headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        }
        let uri = parts.uri.clone();
        self.introduce(&mut parts.headers, caller.as_deref(), endpoint);
        let opened = handshake.open(&Origin::loopback(port), parts, Side::Guard).await;
        let Opened { response, upgraded } = opened.map_err(|error| self.failed(refuse::upstream(error, port)))?;
        let Some(upgraded) = upgraded else { return Ok(response) };
        if is_read && response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
            return Err(self.failed(refuse::upstream(UpstreamError::Broken, port)));
        }
        let named = if is_read { self.named_by_query(&uri)? } else { Named::default() };
        let permit = Permit { connection: self.detached(), caller, authorization, uri, named, _place: place };
        let permit = Rc::new(permit);
        let asked = Rc::clone(&permit);
        let tunnel = Tunnel::new(upgraded, move || asked.still_holds());
        self.flow.switch(if is_read { tunnel.inspected(Box::new(Session::new(permit))) } else { tunnel });
        Ok(response)
    }
}

impl GuardConnection {
    fn named_by_query(&self, uri: &Uri) -> Result<Named, Refusal> {
        let view = self.guard.view();
        let policy = self.policy(&view).map_err(Stop::into_refusal)?;
        let route = self.route_of(policy, Travel::WebSocket, &Method::GET, uri)?;
        Ok(Named::by_query(route.as_ref().map(|route| &route.models)))
    }
}

impl Permit {
    /// Whether a message may go on that touches these models, by the policy in force.
    pub fn may(&self, models: ModelUse<'_>) -> Result<(), End> {
        let Self { connection, authorization, uri, .. } = self;
        let decided = || {
            let view = connection.guard.view();
            let policy = connection.policy(&view)?;
            let trust = view.trust.as_ref().ok_or_else(refuse::no_policy)?;
            let route = connection.route_of(policy, Travel::WebSocket, &Method::GET, uri)?;
            let caller = connection.authenticate(policy, trust, route.as_ref(), authorization.as_ref(), false)?;
            connection.authorize(&view, policy, &caller, route.map(|route| Route { models, ..route }).as_ref())
        };
        decided().map_err(|stop: Stop| End::Noted(POLICY_VIOLATION, stop.into_refusal().reason()))
    }

    /// Notes what cannot be read.
    pub fn refused(&self, refusal: Refusal) {
        match &self.caller {
            Some(caller) => self.connection.unreadable(caller, refusal),
            None => self.connection.stop("refused", refusal),
        };
    }

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
        let Need::Permission(permission) = route.need else { return false };
        // What a session's query does not name, its messages have named by now, or name before they go on.
        let models = if route.is_in_body() { &ModelUse::None } else { &route.models };
        let denied = self.named.denied(policy, &asks, permission, now);
        let holds = denied.is_none() && decide::decide(policy, &asks, permission, models, now).is_ok();
        let route = denied.map_or_else(|| route.clone(), |models| Route { models, ..route.clone() });
        // Asked once more where it is written down.
        holds || connection.authorize(&view, policy, &caller, Some(&route)).is_ok()
    }
}
