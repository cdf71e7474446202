//! How much one client may ask for: decided once it is known, before anything of its call goes on.

use http::StatusCode;

use super::{admit::Stop, audit::Record, identity::Caller, serve::GuardConnection};
use crate::{
    core::{policy::compiled::CompiledPolicy, protocol::Route},
    proxy::{
        http::answer::Refusal,
        usage::{Over, Place},
    },
};

impl GuardConnection {
    /// A place for a call, which it keeps until its answer has ended; `None`: the policy limits nothing.
    ///
    /// Counted before the grant is looked up, so that a client which is refused again and again is slowed down as well. A
    /// client without any grant has no place to take: it is refused in any case, and leaves nothing behind.
    pub(super) fn limit(
        &self,
        policy: &CompiledPolicy,
        caller: &Caller,
        route: Option<&Route<'_>>,
    ) -> Result<Option<Place>, Stop> {
        let principal = &caller.verified.principal;
        let Some(limits) = policy.limits.filter(|_| !policy.grants_of(principal.client()).is_empty()) else {
            return Ok(None);
        };
        let usage = caller.usage.get_or_init(|| self.guard.usages().of(principal.client()));
        usage.enter(&limits, self.guard.clock().nanos()).map(Some).map_err(|over| {
            let refusal = refusal(policy, over);
            let record =
                Record { principal: Some(principal), route: route.map(|route| route.name), ..Record::default() };
            self.record("limited", refusal.reason(), &record);
            Stop::Refused(refusal)
        })
    }
}

/// 429 (RFC 6585 §4).
fn refusal(policy: &CompiledPolicy, over: Over) -> Refusal {
    let endpoint = &policy.endpoint;
    let (wait, message) = match over {
        Over::RateLimited(nanos) => {
            (nanos.div_ceil(1_000_000_000), format!("This client calls endpoint {endpoint} more often than it may."))
        }
        Over::TooManyRequestsAtOnce => {
            (1, format!("This client has as many calls in progress on endpoint {endpoint} as it may."))
        }
    };
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", over.into(), message).retry_after(wait)
}
