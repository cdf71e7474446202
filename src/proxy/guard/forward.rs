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
    core::policy::decide,
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
        let Admitted { port, caller, endpoint, listing, .. } = admitted;
        self.introduce(&mut parts.headers, caller.as_deref(), endpoint);
        if listing.is_some() {
            content::ask_for_list(&mut parts.headers);
        }
        parts.version = Version::HTTP_11;
        let request = Request::from_parts(parts, body);
        let sent = self.worker.loopback_pool(port).send(request, started).await;
        let response = match sent {
            Ok(mut response) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
                hygiene::clean_response(response.headers_mut(), hygiene::Side::Guard);
                response
            }
            // Nobody asked for another protocol.
            Ok(_) => return Err(self.failed(refuse::upstream(UpstreamError::Broken, port))),
            Err(error) => return Err(self.failed(refuse::upstream(error, port))),
        };
        match (listing, caller) {
            (None, _) => Ok(response),
            (Some(listing), Some(caller)) => {
                let cut = content::cut_list(response, listing, |model| self.may_use(&caller, model)).await;
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

    /// Whether a list of models shows this one to the caller.
    fn may_use(&self, caller: &Caller, model: &str) -> bool {
        let view = self.guard.view();
        let PolicyState::Active(policy) = &view.policy else { return false };
        let principal = &caller.verified.principal;
        let asks = decide::Caller { client: &principal.client, roles: &principal.roles };
        decide::may_use(policy, &asks, model, self.guard.clock().now())
    }
}
