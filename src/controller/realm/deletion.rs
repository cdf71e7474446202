//! A realm goes last: its endpoints and workloads need it for their own clean-up.

use kube::{Api, ResourceExt, runtime::events::EventType};

use crate::{
    api::{DeletionPolicy, Realm},
    controller::{
        condition::{ACCEPTED, SYNCED, Verdict},
        context::Context,
        error::Error,
        finalizer, status as events, sync,
    },
    core::{
        desired::objects::DesiredObjects,
        diff::{self, plan_delete_realm},
        graph::{Problem, ProblemReason},
    },
    keycloak::{ApiError, ApplyError, ObjectFailure, RealmAdmin, ReconcileError},
};

/// Waits for the realm's users, then deletes or leaves it.
pub async fn run(ctx: &Context, api: &Api<Realm>, object: &Realm) -> Result<(), Error> {
    if !finalizer::is_held(object) {
        return Ok(());
    }
    if finalizer::is_released_by_hand(object) {
        let note = "released by hand: what the realm left in Keycloak stays there".to_owned();
        events::tell(&ctx.events, object, EventType::Warning, "Released", "Cleanup", note).await;
        return Ok(finalizer::release(api, object).await?);
    }
    if let Some(problem) = in_use(ctx, &object.name_any()) {
        log_in(ctx, object).await;
        super::status::waiting(ctx, api, object, &Verdict::problems(ACCEPTED, &[problem])).await?;
        // Each of the users triggers this realm when it goes.
        return Ok(());
    }
    // Without its KeycloakServer there is nobody to ask, and what another cluster of our name made is not ours.
    if is_namesakes(object) {
        let note = "nothing of the realm is this cluster's: another one has its name".to_owned();
        events::tell(&ctx.events, object, EventType::Warning, "NotCleanedUp", "Cleanup", note).await;
    } else if let Ok(server) = super::server_of(&ctx.caches, object) {
        let login = super::login_of(ctx, object, &server).await.map_err(|problem| Error::Cleanup(problem.message))?;
        delete(ctx, object, login).await.map_err(|error| Error::Cleanup(error.to_string()))?;
    }
    ctx.ledger.forget(&super::traced(&object.name_any()));
    ctx.servers.remove(&super::Account::Realm(object.name_any()));
    Ok(finalizer::release(api, object).await?)
}

/// The users of a realm with credentials of its own need that login for their clean-up, and a restart has forgotten it.
async fn log_in(ctx: &Context, object: &Realm) {
    let Ok(server) = super::server_of(&ctx.caches, object) else { return };
    if let Err(problem) = super::login_of(ctx, object, &server).await {
        tracing::warn!(realm = object.name_any(), problem = problem.message, "no login for the clean-up in the realm");
    }
}

async fn delete(ctx: &Context, object: &Realm, login: super::Login) -> Result<(), DeletionError> {
    let owner = super::build::owner(&ctx.cluster, object);
    let policy = match object.spec.deletion_policy {
        DeletionPolicy::Orphan => diff::DeletionPolicy::Orphan,
        DeletionPolicy::Delete => diff::DeletionPolicy::Delete,
    };
    let realm = login.admin.realm(&object.spec.realm);
    let observed = realm.observe_realm().await?;
    sync::count(ctx, &realm.apply(plan_delete_realm(&owner, &observed, policy)).await?);
    if policy == diff::DeletionPolicy::Delete && realm.observe_realm().await?.realm.is_some() {
        delete_objects(ctx, &realm, DesiredObjects::none(realm.name(), owner)).await?;
    }
    Ok(())
}

/// Out of a realm that is not ours, what we put into it.
async fn delete_objects(ctx: &Context, realm: &RealmAdmin, nothing: DesiredObjects) -> Result<(), DeletionError> {
    for report in realm.reconcile_objects(&nothing).await {
        sync::count(ctx, &report.done);
        if let Some(failure) = report.failures.into_iter().next() {
            return Err(failure.into());
        }
    }
    Ok(())
}

/// Why not everything is gone.
#[derive(Debug, thiserror::Error)]
enum DeletionError {
    /// The realm itself, or the trust in it.
    #[error(transparent)]
    Realm(#[from] ReconcileError),
    /// What is in it.
    #[error(transparent)]
    Object(#[from] ObjectFailure),
}

impl From<ApiError> for DeletionError {
    fn from(error: ApiError) -> Self {
        Self::Realm(error.into())
    }
}

impl From<ApplyError> for DeletionError {
    fn from(error: ApplyError) -> Self {
        Self::Realm(error.into())
    }
}

fn is_namesakes(object: &Realm) -> bool {
    let conditions = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    Verdict::of_condition(SYNCED, conditions).is_some_and(|synced| synced.reason == sync::CLUSTER_NAME_TAKEN)
}

/// Who still uses the realm.
fn in_use(ctx: &Context, realm: &str) -> Option<Problem> {
    // One that moves away still has its client here until it is removed; one that the realm never admitted has none, and
    // nobody keeps a realm from going by naming it.
    let uses = |spec: &str, held_in: Option<&str>, namespace: Option<String>| {
        held_in == Some(realm) || spec == realm && ctx.caches.admits(realm, &namespace.unwrap_or_default())
    };
    let endpoints = ctx.caches.endpoints.state_filter(|endpoint| {
        finalizer::is_held(endpoint) && uses(&endpoint.spec.realm, endpoint.held_in(), endpoint.namespace())
    });
    let identities = ctx.caches.identities.state_filter(|identity| {
        finalizer::is_held(identity) && uses(&identity.spec.realm, identity.held_in(), identity.namespace())
    });
    let apps = ctx
        .caches
        .apps
        .state_filter(|app| finalizer::is_held(app) && uses(&app.spec.realm, app.held_in(), app.namespace()));
    if endpoints.is_empty() && identities.is_empty() && apps.is_empty() {
        return None;
    }
    let message = format!(
        "waiting to go: {} ModelEndpoints, {} WorkloadIdentities and {} WebApps still use the realm; delete or move them first",
        endpoints.len(),
        identities.len(),
        apps.len()
    );
    Some(Problem::new(ProblemReason::InUse, message))
}
