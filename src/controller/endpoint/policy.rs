//! The guard's policy: published, or closed.

use kube::Resource;

use super::Gathered;
use crate::{
    api::{ModelEndpoint, parse::name_of},
    controller::{context::Context, documents, objects::ObjectError, shut_out},
    core::{
        build::guard_policy,
        policy::document::{GuardPolicy, Revocation},
    },
    policy::DocumentKind,
};

/// Publishes who may do what.
pub async fn publish(ctx: &Context, object: &ModelEndpoint, gathered: &Gathered) -> Result<GuardPolicy, ObjectError> {
    let out = people_out(ctx, gathered).await?;
    let suspended = |name: &_| ctx.caches.workload(name).is_some_and(|workload| workload.suspended);
    let mut policy =
        guard_policy(&gathered.endpoint, &gathered.realm.urls, &gathered.edges, &gathered.people, suspended);
    policy.revoked.extend(out);
    write(ctx, object, policy).await
}

/// People whose tokens count no more, where people may call.
async fn people_out(ctx: &Context, gathered: &Gathered) -> Result<Vec<Revocation>, ObjectError> {
    let Gathered { endpoint, people, .. } = gathered;
    if people.is_empty() {
        return Ok(Vec::new());
    }
    shut_out::known(ctx, &endpoint.realm, &endpoint.name).await
}

/// Takes every grant out of a policy that is published: the endpoint is no
/// longer one that anybody could have consented to.
pub async fn close(ctx: &Context, object: &ModelEndpoint) -> Result<(), ObjectError> {
    let name = name_of(object);
    match documents::published::<GuardPolicy>(ctx, DocumentKind::Guard, &name).await? {
        Some(open) if !open.grants.is_empty() => {
            write(ctx, object, GuardPolicy { grants: Vec::new(), ..open }).await.map(|_| ())
        }
        _ => Ok(()),
    }
}

async fn write(ctx: &Context, object: &ModelEndpoint, policy: GuardPolicy) -> Result<GuardPolicy, ObjectError> {
    let Some(owner) = object.controller_owner_ref(&()) else { return Ok(policy) };
    documents::publish(ctx, DocumentKind::Guard, &name_of(object), &owner, policy).await
}
