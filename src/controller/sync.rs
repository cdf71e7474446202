//! What a pass at Keycloak amounts to, said as a condition.

use super::{
    condition::{SYNCED, Verdict},
    context::Context,
};
use crate::{
    core::diff::{Change, Conflict},
    keycloak::{ApiError, LoginError, ReconcileError},
};

/// The reason where another identity provider has this cluster's issuer.
pub const ISSUER_TAKEN: &str = "IssuerTaken";

/// Counts and logs what was changed, and tells how `Synced` stands.
pub fn verdict(ctx: &Context, result: Result<Vec<Change>, ReconcileError>) -> Result<Verdict, Verdict> {
    match result {
        Ok(changes) => {
            count(ctx, &changes);
            Ok(Verdict::good(SYNCED, "Synced", "Keycloak holds what it should"))
        }
        Err(error) => {
            if let ReconcileError::Apply(partial) = &error {
                count(ctx, &partial.done);
            }
            Err(Verdict::bad(SYNCED, reason(&error), error.to_string()))
        }
    }
}

/// Counts and logs changes that were made.
pub fn count(ctx: &Context, changes: &[Change]) {
    for change in changes {
        tracing::info!(%change, "changed Keycloak");
        ctx.metrics.changed(change.kind());
    }
}

fn reason(error: &ReconcileError) -> &'static str {
    match error {
        ReconcileError::Conflict(Conflict::RealmHidden { .. }) => "MissingRight",
        ReconcileError::Conflict(Conflict::RealmMissing { .. }) => "NotFound",
        ReconcileError::Conflict(Conflict::IssuerTaken { .. }) => ISSUER_TAKEN,
        ReconcileError::Conflict(_) => "Conflict",
        ReconcileError::Observe(error) => api_reason(error),
        ReconcileError::Apply(partial) => api_reason(&partial.source),
    }
}

/// The condition's reason of a failed call.
pub fn api_reason(error: &ApiError) -> &'static str {
    match error {
        // Nobody was there to refuse the login.
        ApiError::Login(LoginError::Transport(_)) => "KeycloakUnreachable",
        ApiError::Login(LoginError::Busy { .. }) => "KeycloakBusy",
        ApiError::Login(LoginError::Server { .. }) => "KeycloakFailed",
        ApiError::Login(_) => "LoginFailed",
        ApiError::Unreachable(_) => "KeycloakUnreachable",
        ApiError::Timeout { .. } => "KeycloakTimeout",
        ApiError::Unauthorized { .. } => "LoginFailed",
        ApiError::Forbidden { .. } => "MissingRight",
        ApiError::NotFound { .. } => "NotFound",
        ApiError::Conflict { .. } => "Conflict",
        ApiError::Invalid { .. } => "Refused",
        ApiError::Server { .. } | ApiError::Unreadable { .. } => "KeycloakFailed",
        ApiError::Throttled { .. } => "KeycloakBusy",
    }
}
