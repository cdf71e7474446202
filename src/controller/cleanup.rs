//! What happens before a namespaced object goes: its traces in Keycloak go first.

use kube::{Api, Resource, ResourceExt, runtime::events::EventType};
use serde::de::DeserializeOwned;

use super::{context::Context, error::Error, finalizer, servers::link_for_cleanup, status, sync};
use crate::{
    core::{
        build::{Site, kind, owner},
        diff::{plan_delete_endpoint, plan_delete_workload},
        graph::{Problem, ProblemReason},
        name::Ref,
    },
    keycloak::{EndpointKey, RealmAdmin, ReconcileError, WorkloadKey},
};

/// What an object left in Keycloak.
pub struct Trace<'a> {
    /// Its kind, as in [`kind`].
    pub kind: &'static str,
    /// Its name.
    pub name: Ref,
    /// Its Realm object.
    pub realm: &'a str,
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
        let note = format!("released by hand: what {} {} left in Keycloak stays there", trace.kind, trace.name);
        status::tell(&ctx.events, object, EventType::Warning, "Released", "Cleanup", note).await;
        return Ok(finalizer::release(api, object).await?);
    }
    match link_for_cleanup(ctx, trace.realm) {
        Ok(realm) => delete(ctx, &realm, &trace, &object.uid().unwrap_or_default()).await?,
        // The Realm object waits for those that use it, so it can only have been released by hand.
        Err(Problem { reason: ProblemReason::RealmNotFound | ProblemReason::ServerNotFound, message }) => {
            let note = format!("nothing could be cleaned up: {message}");
            status::tell(&ctx.events, object, EventType::Warning, "NotCleanedUp", "Cleanup", note).await;
        }
        Err(problem) => return Err(Error::Cleanup(problem.message)),
    }
    Ok(finalizer::release(api, object).await?)
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
    let owner = owner(&ctx.cluster, trace.kind, &trace.name, uid);
    let id = Site { cluster: &ctx.cluster, realm: realm.name() }.client_id(trace.kind, &trace.name);
    let plan = if trace.kind == kind::ENDPOINT {
        let client_id = trace.name.endpoint_client_id();
        let key = EndpointKey { id, client_id, permissions: Default::default(), scope_names: Default::default() };
        plan_delete_endpoint(&owner, &realm.observe_endpoint(&key).await?)
    } else {
        let key = WorkloadKey { id, client_id: trace.name.workload_client_id() };
        plan_delete_workload(&owner, &realm.observe_workload(&key).await?)
    };
    sync::count(ctx, &realm.apply(plan).await?);
    Ok(())
}
