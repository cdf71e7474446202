//! What a request's body decides, where the head alone does not.

use http::{HeaderValue, header::CONTENT_LENGTH, request::Parts};
use hyper::body::Incoming;

use super::{
    admit::{Admitted, Stop},
    content::{self, Content},
    refuse,
    serve::GuardConnection,
};
use crate::proxy::http::{answer::Refusal, body::RequestBody, collect::CollectError};

impl GuardConnection {
    /// A body that decides, read as a whole: by the policy that is in force by then.
    pub(super) async fn read(
        &self,
        parts: &mut Parts,
        body: Incoming,
        admitted: &mut Admitted,
        authorization: Option<&HeaderValue>,
    ) -> Result<RequestBody, Refusal> {
        // Not reached: whoever needs no token needs no model either.
        let known = admitted.caller.clone().ok_or_else(refuse::no_policy)?;
        let noted = |refusal| self.unreadable(&known, refusal);
        let most = {
            let view = self.guard.view();
            let policy = self.policy(&view).map_err(Stop::into_refusal)?;
            let route = self.route(policy, parts)?.ok_or_else(|| noted(refuse::unknown_route(policy)))?;
            content::check_head(parts, &route).map_err(noted)?;
            content::most(&route)
        };
        let mut held = self.worker.bodies().collect(body, most).await.map_err(|error| match error {
            CollectError::NoMemory => self.stop("unavailable", refuse::collect(error, most)),
            _ => noted(refuse::collect(error, most)),
        })?;
        let body = std::mem::take(&mut held.bytes);
        let view = self.guard.view();
        let policy = self.policy(&view).map_err(Stop::into_refusal)?;
        let Content { route, replaced } = match self.route(policy, parts)? {
            Some(route) if route.is_in_body() => content::read(parts, &body, route, policy).map_err(noted)?,
            // The policy is another one by now, and says by itself what this route touches.
            other => Content { route: other, replaced: None },
        };
        // The body may have taken half a minute: the token counts as of now.
        let trust = view.trust.as_ref().ok_or_else(refuse::no_policy)?;
        let caller =
            self.authenticate(policy, trust, route.as_ref(), authorization, false).map_err(Stop::into_refusal)?;
        self.authorize(&view, policy, &caller, route.as_ref()).map_err(Stop::into_refusal)?;
        let listing = route.and_then(|route| route.listing);
        let body = replaced.unwrap_or(body);
        admitted.caller = Some(caller);
        admitted.listing = listing;
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Ok(RequestBody::Full(held.keep(body)))
    }
}
