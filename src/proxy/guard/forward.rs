//! On to the application, and its answer back.

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, request::Parts};
use tokio::time::Instant;

use super::{
    admit::Admitted,
    content,
    identity::{self, Caller},
    refuse,
    serve::GuardConnection,
    state::PolicyState,
};
use crate::{
    core::{
        body::listing::Listing,
        policy::{decide, document::Protocol},
    },
    proxy::http::{
        answer::Refusal,
        body::{AnswerBody, RequestBody},
        hygiene,
        pool::UpstreamError,
    },
};

impl GuardConnection {
    /// Sends an admitted call on.
    pub(super) async fn forward(
        &self,
        mut parts: Parts,
        body: RequestBody,
        admitted: Admitted,
        started: Instant,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let Admitted { port, caller, endpoint, listing, protocol, place, .. } = admitted;
        self.introduce(&mut parts.headers, caller.as_deref(), endpoint);
        if listing.is_some() {
            content::ask_for_list(&mut parts.headers);
        }
        if matches!(protocol, Protocol::Mcp | Protocol::MlFlow) {
            identity::call_locally(&mut parts.headers, port);
        }
        let session = caller.as_ref().filter(|_| protocol == Protocol::Mcp);
        if let Some(caller) = session {
            self.enter_session(&mut parts.headers, caller)?;
        }
        parts.version = Version::HTTP_11;
        let request = Request::from_parts(parts, body);
        let sent = self.worker.loopback_pool(port).send(request, started).await;
        let mut response = match sent {
            Ok(mut response) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
                hygiene::clean_response(response.headers_mut(), hygiene::Side::Guard);
                response
            }
            // Nobody asked for another protocol.
            Ok(_) => return Err(self.failed(refuse::upstream(UpstreamError::Broken, port))),
            Err(error) => return Err(self.failed(refuse::upstream(error, port))),
        };
        if let (Some(caller), Some(sessions)) = (session, self.guard.sessions()) {
            sessions.leave(response.headers_mut(), &caller.verified.principal);
        }
        match (listing, caller) {
            (None, _) => Ok(response.map(|body| body.holding(place))),
            (Some(Listing::AgentCard), _) => {
                let base = self.external_url();
                Box::pin(content::move_card(response, base.as_deref())).await.map_err(|refusal| self.failed(refusal))
            }
            (Some(listing), Some(caller)) => {
                let cut = content::cut_list(response, listing, |model| self.may_use(&caller, listing, model));
                let cut = Box::pin(cut).await;
                cut.map_err(|refusal| self.failed(refusal))
            }
            // Not reached: a list has a caller.
            (Some(_), None) => Err(self.failed(refuse::list())),
        }
    }

    /// Tells the application who calls, and whom.
    pub(super) fn introduce(&self, headers: &mut HeaderMap, caller: Option<&Caller>, endpoint: Option<HeaderValue>) {
        if let Some(caller) = caller {
            caller.write(headers);
        }
        if let Some(endpoint) = endpoint {
            headers.insert(identity::ENDPOINT, endpoint);
        }
        headers.insert(identity::FORWARDED_FOR, self.peer.clone());
    }

    /// A session is the caller's, or there is none.
    fn enter_session(&self, headers: &mut HeaderMap, caller: &Caller) -> Result<(), Refusal> {
        let sessions = self.guard.sessions().ok_or_else(refuse::session_unknown)?;
        sessions.enter(headers, &caller.verified.principal).map_err(|refusal| self.unreadable(caller, refusal))
    }

    /// Where the endpoint is called from outside.
    fn external_url(&self) -> Option<String> {
        match &self.guard.view().policy {
            PolicyState::Active(policy) => policy.resource.as_ref().map(|resource| resource.url.clone()),
            PolicyState::Missing | PolicyState::Deleted => None,
        }
    }

    /// Whether a list shows this model to the caller.
    fn may_use(&self, caller: &Caller, listing: Listing, model: &str) -> bool {
        let view = self.guard.view();
        let PolicyState::Active(policy) = &view.policy else { return false };
        let principal = &caller.verified.principal;
        let asks = principal.caller();
        decide::may_use(policy, &asks, listing.permission(), model, self.guard.clock().now())
    }
}
