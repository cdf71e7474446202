//! What a request's body decides, where the head alone does not.

use http::{HeaderValue, header::CONTENT_LENGTH, request::Parts};
use hyper::body::Incoming;

use super::{
    admit::{Admitted, Stop},
    audit::Record,
    content::{self, Content},
    refuse,
    serve::GuardConnection,
};
use crate::proxy::http::{
    answer::Refusal,
    body::RequestBody,
    collect::{CollectError, MAX_REQUEST},
};

impl GuardConnection {
    /// The body as it goes on: streamed where the head decided, else read as a whole and decided, by the policy that is in
    /// force by then.
    pub(super) async fn read(
        &self,
        parts: &mut Parts,
        body: Incoming,
        admitted: &mut Admitted,
        authorization: Option<&HeaderValue>,
    ) -> Result<RequestBody, Refusal> {
        if !admitted.is_in_body {
            return Ok(RequestBody::Incoming(body));
        }
        // Not reached: whoever needs no token needs no model either.
        let known = admitted.caller.clone().ok_or_else(refuse::no_policy)?;
        let noted = |refusal: Refusal| {
            let principal = Some(&known.verified.principal);
            self.record("refused", refusal.reason(), &Record { principal, ..Record::default() });
            refusal
        };
        content::check_head(parts).map_err(noted)?;
        let mut held = self.worker.bodies().collect(body, MAX_REQUEST).await.map_err(|error| match error {
            CollectError::NoMemory => self.stop("unavailable", refuse::collect(error)),
            _ => noted(refuse::collect(error)),
        })?;
        let body = std::mem::take(&mut held.bytes);
        let view = self.guard.view();
        let policy = self.policy(&view).map_err(Stop::into_refusal)?;
        let (route, body) = match self.route(policy, parts)? {
            Some(route) if route.is_in_body() => {
                let Content { route, body } = content::read(body, route, policy).map_err(noted)?;
                (Some(route), body)
            }
            // The policy is another one by now, and says by itself what this route touches.
            other => (other, body),
        };
        // The body may have taken half a minute: the token counts as of now.
        let trust = view.trust.as_ref().ok_or_else(refuse::no_policy)?;
        let caller =
            self.authenticate(policy, trust, route.as_ref(), authorization, false).map_err(Stop::into_refusal)?;
        self.authorize(&view, policy, &caller, route.as_ref()).map_err(Stop::into_refusal)?;
        admitted.caller = Some(caller);
        admitted.listing = route.and_then(|route| route.listing);
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Ok(RequestBody::Full(held.keep(body)))
    }
}
