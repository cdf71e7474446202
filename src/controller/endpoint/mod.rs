//! ModelEndpoint: gather → validate → publish (policy, Service, NetworkPolicy) → Keycloak → status.
//!
//! The policy goes first: a guard must refuse what was revoked also while
//! Keycloak is down.

mod children;
mod policy;
mod status;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};

use super::{
    cleanup::{self, Trace},
    context::Context,
    error::Error,
    finalizer,
    ledger::{Recorded, Traced},
    servers::{RealmLink, link},
    sync::{Synced, settle},
};
use crate::{
    api::{ModelEndpoint, parse::name_of},
    core::{
        build::{desired_endpoint, kind},
        desired::DesiredEndpoint,
        graph::{Edge, Endpoint, Problem, in_force, next_expiry},
    },
};

/// Everything that a valid endpoint's pass needs.
struct Gathered {
    endpoint: Endpoint,
    realm: RealmLink,
    edges: Vec<Edge>,
    /// When the next grant ends.
    expiry: Option<Duration>,
}

/// One pass over one endpoint. Says when the next must be at the latest.
pub async fn reconcile(object: Arc<ModelEndpoint>, ctx: Arc<Context>) -> Result<Option<Duration>, Error> {
    let api = Api::<ModelEndpoint>::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    if object.meta().deletion_timestamp.is_some() {
        return cleanup::run(&ctx, &api, object.as_ref(), trace(&object)).await.map(|()| None);
    }
    match gather(&object, &ctx) {
        Err(problems) => {
            policy::close(&ctx, &object).await?;
            status::rejected(&ctx, &api, &object, &problems).await?;
            Ok(None)
        }
        Ok(gathered) => {
            finalizer::hold(&api, object.as_ref()).await?;
            let published = policy::publish(&ctx, &object, &gathered).await;
            let kept = children::keep(&ctx, &object, &gathered.endpoint).await;
            cleanup::moved(&ctx, object.as_ref(), &trace(&object), &object.spec.realm).await?;
            let synced = sync(&ctx, &object, &gathered).await;
            status::accepted(&ctx, &api, &object, &gathered, &published, &kept, &synced).await?;
            published?;
            kept?;
            synced.result()?;
            Ok(gathered.expiry)
        }
    }
}

/// What the endpoint left in Keycloak.
fn trace(object: &ModelEndpoint) -> Trace<'_> {
    let of = Traced { kind: kind::ENDPOINT, name: name_of(object) };
    let realm = object.held_in().unwrap_or(&object.spec.realm);
    Trace { of, realm, is_held: object.held_in().is_some(), policy: object.spec.deletion_policy }
}

fn gather(object: &ModelEndpoint, ctx: &Context) -> Result<Gathered, Vec<Problem>> {
    let endpoint = object.parse()?;
    let realm = link(ctx, &endpoint.realm, &endpoint.name.namespace).map_err(|problem| vec![problem])?;
    let now = Timestamp::now().as_second();
    let grants = ctx.caches.grants_on(&endpoint.name);
    let edges = in_force(&grants, |_| Some(endpoint.clone()), |name| ctx.caches.workload(name), now);
    let expiry = next_expiry(&grants, now).map(|at| Duration::from_secs(at.abs_diff(now)));
    Ok(Gathered { endpoint, realm, edges, expiry })
}

/// What the status remembers of earlier runs.
pub fn recorded(object: &ModelEndpoint) -> Recorded {
    let status = object.status.as_ref();
    status.map(|status| Recorded::of(status.fingerprint.as_deref(), &status.conditions)).unwrap_or_default()
}

/// What Keycloak should hold of an endpoint; `None` while the endpoint is not valid.
pub fn desired(ctx: &Context, object: &ModelEndpoint) -> Option<DesiredEndpoint> {
    gather(object, ctx).ok().map(|gathered| desired_endpoint(gathered.realm.site(ctx), &gathered.endpoint))
}

/// Makes Keycloak hold what it should.
async fn sync(ctx: &Context, object: &ModelEndpoint, gathered: &Gathered) -> Synced {
    let desired = desired_endpoint(gathered.realm.site(ctx), &gathered.endpoint);
    settle(ctx, object, trace(object).of, recorded(object), &gathered.realm, &desired).await
}
