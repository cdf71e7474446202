//! One outgoing call: the token is added, the rest passes.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use super::{
    refuse,
    slot::Held,
    state::{Destination, EgressState, EgressView, TargetState},
    token,
};
use crate::{
    core::{graph::is_below, name::Ref, path::CanonicalPath, policy::decide::Denial},
    proxy::{
        handles,
        http::{
            answer::{REASON, Refusal, Shape},
            body::{AnswerBody, RequestBody},
            flow::Flow,
            grpc,
            hygiene::{self, HygieneError},
            pool::UpstreamError,
            serve::Handler,
            websocket::Handshake,
        },
        worker::Worker,
    },
};

/// The largest request body that is kept for a second try, in bytes.
const REPLAYABLE: u64 = 64 * 1024;

/// One connection from the application.
pub struct EgressConnection {
    /// The thread's belongings.
    pub worker: Rc<Worker>,
    /// The outbound half.
    pub egress: Arc<EgressState>,
    /// The connection's state.
    pub flow: Rc<Flow>,
    /// The loopback port that was called.
    pub listen: u16,
}

/// A request ready to be sent, maybe more than once.
struct Call {
    parts: Parts,
    body: CallBody,
    /// On whose behalf.
    handle: Option<HeaderValue>,
}

enum CallBody {
    Once(Option<Incoming>),
    Replayable(Bytes),
    /// A call of gRPC; nothing once it was sent.
    Call(Option<Incoming>),
    /// A websocket, and the nothing that its handshake has for a body.
    Websocket(Handshake, Incoming),
}

impl Handler for EgressConnection {
    async fn handle(&self, request: Request<Incoming>, started: Instant) -> Response<AnswerBody> {
        let shape = if grpc::is_call(request.version(), request.headers()) { Shape::Grpc } else { Shape::Plain };
        let (target, identity) = match self.target() {
            Ok(found) => found,
            Err(refusal) => return self.refuse(None, refusal.shaped(shape)),
        };
        match self.call(&target, &identity, request, started).await {
            Ok(mut response) => {
                // That of a handshake was made here.
                if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    hygiene::clean_response(response.headers_mut(), hygiene::Side::Egress);
                }
                self.egress.count(Some(&target), "answered");
                response
            }
            Err(refusal) => self.refuse(Some(&target), refusal.shaped(shape)),
        }
    }

    fn too_slow(&self) -> Refusal {
        refuse::too_slow()
    }

    fn patience(&self) -> Duration {
        self.worker.upstream_timeout()
    }
}

impl EgressConnection {
    fn target(&self) -> Result<(Arc<TargetState>, Ref), Refusal> {
        match &**self.egress.view() {
            EgressView::Missing => Err(refuse::not_configured()),
            EgressView::Deleted => Err(refuse::deleted()),
            EgressView::Active { identity, targets } => {
                let found = targets.iter().find(|state| state.target().listen == self.listen);
                let found = found.ok_or_else(refuse::port_not_served)?;
                Ok((Arc::clone(found), identity.clone()))
            }
        }
    }

    fn refuse(&self, target: Option<&TargetState>, refusal: Refusal) -> Response<AnswerBody> {
        self.egress.count(target, refusal.reason());
        refusal.into_response()
    }

    async fn call(
        &self,
        target: &TargetState,
        identity: &Ref,
        request: Request<Incoming>,
        started: Instant,
    ) -> Result<Response<AnswerBody>, Refusal> {
        if token::is_asked(&request) {
            return self.give_token(target, identity, &request).await;
        }
        check_path(target, request.uri().path())?;
        let mut call = self.prepare(target, request).await?;
        let kept = call.handle.take().map(|handle| self.egress.on_behalf_of(&handle, target));
        let kept = kept.transpose().map_err(refuse::handle)?;
        let bearer = kept.as_ref().map(|(kept, _)| &*kept.inbound.bearer);
        let slot = kept.as_ref().map_or_else(|| target.slot(), |(_, slot)| slot);
        let token = slot.get().await.map_err(|error| refuse::no_token(error, identity, target, bearer))?;
        let response = self.send(target, &mut call, &token, started).await?;
        if !wants_fresh_token(&response) {
            return Ok(response);
        }
        // Also where the body is gone: the next call then has a token that does.
        let Some(fresh) = slot.replace(&token).await else { return Ok(response) };
        match call.body {
            CallBody::Once(_) | CallBody::Call(_) => Ok(response),
            CallBody::Replayable(_) | CallBody::Websocket(..) => self.send(target, &mut call, &fresh, started).await,
        }
    }

    /// The token itself, to the application that asks for it in the way that only it can.
    async fn give_token(
        &self,
        target: &TargetState,
        identity: &Ref,
        request: &Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Refusal> {
        if let Some(violation) = self.flow.violation() {
            return Err(Refusal::ambiguous(violation.into(), format!("Refused: {violation}.")));
        }
        token::check(request, target.target().offers_token)?;
        let slot = target.slot();
        let held = slot.get().await.map_err(|error| refuse::no_token(error, identity, target, None))?;
        // What Keycloak gave is text.
        token::answer(&held.authorization, slot.lasts(&held)).ok_or_else(refuse::not_configured)
    }

    /// The application's own `Authorization` goes: it is a placeholder that a
    /// client library insists on, and must never be mistaken for ours.
    async fn prepare(&self, target: &TargetState, request: Request<Incoming>) -> Result<Call, Refusal> {
        if let Some(violation) = self.flow.violation() {
            return Err(Refusal::ambiguous(violation.into(), format!("Refused: {violation}.")));
        }
        let (mut parts, body) = request.into_parts();
        // Before the cleaning, which takes all fields of this kind out.
        let handle = handles::take(&mut parts.headers).map_err(refuse::handle)?;
        let ambiguous = |error: HygieneError| Refusal::ambiguous((&error).into(), format!("Refused: {error}."));
        if parts.version == Version::HTTP_2 {
            hygiene::as_http1(&mut parts).map_err(ambiguous)?;
        }
        let websocket = hygiene::clean_request(&mut parts.headers).map_err(ambiguous)?.websocket;
        let is_websocket = parts.method == Method::GET && parts.version == Version::HTTP_11;
        if websocket.is_some() && !is_websocket {
            return Err(ambiguous(HygieneError::UpgradeRefused));
        }
        let is_call = grpc::is_call(parts.version, &parts.headers);
        parts.headers.insert(header::HOST, target.resource().host().clone());
        parts.version = Version::HTTP_11;
        let body = match body.size_hint().exact() {
            _ if is_call => CallBody::Call(Some(body)),
            _ if let Some(handshake) = websocket => CallBody::Websocket(handshake, body),
            Some(size) if size <= REPLAYABLE => {
                let whole = body
                    .collect()
                    .await
                    .map_err(|_| Refusal::ambiguous("body_broken", "The request's body broke off before its end."))?;
                CallBody::Replayable(whole.to_bytes())
            }
            _ => CallBody::Once(Some(body)),
        };
        Ok(Call { parts, body, handle })
    }

    async fn send(
        &self,
        target: &TargetState,
        call: &mut Call,
        token: &Held,
        started: Instant,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let mut parts = call.parts.clone();
        parts.headers.insert(header::AUTHORIZATION, token.authorization.clone());
        let body = match &mut call.body {
            CallBody::Call(body) => return self.call_once(target, parts, body.take()).await,
            CallBody::Websocket(handshake, body) => return self.open(target, handshake, parts, body).await,
            CallBody::Once(body) => body.take().map_or(RequestBody::Full(Bytes::new()), RequestBody::Incoming),
            CallBody::Replayable(bytes) => RequestBody::Full(bytes.clone()),
        };
        let pool = self.worker.target_pool(target);
        match pool.send(Request::from_parts(parts, body), started).await {
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                Err(refuse::upstream(UpstreamError::Broken, target))
            }
            Ok(response) => Ok(response),
            Err(error) => Err(refuse::upstream(error, target)),
        }
    }
}

/// What lies beside the path of a target outside the cluster may be somebody else's, who is not to have the token.
fn check_path(target: &TargetState, path: &str) -> Result<(), Refusal> {
    let Destination::External { path: prefix } = target.to() else { return Ok(()) };
    if prefix.is_empty() {
        return Ok(());
    }
    let canonical = CanonicalPath::parse(path);
    let canonical = canonical.map_err(|error| Refusal::ambiguous((&error).into(), format!("Refused: {error}.")))?;
    if is_below(canonical.as_str(), prefix) { Ok(()) } else { Err(refuse::path_not_listed(target)) }
}

/// 401: the token is not taken (any more). 403 with the guard's `role_missing`:
/// there is a grant that is younger than the token; `bearer_not_granted`: there may be, for the roles in the token alone say
/// what a person holds.
fn wants_fresh_token(response: &Response<AnswerBody>) -> bool {
    let may_help = [Denial::RoleMissing, Denial::BearerNotGranted].map(<&'static str>::from);
    let lacks_role = || response.headers().get(REASON).is_some_and(|reason| may_help.iter().any(|code| reason == code));
    match (response.status(), response.headers().get(grpc::STATUS).map(HeaderValue::as_bytes)) {
        (StatusCode::UNAUTHORIZED, _) | (StatusCode::OK, Some(b"16")) => true,
        (StatusCode::FORBIDDEN, _) | (StatusCode::OK, Some(b"7")) => lacks_role(),
        _ => false,
    }
}
