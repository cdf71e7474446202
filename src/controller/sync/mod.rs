//! Making Keycloak hold an object, and what that amounts to, said as a condition.

pub mod drift;

use kube::Resource;

use super::{
    condition::{SYNCED, Verdict},
    context::Context,
    ledger::{Actor, Recorded, Standing, Traced},
    servers::RealmLink,
};
use crate::{
    api::DriftPolicy,
    core::{
        diff::{Change, Conflict},
        fingerprint::Fingerprint,
    },
    keycloak::{ApiError, Held, LoginError, ReconcileError},
};

pub use drift::DRIFT;

/// The reason where another identity provider has this cluster's issuer.
pub const ISSUER_TAKEN: &str = "IssuerTaken";
/// The reason where another cluster has this one's name: nothing of the realm is changed then.
pub const CLUSTER_NAME_TAKEN: &str = "ClusterNameTaken";

/// How an object stands in Keycloak after a pass.
pub struct Synced {
    /// The condition `Synced`.
    pub verdict: Verdict,
    /// Somebody's change that stays: the condition `Drift`.
    pub drift: Option<Verdict>,
    /// What Keycloak was made to hold, for the status to remember; `None` while that is not known.
    pub fingerprint: Option<Fingerprint>,
    /// Whether it has to be tried again.
    pub is_failed: bool,
}

impl Synced {
    fn held(fingerprint: Option<Fingerprint>, reported: Option<String>) -> Self {
        Self { verdict: good(), drift: reported.map(drift::reported), fingerprint, is_failed: false }
    }

    /// Nothing was tried; what was there before still is.
    fn waiting(verdict: Verdict, known: Option<Fingerprint>) -> Self {
        Self { verdict, drift: None, fingerprint: known, is_failed: false }
    }

    /// What is wanted is not known yet.
    pub fn unknown() -> Self {
        Self::waiting(Verdict::waiting(SYNCED, "for the credential to be read"), None)
    }

    fn failed(verdict: Verdict, known: Option<Fingerprint>) -> Self {
        Self { verdict, drift: None, fingerprint: known, is_failed: true }
    }

    /// Whether Keycloak holds the object.
    pub fn is_held(&self) -> bool {
        self.fingerprint.is_some() && !self.is_failed
    }

    /// The error that makes the pass be tried again.
    pub fn result(self) -> Result<(), super::error::Error> {
        if self.is_failed { Err(super::error::Error::Keycloak(self.verdict.message)) } else { Ok(()) }
    }
}

/// Makes Keycloak hold what is desired of one object, asking it no more than needed.
pub async fn settle<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    object: &K,
    of: Traced,
    recorded: Recorded,
    realm: &RealmLink,
    desired: &impl Held,
) -> Synced {
    let wanted = fingerprint(desired);
    let standing = ctx.ledger.standing(&of, &recorded, wanted.as_ref());
    if standing == Standing::Same {
        return Synced::held(wanted, ctx.ledger.reported(&of));
    }
    if !realm.ready {
        return Synced::waiting(realm.not_ready(), ctx.ledger.known(&of, &recorded));
    }
    ctx.ledger.begin(&of);
    let result = match standing.clone() {
        Standing::New => realm.admin.make(desired).await.map(|changes| (changes, None)),
        Standing::Look { drift: Some(actor) } => look(ctx, object, &of, realm, desired, actor).await,
        Standing::Same | Standing::Look { drift: None } => {
            realm.admin.reconcile(desired).await.map(|changes| (changes, None))
        }
    };
    match result {
        Ok((changes, reported)) => {
            count(ctx, &changes);
            ctx.ledger.holds(of, wanted.clone(), reported.clone());
            Synced::held(wanted, reported)
        }
        Err(error) => {
            failed(ctx, &of, standing, &error);
            Synced::failed(failure(ctx, &error), ctx.ledger.known(&of, &recorded))
        }
    }
}

/// A pass that could only not look leaves everything as it was, and the question who changed what open.
fn failed(ctx: &Context, of: &Traced, standing: Standing, error: &ReconcileError) {
    match (error, standing) {
        (ReconcileError::Apply(_), _) => ctx.ledger.lost(of.clone()),
        (_, Standing::Look { drift: Some(actor) }) => {
            ctx.ledger.suspect(of.clone(), actor);
        }
        _ => {}
    }
}

/// What is desired, as the ledger and the status remember it.
pub fn fingerprint(desired: &impl Held) -> Option<Fingerprint> {
    desired.fresh_plan().ok().and_then(|plan| Fingerprint::of(&plan))
}

/// Nothing new is wanted, but somebody may have changed what is there: their change is undone, or told of.
async fn look<K: Resource<DynamicType = ()>>(
    ctx: &Context,
    object: &K,
    of: &Traced,
    realm: &RealmLink,
    desired: &impl Held,
    actor: Actor,
) -> Result<(Vec<Change>, Option<String>), ReconcileError> {
    let plan = desired.plan(&realm.admin).await?;
    if plan.is_empty() {
        return Ok((Vec::new(), None));
    }
    match realm.drift_policy {
        DriftPolicy::Report => {
            let told = drift::told(&plan.changes, &actor);
            drift::announce(ctx, object, of, &plan.changes, &actor, drift::Outcome::Reported).await;
            Ok((Vec::new(), Some(told)))
        }
        DriftPolicy::Repair => {
            let changes = plan.changes.clone();
            let done = realm.admin.apply(plan).await?;
            drift::announce(ctx, object, of, &changes, &actor, drift::Outcome::Repaired).await;
            Ok((done, None))
        }
    }
}

/// The condition where Keycloak holds what it should.
pub fn good() -> Verdict {
    Verdict::good(SYNCED, "Synced", "Keycloak holds what it should")
}

/// The condition where it does not; counts what was done before the failure.
pub fn failure(ctx: &Context, error: &ReconcileError) -> Verdict {
    if let ReconcileError::Apply(partial) = error {
        count(ctx, &partial.done);
    }
    Verdict::bad(SYNCED, reason(error), error.to_string())
}

/// Counts and logs changes that were made.
pub fn count<'a>(ctx: &Context, changes: impl IntoIterator<Item = &'a Change>) {
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
        ReconcileError::Conflict(Conflict::ClusterNameTaken { .. }) => CLUSTER_NAME_TAKEN,
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
        ApiError::Forbidden { .. } | ApiError::NotToGive { .. } => "MissingRight",
        ApiError::NotFound { .. } => "NotFound",
        ApiError::Conflict { .. } => "Conflict",
        ApiError::Invalid { .. } => "Refused",
        ApiError::Server { .. } | ApiError::Unreadable { .. } => "KeycloakFailed",
        ApiError::Throttled { .. } => "KeycloakBusy",
    }
}
