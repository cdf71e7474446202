//! The policy of an application's guards: published, or closed.

use kube::Resource;

use super::Gathered;
use crate::{
    api::{WebApp, parse::name_of},
    controller::{context::Context, documents, objects::ObjectError, shut_out},
    core::{build::app_policy, policy::document::GuardPolicy},
    policy::DocumentKind,
};

/// Publishes who may do what, and how people are signed in.
pub async fn publish(ctx: &Context, object: &WebApp, gathered: &Gathered) -> Result<Option<GuardPolicy>, ObjectError> {
    let Some(mut policy) = app_policy(&gathered.app, &gathered.realm.urls) else { return Ok(None) };
    let server = &gathered.app.server;
    policy.revoked.extend(shut_out::known(ctx, &server.realm, &server.name).await?);
    write(ctx, object, policy).await.map(Some)
}

/// Takes every grant out of a policy that is published.
pub async fn close(ctx: &Context, object: &WebApp) -> Result<(), ObjectError> {
    match documents::published::<GuardPolicy>(ctx, DocumentKind::Guard, &name_of(object)).await? {
        // One of an endpoint with this name is not ours to close.
        Some(open) if !open.grants.is_empty() && open.sign_in.is_some() => {
            write(ctx, object, GuardPolicy { grants: Vec::new(), ..open }).await.map(|_| ())
        }
        _ => Ok(()),
    }
}

async fn write(ctx: &Context, object: &WebApp, policy: GuardPolicy) -> Result<GuardPolicy, ObjectError> {
    let Some(owner) = object.controller_owner_ref(&()) else { return Ok(policy) };
    documents::publish(ctx, DocumentKind::Guard, &name_of(object), &owner, policy).await
}
