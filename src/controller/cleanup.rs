//! What happens before a namespaced object goes: its traces in Keycloak go first.

use kube::{Api, Resource, runtime::events::EventType};
use serde::de::DeserializeOwned;

use super::{
    context::Context, drift::server_client_id, error::Error, finalizer, ledger::Traced, servers::link_for_cleanup,
    status, sync,
};
use crate::{
    api::DeletionPolicy,
    core::{
        build::{Site, owner, second_client},
        diff::{plan_delete_endpoint, plan_delete_workload},
        graph::{Problem, ProblemReason},
    },
    keycloak::{EndpointKey, RealmAdmin, ReconcileError, WorkloadKey},
};

/// What an object left in Keycloak.
pub struct Trace<'a> {
    /// The object.
    pub of: Traced,
    /// The Realm object in which Keycloak holds it, or may hold it.
    pub realm: &'a str,
    /// Whether its status says that Keycloak holds it.
    pub is_held: bool,
    /// What is to become of it.
    pub policy: DeletionPolicy,
    /// Whether there may be two clients of it.
    pub has_second: bool,
}

/// Deletes the object's client with all that hangs on it, then lets the object go.
pub async fn run<K>(ctx: &Context, api: &Api<K>, object: &K, trace: Trace<'_>) -> Result<(), Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    if !finalizer::is_held(object) {
        return Ok(());
    }
    if finalizer::is_released_by_hand(object) {
        let note = format!("released by hand: what {} {} left in Keycloak stays there", trace.of.kind, trace.of.name);
        status::tell(&ctx.events, object, EventType::Warning, "Released", "Cleanup", note).await;
    } else if trace.policy == DeletionPolicy::Orphan {
        let note = "its client stays in Keycloak, as deletionPolicy: Orphan has it".to_owned();
        status::tell(&ctx.events, object, EventType::Normal, "Orphaned", "Cleanup", note).await;
    } else {
        remove(ctx, object, &trace).await?;
    }
    ctx.ledger.forget(&trace.of);
    Ok(finalizer::release(api, object).await?)
}

/// Removes what an object left in the realm that it was in before it moved to `realm`.
pub async fn moved<K>(ctx: &Context, object: &K, trace: &Trace<'_>, realm: &str) -> Result<(), Error>
where
    K: Resource<DynamicType = ()>,
{
    if trace.realm == realm {
        return Ok(());
    }
    match trace.policy {
        DeletionPolicy::Delete => remove(ctx, object, trace).await,
        DeletionPolicy::Orphan => Ok(()),
    }
}

async fn remove<K>(ctx: &Context, object: &K, trace: &Trace<'_>) -> Result<(), Error>
where
    K: Resource<DynamicType = ()>,
{
    match link_for_cleanup(ctx, trace.realm) {
        Ok(realm) => delete(ctx, &realm, trace, object.meta().uid.as_deref().unwrap_or_default()).await,
        // There never was such a realm.
        Err(Problem { reason: ProblemReason::RealmNotFound | ProblemReason::ServerNotFound, .. }) if !trace.is_held => {
            Ok(())
        }
        // The Realm object waits for those that use it, so it can only have been released by hand.
        Err(Problem { reason: ProblemReason::RealmNotFound | ProblemReason::ServerNotFound, message }) => {
            let note = format!("nothing could be cleaned up: {message}");
            status::tell(&ctx.events, object, EventType::Warning, "NotCleanedUp", "Cleanup", note).await;
            Ok(())
        }
        Err(problem) => Err(Error::Cleanup(problem.message)),
    }
}

async fn delete(ctx: &Context, realm: &RealmAdmin, trace: &Trace<'_>, uid: &str) -> Result<(), Error> {
    match try_delete(ctx, realm, trace, uid).await {
        Ok(()) => Ok(()),
        // The realm is gone, and with it everything in it.
        Err(ReconcileError::Observe(error)) if error.is_not_found() => Ok(()),
        Err(error) => Err(Error::Cleanup(error.to_string())),
    }
}

async fn try_delete(ctx: &Context, realm: &RealmAdmin, trace: &Trace<'_>, uid: &str) -> Result<(), ReconcileError> {
    let owner = owner(&ctx.cluster, trace.of.kind, &trace.of.name, uid);
    let site = Site { cluster: &ctx.cluster, realm: realm.name() };
    let id = site.client_id(trace.of.kind, &trace.of.name);
    let plan = if let Some(client_id) = server_client_id(&trace.of) {
        let key = EndpointKey {
            id,
            client_id,
            permissions: Default::default(),
            scope_names: Default::default(),
            people: Default::default(),
        };
        plan_delete_endpoint(&owner, &realm.observe_endpoint(&key).await?)
    } else {
        let second = trace.has_second.then(|| second_client(site, &trace.of.name));
        let key = WorkloadKey { id, client_id: trace.of.name.workload_client_id(), second };
        plan_delete_workload(&owner, &realm.observe_workload(&key).await?)
    };
    sync::count(ctx, &realm.apply(plan).await?);
    Ok(())
}
