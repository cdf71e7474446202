//! WorkloadIdentity: gather → validate → publish (egress) → Keycloak → status.

mod expiry;
mod network;
mod status;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};

use super::{
    cleanup::{self, Trace},
    context::Context,
    documents,
    error::Error,
    finalizer,
    ledger::{Recorded, Traced},
    objects::ObjectError,
    servers::{RealmLink, link},
    sync::{Synced, settle},
    watch::{Caches, Claim, is_older},
};
use crate::{
    api::{WorkloadIdentity, parse::name_of},
    core::{
        build::{desired_workload, egress_config, kind},
        claims::ClaimValue,
        desired::DesiredWorkload,
        graph::{Destination, Edge, Endpoint, Problem, ProblemReason, Workload, in_force, next_expiry},
        name::Ref,
    },
    policy::DocumentKind,
};

/// Everything that a valid identity's pass needs.
struct Gathered {
    workload: Workload,
    realm: RealmLink,
    issuer_alias: String,
    edges: Vec<Edge>,
    /// What is wrong with its targets; the others work all the same.
    targets: Vec<Problem>,
    /// Which of its claims it may not set; the others count.
    claims: Vec<Problem>,
    /// When the next grant ends, or the identity itself.
    expiry: Option<Duration>,
}

/// One pass over one identity. Says when the next must be at the latest.
pub async fn reconcile(object: Arc<WorkloadIdentity>, ctx: Arc<Context>) -> Result<Option<Duration>, Error> {
    let api = Api::<WorkloadIdentity>::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    if object.meta().deletion_timestamp.is_some() {
        return cleanup::run(&ctx, &api, object.as_ref(), trace(&object)).await.map(|()| None);
    }
    if expiry::end(&ctx, &api, &object).await? {
        return Ok(None);
    }
    match gather(&object, &ctx) {
        Err(problems) => {
            status::rejected(&ctx, &api, &object, &problems).await?;
            Ok(None)
        }
        Ok(gathered) => {
            finalizer::hold(&api, object.as_ref()).await?;
            let published = publish(&ctx, &object, &gathered).await;
            let published = published.and(network::keep(&ctx, &object, &gathered).await);
            cleanup::moved(&ctx, object.as_ref(), &trace(&object), &object.spec.realm).await?;
            let synced = sync(&ctx, &object, &gathered).await;
            status::accepted(&ctx, &api, &object, &gathered, &published, &synced).await?;
            published?;
            synced.result()?;
            Ok(gathered.expiry)
        }
    }
}

/// What the identity left in Keycloak.
fn trace(object: &WorkloadIdentity) -> Trace<'_> {
    let of = Traced { kind: kind::WORKLOAD, name: name_of(object) };
    let realm = object.held_in().unwrap_or(&object.spec.realm);
    Trace { of, realm, is_held: object.held_in().is_some(), policy: object.spec.deletion_policy }
}

fn gather(object: &WorkloadIdentity, ctx: &Context) -> Result<Gathered, Vec<Problem>> {
    let mut workload = object.parse()?;
    let realm = link(ctx, &workload.realm, &workload.name.namespace).map_err(|problem| vec![problem])?;
    alone(object, ctx).and_then(|()| beside_guards(object, ctx)).map_err(|problem| vec![problem])?;
    let issuer_alias = realm.issuer_alias.clone().ok_or_else(|| vec![no_issuer(&workload)])?;
    let claims = take_unlisted(&mut workload, ctx);
    let outside = admit_external(&mut workload, ctx);
    let now = Timestamp::now().as_second();
    let grants = ctx.caches.grants_to(&workload.name);
    let this = |name: &Ref| (*name == workload.name).then(|| workload.clone());
    let edges = in_force(&grants, |name| ctx.caches.endpoint(name), this, now);
    let expiry = next_expiry(&grants, now).into_iter().chain(workload.expires_at).min();
    let expiry = expiry.map(|at| Duration::from_secs(at.abs_diff(now)));
    let inside = workload.targets.iter().filter_map(|target| target_problem(ctx, &workload, target));
    let targets = inside.chain(outside).collect();
    Ok(Gathered { workload, realm, issuer_alias, edges, targets, claims, expiry })
}

/// Keycloak takes two clients of one ServiceAccount without a word, and lets either win: the older one is right.
fn alone(object: &WorkloadIdentity, ctx: &Context) -> Result<(), Problem> {
    let claimants = ctx.caches.claimants(&Claim::of(object));
    // Creation is told to the second: of two within one, the one that has its client keeps it.
    let first = claimants.iter().min_by_key(|identity| {
        let created = identity.creation_timestamp().map(|at| at.0);
        (created, !is_held(ctx, identity), identity.name_any())
    });
    match first {
        Some(first) if first.uid() != object.uid() => Err(Problem::new(
            ProblemReason::Conflict,
            format!(
                "WorkloadIdentity {} has ServiceAccount {:?} in realm {:?} already: one identity per ServiceAccount and realm; merge the two, or use another ServiceAccount",
                name_of(first.as_ref()),
                object.spec.service_account_name,
                object.spec.realm,
            ),
        )),
        _ => Ok(()),
    }
}

/// The guards of an endpoint log in with a ServiceAccount too, where they ask of tokens.
fn beside_guards(object: &WorkloadIdentity, ctx: &Context) -> Result<(), Problem> {
    let asking = ctx.caches.introspecting(&Claim::of(object));
    let Some(endpoint) = asking.iter().find(|endpoint| is_older(endpoint.as_ref(), object)) else { return Ok(()) };
    Err(Problem::new(
        ProblemReason::Conflict,
        format!(
            "the guards of ModelEndpoint {} log in with ServiceAccount {:?} in realm {:?} already (its spec.introspection); use another ServiceAccount",
            name_of(endpoint.as_ref()),
            object.spec.service_account_name,
            object.spec.realm,
        ),
    ))
}

/// Whether Keycloak holds an identity, as its status or this run says.
fn is_held(ctx: &Context, identity: &WorkloadIdentity) -> bool {
    let is_recorded = identity.status.as_ref().is_some_and(|status| status.fingerprint.is_some());
    is_recorded || ctx.ledger.is_held(&trace(identity).of)
}

/// Takes away the claims that the Realm does not list, and tells of them: what endpoints ask for is worth what it may be set
/// by.
fn take_unlisted(workload: &mut Workload, ctx: &Context) -> Vec<Problem> {
    let listed = Caches::cluster(&ctx.caches.realms, &workload.realm).map(|realm| realm.spec.claims.clone());
    let listed = listed.unwrap_or_default();
    let (kept, unlisted) =
        std::mem::take(&mut workload.claims).into_iter().partition(|(name, _)| listed.contains(name));
    workload.claims = kept;
    let problem = |(name, _): (String, ClaimValue)| {
        let message = format!(
            "Realm {:?} does not list the claim {name:?}, so tokens do not carry it; ask the platform team to add it to its spec.claims, or leave it out",
            workload.realm
        );
        Problem::new(ProblemReason::ClaimNotListed, message)
    };
    unlisted.into_iter().map(problem).collect()
}

/// Takes away the targets outside the cluster that the Realm does not list, and tells of them: a token is worth something
/// wherever it is sent.
fn admit_external(workload: &mut Workload, ctx: &Context) -> Vec<Problem> {
    if workload.targets.iter().all(|target| target.to.external().is_none()) {
        return Vec::new();
    }
    let labels = ctx.caches.namespace_labels(&workload.name.namespace);
    let realm = Caches::cluster(&ctx.caches.realms, &workload.realm);
    let listed = realm.map(|realm| realm.external_audiences(&labels)).unwrap_or_default();
    let mut problems = Vec::new();
    workload.targets.retain_mut(|target| {
        let Destination::External(external) = &mut target.to else { return true };
        match external.admitted(&listed, &target.env, &workload.realm) {
            Ok(admitted) => *external = admitted,
            Err(problem) => {
                problems.push(problem);
                return false;
            }
        }
        true
    });
    problems
}

fn no_issuer(workload: &Workload) -> Problem {
    Problem::new(
        ProblemReason::NoWorkloadIssuer,
        format!(
            "Realm {:?} does not trust this cluster's ServiceAccount tokens; ask the platform team to set its spec.workloadIssuer",
            workload.realm
        ),
    )
}

fn target_problem(ctx: &Context, workload: &Workload, target: &crate::core::graph::Target) -> Option<Problem> {
    let Destination::Endpoint { name, port } = &target.to else { return None };
    let Some(endpoint) = ctx.caches.endpoint(name) else {
        let message = format!(
            "target {}: ModelEndpoint {name} does not exist (or is invalid); create it or correct spec.targets",
            target.env
        );
        return Some(Problem::new(ProblemReason::EndpointNotFound, message));
    };
    if endpoint.realm != workload.realm {
        let message = format!(
            "target {}: ModelEndpoint {name} is of realm {:?}, this identity of realm {:?}",
            target.env, endpoint.realm, workload.realm
        );
        return Some(Problem::new(ProblemReason::RealmMismatch, message));
    }
    if endpoint.port(port.as_deref()).is_none() {
        let message = format!(
            "target {}: ModelEndpoint {name} has no port named {:?}",
            target.env,
            port.as_deref().unwrap_or_default()
        );
        return Some(Problem::new(ProblemReason::PortNotFound, message));
    }
    None
}

async fn publish(ctx: &Context, object: &WorkloadIdentity, gathered: &Gathered) -> Result<(), ObjectError> {
    let Some(owner) = object.controller_owner_ref(&()) else { return Ok(()) };
    let usable = |name: &Ref| ctx.caches.endpoint(name).filter(|endpoint| endpoint.realm == gathered.workload.realm);
    let config = egress_config(&gathered.workload, &gathered.realm.urls, usable);
    documents::publish(ctx, DocumentKind::Egress, &gathered.workload.name, &owner, config).await.map(|_| ())
}

/// Makes Keycloak hold what it should.
async fn sync(ctx: &Context, object: &WorkloadIdentity, gathered: &Gathered) -> Synced {
    let desired = build(ctx, gathered);
    settle(ctx, object, trace(object).of, recorded(object), &gathered.realm, &desired).await
}

fn build(ctx: &Context, gathered: &Gathered) -> DesiredWorkload {
    let there = |name: &Ref| in_keycloak(ctx, name).filter(|endpoint| endpoint.realm == gathered.workload.realm);
    desired_workload(gathered.realm.site(ctx), &gathered.workload, &gathered.issuer_alias, there, &gathered.edges)
}

/// What the status remembers of earlier runs.
pub fn recorded(object: &WorkloadIdentity) -> Recorded {
    let status = object.status.as_ref();
    status.map(|status| Recorded::of(status.fingerprint.as_deref(), &status.conditions)).unwrap_or_default()
}

/// What Keycloak should hold of an identity; `None` while the identity is not valid.
pub fn desired(ctx: &Context, object: &WorkloadIdentity) -> Option<DesiredWorkload> {
    gather(object, ctx).ok().map(|gathered| build(ctx, &gathered))
}

/// The endpoint, once Keycloak holds its client, roles and scopes.
fn in_keycloak(ctx: &Context, name: &Ref) -> Option<Endpoint> {
    let object = Caches::namespaced(&ctx.caches.endpoints, name)?;
    object.status.as_ref()?.audience.as_ref()?;
    ctx.caches.endpoint(name)
}
