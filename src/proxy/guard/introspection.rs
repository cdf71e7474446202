//! Tokens that count only while the issuer says so: decided after the token was verified, before anything else is.

use std::sync::Arc;

use http::HeaderValue;

use super::{admit::Stop, audit::Record, identity::Caller, refuse, serve::GuardConnection, state::View};
use crate::{
    core::{policy::compiled::CompiledPolicy, protocol::Route},
    proxy::{
        http::answer::Refusal,
        tokens::{
            compact,
            introspect::{Introspector, Verdict},
        },
    },
};

impl GuardConnection {
    /// Whether the issuer lets the token count, by what it said last or has just been asked; a reason to ask where it is not
    /// known. Nothing to look at where the policy does not ask for it.
    pub(super) fn introspected(
        &self,
        view: &View,
        policy: &CompiledPolicy,
        route: Option<&Route<'_>>,
        (caller, authorization): (&Caller, Option<&HeaderValue>),
        said: Option<Verdict>,
    ) -> Result<(), Stop> {
        let Some(introspector) = &view.introspector else { return Ok(()) };
        let token = authorization.and_then(|field| compact::bearer(field.as_bytes()).ok()).unwrap_or_default();
        let known = said.or_else(|| introspector.known(token));
        let (decision, reason, refusal) = match known {
            None => return Err(Stop::Introspect(Arc::clone(introspector))),
            Some(Verdict::Active) => return Ok(()),
            Some(Verdict::Inactive) => ("denied", "token_inactive", refuse::bad_token(policy, route)),
            Some(Verdict::Unknown) => ("unavailable", "introspection_unavailable", unavailable()),
        };
        let principal = Some(&caller.verified.principal);
        self.record(decision, reason, &Record { principal, ..Record::default() });
        Err(refusal.into())
    }
}

/// Asks the issuer about a token that was verified.
pub(super) async fn ask(introspector: &Introspector, authorization: Option<&HeaderValue>) -> Verdict {
    match authorization.map(|field| compact::bearer(field.as_bytes())) {
        Some(Ok(token)) => introspector.ask(token).await,
        // Not reached: it was verified.
        Some(Err(_)) | None => Verdict::Unknown,
    }
}

fn unavailable() -> Refusal {
    Refusal::unavailable(
        "introspection_unavailable",
        "The issuer did not say whether the token still counts; try again shortly.",
    )
}
