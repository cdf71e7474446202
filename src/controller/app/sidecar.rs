//! What the guards of an application need: keys, policy, Service and NetworkPolicy.

use std::time::Duration;

use kube::Resource;

use super::{Gathered, cookies, is_changed, policy, status::Sidecar, traced};
use crate::{
    admission::ServedPods,
    api::{WebApp, parse::name_of},
    controller::{
        children::{self, Parent},
        context::Context,
        isolation::Guarded,
        objects::ObjectError,
    },
    core::graph::App,
};

/// Keeps all of it. Says when to look again.
pub async fn keep(ctx: &Context, object: &WebApp, gathered: &Gathered) -> (Option<Sidecar>, Option<Duration>) {
    let Some(served) = ServedPods::of_app(object) else { return (None, None) };
    let keys = cookies::keep(ctx, object).await;
    let published = policy::publish(ctx, object, gathered).await;
    let kept = keep_children(ctx, object, &gathered.app).await;
    let conditions = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    let guarded = Guarded { of: traced(object), served, asked: object.spec.isolation, conditions };
    let (isolated, try_again) = ctx.isolation.verdict(&ctx.caches, &guarded);
    let (kept, next_key) = match keys {
        Ok(next) => (kept, Some(next)),
        Err(error) => (Err(error), None),
    };
    (Some(Sidecar { published, kept, isolated }), try_again.into_iter().chain(next_key).min())
}

/// The Service that points at the sidecars, and the NetworkPolicy.
async fn keep_children(ctx: &Context, object: &WebApp, app: &App) -> Result<(), ObjectError> {
    let Some((owner, selector)) = object.controller_owner_ref(&()).zip(object.spec.workload.as_ref()) else {
        return Ok(());
    };
    children::keep(ctx, &Parent { owner, selector, is_changed: is_changed(object) }, &app.server).await
}

/// Takes away what it needed. Sidecars that still run open it to nobody.
pub async fn remove(ctx: &Context, object: &WebApp) -> Result<(), ObjectError> {
    let had = object.status.as_ref().is_some_and(|status| status.policy_number.is_some());
    if !(had || is_changed(object)) {
        return Ok(());
    }
    ctx.isolation.forget(&traced(object));
    policy::close(ctx, object).await?;
    match object.controller_owner_ref(&()) {
        Some(owner) => children::remove(ctx, &name_of(object).namespace, &owner).await,
        None => Ok(()),
    }
}
