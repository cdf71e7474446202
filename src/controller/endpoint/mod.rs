//! ModelEndpoint: gather → validate → publish (policy, Service, NetworkPolicy) → Keycloak → status.
//!
//! The policy goes first: a guard must refuse what was revoked also while
//! Keycloak is down.

mod policy;
mod status;

pub use self::status::{PEOPLE, PUBLISHED, people, publication};

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};

use self::status::Outcome;
use super::{
    children::{self, Parent},
    cleanup::{self, Trace},
    context::Context,
    error::Error,
    finalizer,
    isolation::Guarded,
    ledger::{Recorded, Traced},
    objects::ObjectError,
    servers::{RealmLink, link},
    sync::{Synced, settle},
    watch::Claim,
};
use crate::{
    api::{ModelEndpoint, parse::name_of},
    core::{
        build::{desired_endpoint, kind},
        desired::DesiredEndpoint,
        graph::{Edge, Endpoint, PeopleEdge, Problem, ProblemReason, in_force, next_expiry, people_in_force},
    },
};

/// Everything that a valid endpoint's pass needs.
struct Gathered {
    endpoint: Endpoint,
    realm: RealmLink,
    edges: Vec<Edge>,
    /// Grants to people.
    people: Vec<PeopleEdge>,
    /// What keeps it from calling on behalf of its callers, where it wants to.
    caller: Option<Problem>,
    /// When the next grant ends.
    expiry: Option<Duration>,
}

/// One pass over one endpoint. Says when the next must be at the latest.
pub async fn reconcile(object: Arc<ModelEndpoint>, ctx: Arc<Context>) -> Result<Option<Duration>, Error> {
    let api = Api::<ModelEndpoint>::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    if object.meta().deletion_timestamp.is_some() {
        ctx.isolation.forget(&traced(&object));
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
            let kept = keep(&ctx, &object, &gathered.endpoint).await;
            cleanup::moved(&ctx, object.as_ref(), &trace(&object), &object.spec.realm).await?;
            let synced = sync(&ctx, &object, &gathered).await;
            let (isolated, try_again) = ctx.isolation.verdict(&ctx.caches, &guarded(&object));
            let outcome = Outcome { published, kept, synced, isolated };
            status::accepted(&ctx, &api, &object, &gathered, &outcome).await?;
            outcome.published?;
            outcome.kept?;
            outcome.synced.result()?;
            Ok(gathered.expiry.into_iter().chain(try_again).min())
        }
    }
}

fn traced(object: &ModelEndpoint) -> Traced {
    Traced { kind: kind::ENDPOINT, name: name_of(object) }
}

fn guarded(object: &ModelEndpoint) -> Guarded<'_> {
    let conditions = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    Guarded { of: traced(object), served: object.into(), asked: object.spec.isolation, conditions }
}

/// The Service that points at the guards, and the NetworkPolicy.
async fn keep(ctx: &Context, object: &ModelEndpoint, endpoint: &Endpoint) -> Result<(), ObjectError> {
    let Some(owner) = object.controller_owner_ref(&()) else { return Ok(()) };
    let seen = object.status.as_ref().and_then(|status| status.observed_generation);
    let parent = Parent { owner, selector: &object.spec.workload, is_changed: seen != object.metadata.generation };
    children::keep(ctx, &parent, endpoint).await
}

/// What the endpoint left in Keycloak.
fn trace(object: &ModelEndpoint) -> Trace<'_> {
    let of = traced(object);
    let realm = object.held_in().unwrap_or(&object.spec.realm);
    Trace { of, realm, is_held: object.held_in().is_some(), policy: object.spec.deletion_policy, has_second: false }
}

fn gather(object: &ModelEndpoint, ctx: &Context) -> Result<Gathered, Vec<Problem>> {
    let mut endpoint = object.parse()?;
    let caller = ctx.caches.settle_caller(&mut endpoint).err();
    let realm = link(ctx, &endpoint.realm, &endpoint.name.namespace).map_err(|problem| vec![problem])?;
    if let Some(account) = &endpoint.introspects_as {
        may_introspect(object, account, &realm, ctx).map_err(|problem| vec![problem])?;
    }
    let now = Timestamp::now().as_second();
    let grants = ctx.caches.grants_on(&endpoint.name);
    let edges = in_force(&grants, |_| Some(endpoint.clone()), |name| ctx.caches.workload(name), now);
    let people = people_in_force(&grants, &endpoint, now);
    let ends = edges.iter().filter_map(|edge| edge.expires_at);
    let expiry = next_expiry(&grants, now).into_iter().chain(ends).min();
    let expiry = expiry.map(|at| Duration::from_secs(at.abs_diff(now)));
    Ok(Gathered { endpoint, realm, edges, people, caller, expiry })
}

/// Whether Keycloak can tell the guards' login by their ServiceAccount: it takes two clients of one without a word, and lets
/// either win.
fn may_introspect(object: &ModelEndpoint, account: &str, realm: &RealmLink, ctx: &Context) -> Result<(), Problem> {
    if realm.issuer_alias.is_none() {
        let message = format!(
            "Realm {:?} does not trust this cluster's ServiceAccount tokens, and spec.introspection needs them; ask the platform team to set its spec.workloadIssuer",
            object.spec.realm
        );
        return Err(Problem::new(ProblemReason::NoWorkloadIssuer, message));
    }
    let Some(claim) = Claim::of_guards(object) else { return Ok(()) };
    let Some(taken) = ctx.caches.claimed_by_older(&claim, object) else { return Ok(()) };
    let message = format!(
        "{taken} logs in with ServiceAccount {account:?} in realm {:?} already, and spec.introspection needs it alone; run this endpoint's pods with a ServiceAccount of their own",
        object.spec.realm
    );
    Err(Problem::new(ProblemReason::Conflict, message))
}

/// What the status remembers of earlier runs.
pub fn recorded(object: &ModelEndpoint) -> Recorded {
    let status = object.status.as_ref();
    status.map(|status| Recorded::of(status.fingerprint.as_deref(), &status.conditions)).unwrap_or_default()
}

/// What Keycloak should hold of an endpoint; `None` while the endpoint is not valid.
pub fn desired(ctx: &Context, object: &ModelEndpoint) -> Option<DesiredEndpoint> {
    gather(object, ctx).ok().map(|gathered| build(ctx, &gathered))
}

fn build(ctx: &Context, gathered: &Gathered) -> DesiredEndpoint {
    let realm = &gathered.realm;
    desired_endpoint(realm.site(ctx), &gathered.endpoint, realm.issuer_alias.as_deref(), &gathered.people)
}

/// Makes Keycloak hold what it should.
async fn sync(ctx: &Context, object: &ModelEndpoint, gathered: &Gathered) -> Synced {
    let desired = build(ctx, gathered);
    settle(ctx, object, trace(object).of, recorded(object), &gathered.realm, &desired).await
}
