//! One record per decision: who, what, and why.
//!
//! Target `audit`, so that a log filter or a collector can take it apart from
//! the rest. `jti` is the token's id, as in Keycloak's own login events.

use crate::{core::protocol::ModelUse, proxy::tokens::claims::Principal};

/// Which decisions are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Audit {
    /// Every decision. Costs a log line per request.
    All,
    /// What was not allowed. Allowed requests are counted in the metrics only.
    #[default]
    Denied,
    /// Nothing.
    Off,
}

/// What there is to say of one decision.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record<'a> {
    /// `allowed`, `denied`, `refused` or `unavailable`.
    pub decision: &'static str,
    /// The reason code, the exact one.
    pub reason: &'static str,
    /// The caller, once verified.
    pub principal: Option<&'a Principal>,
    /// The permission that was asked for.
    pub permission: Option<&'a str>,
    /// The model.
    pub models: Option<&'a ModelUse<'a>>,
    /// The route's pattern.
    pub route: Option<&'a str>,
    /// The AccessGrant that allowed it.
    pub grant: Option<&'a str>,
}

impl Audit {
    /// Writes a record, if this kind is wanted.
    pub fn write(self, record: &Record<'_>) {
        let wanted = match self {
            Self::All => true,
            Self::Denied => record.decision != "allowed",
            Self::Off => false,
        };
        if !wanted {
            return;
        }
        let model = match record.models {
            Some(ModelUse::One(name)) => Some(&**name),
            Some(ModelUse::Every) => Some("*"),
            Some(ModelUse::None) | None => None,
        };
        tracing::info!(
            target: "audit",
            decision = record.decision,
            reason = record.reason,
            client = record.principal.map(|p| &*p.client),
            sub = record.principal.map(|p| &*p.subject),
            jti = record.principal.and_then(|p| p.token_id.as_deref()),
            permission = record.permission,
            model,
            route = record.route,
            grant = record.grant,
        );
    }
}
