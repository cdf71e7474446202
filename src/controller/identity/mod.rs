//! WorkloadIdentity: gather → validate → publish (egress) → Keycloak → status.

mod admit;
mod credential;
mod expiry;
mod network;
mod status;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};

pub use credential::Credentials;

use self::credential::Progress;
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
        build::{Login, desired_workload, egress_config, kind},
        credential::Kept,
        desired::DesiredWorkload,
        graph::{self, Destination, Edge, Endpoint, Problem, ProblemReason, Workload, in_force, next_expiry},
        name::Ref,
    },
    policy::DocumentKind,
};

/// Everything that a valid identity's pass needs.
struct Gathered {
    workload: Workload,
    realm: RealmLink,
    /// By which Keycloak knows its ServiceAccount; `None`: it keeps credentials.
    issuer_alias: Option<String>,
    edges: Vec<Edge>,
    /// What is wrong with its targets; the others work all the same.
    targets: Vec<Problem>,
    /// Which of its claims it may not set; the others count.
    claims: Vec<Problem>,
    /// Which roles of other clients it may not have; the others count.
    roles: Vec<Problem>,
    /// When the next grant ends, or the identity itself.
    expiry: Option<Duration>,
}

/// One pass over one identity. Says when the next must be at the latest.
pub async fn reconcile(object: Arc<WorkloadIdentity>, ctx: Arc<Context>) -> Result<Option<Duration>, Error> {
    let api = Api::<WorkloadIdentity>::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    if object.meta().deletion_timestamp.is_some() {
        cleanup::run(&ctx, &api, object.as_ref(), trace(&object)).await?;
        ctx.credentials.forget(&name_of(object.as_ref()));
        return Ok(None);
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
            let keycloak = in_keycloak_and_pods(&ctx, &object, &gathered).await;
            let outcome = Outcome { published: &published, keycloak: &keycloak };
            status::accepted(&ctx, &api, &object, &gathered, outcome).await?;
            published?;
            let InKeycloak { synced, kept: _, progress } = keycloak?;
            synced.result()?;
            Ok(gathered.expiry.into_iter().chain(progress.again).min())
        }
    }
}

/// What the identity left in Keycloak.
fn trace(object: &WorkloadIdentity) -> Trace<'_> {
    let of = Traced { kind: kind::WORKLOAD, name: name_of(object) };
    let realm = object.held_in().unwrap_or(&object.spec.realm);
    let has_second = object.has_kept_credentials();
    Trace { of, realm, is_held: object.held_in().is_some(), policy: object.spec.deletion_policy, has_second }
}

fn gather(object: &WorkloadIdentity, ctx: &Context) -> Result<Gathered, Vec<Problem>> {
    let mut workload = object.parse()?;
    let realm = link(ctx, &workload.realm, &workload.name.namespace).map_err(|problem| vec![problem])?;
    alone(object, ctx).and_then(|()| beside_guards(object, ctx)).map_err(|problem| vec![problem])?;
    let issuer_alias = match workload.login {
        graph::Login::KubernetesToken => Some(realm.issuer_alias.clone().ok_or_else(|| vec![no_issuer(&workload)])?),
        graph::Login::Kept(_) => None,
    };
    let claims = admit::claims(&mut workload, ctx);
    let acting = ctx.caches.acting_with(&workload.name);
    workload.acts_on_behalf = acting.iter().any(|endpoint| endpoint.spec.realm == workload.realm);
    let outside = admit::external(&mut workload, ctx);
    let roles = admit::roles(&mut workload, ctx);
    let now = Timestamp::now().as_second();
    let grants = ctx.caches.grants_to(&workload.name);
    let this = |name: &Ref| (*name == workload.name).then(|| workload.clone());
    let edges = in_force(&grants, |name| ctx.caches.endpoint(name), this, now);
    let expiry = next_expiry(&grants, now).into_iter().chain(workload.expires_at).min();
    let expiry = expiry.map(|at| Duration::from_secs(at.abs_diff(now)));
    let inside = workload.targets.iter().filter_map(|target| target_problem(ctx, &workload, target));
    let targets = inside.chain(outside).collect();
    Ok(Gathered { workload, realm, issuer_alias, edges, targets, claims, roles, expiry })
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

/// Guards log in with a ServiceAccount too: those of an endpoint where they ask of tokens, those of an application always.
fn beside_guards(object: &WorkloadIdentity, ctx: &Context) -> Result<(), Problem> {
    let claim = Claim::of(object);
    let (asking, signing_in) = (ctx.caches.introspecting(&claim), ctx.caches.signing_in(&claim));
    let endpoint = asking.iter().find(|endpoint| is_older(endpoint.as_ref(), object));
    let app = signing_in.iter().find(|app| is_older(app.as_ref(), object));
    let taken = match (endpoint, app) {
        (Some(endpoint), _) => format!("ModelEndpoint {} (its spec.introspection)", name_of(endpoint.as_ref())),
        (None, Some(app)) => format!("WebApp {}", name_of(app.as_ref())),
        (None, None) => return Ok(()),
    };
    let message = format!(
        "the guards of {taken} log in with ServiceAccount {:?} in realm {:?} already; use another ServiceAccount",
        object.spec.service_account_name, object.spec.realm,
    );
    Err(Problem::new(ProblemReason::Conflict, message))
}

/// Whether Keycloak holds an identity, as its status or this run says.
fn is_held(ctx: &Context, identity: &WorkloadIdentity) -> bool {
    let is_recorded = identity.status.as_ref().is_some_and(|status| status.fingerprint.is_some());
    is_recorded || ctx.ledger.is_held(&trace(identity).of)
}

fn no_issuer(workload: &Workload) -> Problem {
    Problem::new(
        ProblemReason::NoWorkloadIssuer,
        format!(
            "Realm {:?} does not trust this cluster's ServiceAccount tokens; ask the platform team to set its spec.workloadIssuer, or set spec.credential to PrivateKeyJwt",
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

/// How an identity stands in Keycloak, and with its credential.
pub struct InKeycloak {
    synced: Synced,
    kept: Option<Kept>,
    progress: Progress,
}

/// How far a pass came.
#[derive(Clone, Copy)]
pub struct Outcome<'a> {
    published: &'a Result<(), ObjectError>,
    keycloak: &'a Result<InKeycloak, Error>,
}

/// The next credential is made before Keycloak's turn, and handed out after it; the one before is taken from Keycloak when
/// nobody needs it.
async fn in_keycloak_and_pods(
    ctx: &Context,
    object: &WorkloadIdentity,
    gathered: &Gathered,
) -> Result<InKeycloak, Error> {
    let workload = &gathered.workload;
    let Some(mut kept) = credential::begin(ctx, object, workload).await? else {
        let synced = sync(ctx, object, gathered, None).await;
        return Ok(InKeycloak { synced, kept: None, progress: Progress::default() });
    };
    let mut synced = sync(ctx, object, gathered, Some(&kept)).await;
    let progress = credential::go_on(ctx, object, workload, &mut kept, synced.is_held()).await?;
    if progress.retired {
        synced = sync(ctx, object, gathered, Some(&kept)).await;
    }
    Ok(InKeycloak { synced, kept: Some(kept), progress })
}

/// Makes Keycloak hold what it should.
async fn sync(ctx: &Context, object: &WorkloadIdentity, gathered: &Gathered, kept: Option<&Kept>) -> Synced {
    let Some(desired) = build(ctx, gathered, kept) else { return Synced::unknown() };
    settle(ctx, object, trace(object).of, recorded(object), &gathered.realm, &desired).await
}

/// `None` where it keeps credentials that are not known yet.
fn build(ctx: &Context, gathered: &Gathered, kept: Option<&Kept>) -> Option<DesiredWorkload> {
    let there = |name: &Ref| in_keycloak(ctx, name).filter(|endpoint| endpoint.realm == gathered.workload.realm);
    let login = match (&gathered.workload.login, &gathered.issuer_alias, kept) {
        (graph::Login::KubernetesToken, Some(alias), _) => Login::Federated(alias),
        (graph::Login::Kept(rules), _, Some(kept)) => Login::Kept(rules.method, kept),
        _ => return None,
    };
    Some(desired_workload(gathered.realm.site(ctx), &gathered.workload, login, there, &gathered.edges))
}

/// What the status remembers of earlier runs.
pub fn recorded(object: &WorkloadIdentity) -> Recorded {
    let status = object.status.as_ref();
    status.map(|status| Recorded::of(status.fingerprint.as_deref(), &status.conditions)).unwrap_or_default()
}

/// What Keycloak should hold of an identity; `None` while the identity is not valid, or its credentials are not read.
pub fn desired(ctx: &Context, object: &WorkloadIdentity) -> Option<DesiredWorkload> {
    let gathered = gather(object, ctx).ok()?;
    let kept = ctx.credentials.get(&gathered.workload.name);
    build(ctx, &gathered, kept.as_ref())
}

/// The endpoint, once Keycloak holds its client, roles and scopes.
fn in_keycloak(ctx: &Context, name: &Ref) -> Option<Endpoint> {
    let object = Caches::namespaced(&ctx.caches.endpoints, name)?;
    object.status.as_ref()?.audience.as_ref()?;
    ctx.caches.endpoint(name)
}
