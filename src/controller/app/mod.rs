//! WebApp: gather → validate → pods (what its sidecar, or the application itself, needs there) → Keycloak → status.
//!
//! As with an endpoint the policy goes first: a guard must refuse whom it is closed to also while Keycloak is down. What an
//! application no longer needs is taken away, however people were signed in before.

mod client_secret;
mod cookies;
mod kept;
mod policy;
mod settings;
mod sidecar;
mod status;

pub use self::kept::AppSecrets;

use std::{sync::Arc, time::Duration};

use kube::{Api, Resource, ResourceExt};

use self::status::{Outcome, Pods};
use super::{
    cleanup::{self, Trace},
    context::Context,
    error::Error,
    finalizer,
    ledger::{Recorded, Traced},
    servers::{RealmLink, link},
    sync::{Synced, settle},
    watch::{Caches, Claim},
};
use crate::{
    api::{WebApp, parse::name_of},
    core::{
        build::{desired_app, kind},
        desired::DesiredEndpoint,
        graph::{App, AppSignIn, Problem, ProblemReason},
    },
};

/// Everything that a valid application's pass needs.
struct Gathered {
    app: App,
    realm: RealmLink,
}

/// One pass over one application. Says when the next must be at the latest.
pub async fn reconcile(object: Arc<WebApp>, ctx: Arc<Context>) -> Result<Option<Duration>, Error> {
    let api = Api::<WebApp>::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    if object.meta().deletion_timestamp.is_some() {
        ctx.isolation.forget(&traced(&object));
        kept::forget(&ctx, &object).await?;
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
            let (pods, again) = pods(&ctx, &object, &gathered).await;
            cleanup::moved(&ctx, object.as_ref(), &trace(&object), &object.spec.realm).await?;
            let synced = sync(&ctx, &object, &gathered).await;
            let outcome = Outcome { pods, synced };
            status::accepted(&ctx, &api, &object, &gathered, &outcome).await?;
            outcome.result()?;
            Ok(again)
        }
    }
}

/// What its pods need, by how people are signed in; and when to look again.
async fn pods(ctx: &Context, object: &WebApp, gathered: &Gathered) -> (Pods, Option<Duration>) {
    match &gathered.app.sign_in {
        AppSignIn::Sidecar { .. } => {
            let (sidecar, again) = sidecar::keep(ctx, object, gathered).await;
            let left = settings::remove(ctx, object).await;
            (Pods { sidecar, left, ..Pods::default() }, again)
        }
        AppSignIn::Native(native) => {
            let settings = settings::keep(ctx, object, gathered, native).await;
            (Pods { settings: Some(settings), left: sidecar::remove(ctx, object).await, ..Pods::default() }, None)
        }
        AppSignIn::Public { .. } => {
            let left = match (sidecar::remove(ctx, object).await, settings::remove(ctx, object).await) {
                (Ok(()), Ok(())) => kept::nothing(ctx, object).await,
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            (Pods { left, ..Pods::default() }, None)
        }
    }
}

/// Whether its spec was not seen before, and an earlier one may have left something behind.
fn is_changed(object: &WebApp) -> bool {
    let seen = object.status.as_ref().and_then(|status| status.observed_generation);
    seen != object.metadata.generation
}

fn traced(object: &WebApp) -> Traced {
    Traced { kind: kind::APP, name: name_of(object) }
}

/// What the application left in Keycloak.
fn trace(object: &WebApp) -> Trace<'_> {
    let realm = object.held_in().unwrap_or(&object.spec.realm);
    let (is_held, policy) = (object.held_in().is_some(), object.spec.deletion_policy);
    Trace { of: traced(object), realm, is_held, policy, has_second: false }
}

fn gather(object: &WebApp, ctx: &Context) -> Result<Gathered, Vec<Problem>> {
    let app = object.parse()?;
    let realm = link(ctx, &app.server.realm, &app.server.name.namespace).map_err(|problem| vec![problem])?;
    listed(ctx, &app).map_err(|problem| vec![problem])?;
    if let Some(account) = app.service_account() {
        may_log_in(object, account, &realm, ctx).map_err(|problem| vec![problem])?;
    }
    Ok(Gathered { app, realm })
}

/// Whoever has a host of a realm's applications gets what its people sign in with, and is called by Keycloak when they sign
/// out: not for a tenant to choose.
fn listed(ctx: &Context, app: &App) -> Result<(), Problem> {
    let realm = &app.server.realm;
    let labels = ctx.caches.namespace_labels(&app.server.name.namespace);
    let object = Caches::cluster(&ctx.caches.realms, realm);
    let listed = object.as_ref().map(|realm| &*realm.spec.app_hosts).unwrap_or_default();
    let is_listed = |host: &str| listed.iter().any(|entry| entry.allows(host, &labels));
    match app.hosts().into_iter().find(|host| !is_listed(host)) {
        None => Ok(()),
        Some(host) => {
            let message = format!(
                "Realm {realm:?} does not list host {host:?} for this namespace, so nobody is signed in there; ask the platform team to add it to its spec.appHosts, or correct spec.host"
            );
            Err(Problem::new(ProblemReason::HostNotListed, message))
        }
    }
}

/// Whether Keycloak can tell the sidecars' login by their ServiceAccount: it takes two clients of one without a word, and lets
/// either win.
fn may_log_in(object: &WebApp, account: &str, realm: &RealmLink, ctx: &Context) -> Result<(), Problem> {
    if realm.issuer_alias.is_none() {
        let message = format!(
            "Realm {:?} does not trust this cluster's ServiceAccount tokens, and spec.signIn Sidecar needs them; ask the platform team to set its spec.workloadIssuer",
            object.spec.realm
        );
        return Err(Problem::new(ProblemReason::NoWorkloadIssuer, message));
    }
    let Some(claim) = Claim::of_app(object) else { return Ok(()) };
    let Some(taken) = ctx.caches.claimed_by_older(&claim, object) else { return Ok(()) };
    let message = format!(
        "{taken} logs in with ServiceAccount {account:?} in realm {:?} already, and the sidecar needs it alone; run this application's pods with a ServiceAccount of their own",
        object.spec.realm
    );
    Err(Problem::new(ProblemReason::Conflict, message))
}

/// What the status remembers of earlier runs.
pub fn recorded(object: &WebApp) -> Recorded {
    let status = object.status.as_ref();
    status.map(|status| Recorded::of(status.fingerprint.as_deref(), &status.conditions)).unwrap_or_default()
}

/// What Keycloak should hold of an application; `None` while it is not valid.
pub fn desired(ctx: &Context, object: &WebApp) -> Option<DesiredEndpoint> {
    build(ctx, &gather(object, ctx).ok()?)
}

/// `None`: it has a secret that this run has not read yet.
fn build(ctx: &Context, gathered: &Gathered) -> Option<DesiredEndpoint> {
    let (realm, app) = (&gathered.realm, &gathered.app);
    let secret = match app.native() {
        Some(_) => Some(ctx.app_secrets.client(&app.server.name)?.sealed()),
        None => None,
    };
    Some(desired_app(realm.site(ctx), app, realm.issuer_alias.as_deref(), secret))
}

/// Makes Keycloak hold what it should.
async fn sync(ctx: &Context, object: &WebApp, gathered: &Gathered) -> Synced {
    let Some(desired) = build(ctx, gathered) else { return Synced::unknown() };
    settle(ctx, object, traced(object), recorded(object), &gathered.realm, &desired).await
}
