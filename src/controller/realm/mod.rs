//! Realm: gather → validate → build → Keycloak → status.

mod build;
mod deletion;
mod drift;
mod objects;
mod rights;
mod settings;
mod status;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use kube::{Api, Resource, ResourceExt};
use serde_json::Value;

use self::{
    drift::{End, Sight},
    status::Seen,
};
pub use drift::traced;

use super::{
    condition::{ACCEPTED, SYNCED, Verdict},
    context::Context,
    error::Error,
    finalizer,
    ledger::Traced,
    login,
    servers::{Account, Login, issuer_alias, not_ready, server_of},
    sync, trust,
};
use crate::{
    api::{
        KeycloakServer, Realm,
        parse::{Problems, name_of},
    },
    cluster::{IssuerError, workload_issuer},
    core::{
        build::kind,
        desired::{DesiredRealm, WorkloadIssuer, objects::DesiredObjects, representation::RealmRepresentation},
        diff::Change,
        graph::{Problem, ProblemReason},
    },
    keycloak::{RealmAdmin, ReconcileError},
};

/// Everything that a valid realm's pass needs.
struct Gathered {
    server: Arc<KeycloakServer>,
    login: Login,
    objects: DesiredObjects,
}

/// One pass over one realm.
pub async fn reconcile(object: Arc<Realm>, ctx: Arc<Context>) -> Result<Option<Duration>, Error> {
    let api = Api::<Realm>::all(ctx.client.clone());
    if object.meta().deletion_timestamp.is_some() {
        return deletion::run(&ctx, &api, &object).await.map(|()| None);
    }
    match gather(&object, &ctx).await {
        Err(problems) => {
            status::rejected(&ctx, &api, &object, &problems).await?;
            match object.spec.credentials {
                // The server triggers this realm when it is ready.
                None => Ok(None),
                // Nobody tells of a Secret that was made or mended.
                Some(_) => Err(Error::Keycloak(Verdict::problems(ACCEPTED, &problems).message)),
            }
        }
        Ok(gathered) => {
            finalizer::hold(&api, object.as_ref()).await?;
            follow_login(&ctx, &object, &gathered.login).await;
            pass(&ctx, &api, &object, &gathered).await
        }
    }
}

/// Realm, roles and trust first: workloads need them. Then the settings and the lists, which fail for
/// themselves.
async fn pass(ctx: &Context, api: &Api<Realm>, object: &Realm, gathered: &Gathered) -> Result<Option<Duration>, Error> {
    let given = settings::gather(ctx, object).await;
    let issuer = cluster_issuer(ctx, object).await;
    let trusted = issuer.as_ref().ok().cloned().flatten();
    let (desired, problems) = build::desired(&ctx.cluster, object, settings::now(), given.password, trusted);
    let sight = Sight::begin(ctx, object, &desired, &gathered.objects);
    let realm = sight.admin(gathered.login.admin.realm(&object.spec.realm));
    let made = match &issuer {
        Ok(_) => sync(ctx, &realm, &desired).await,
        Err(_) => Made::waiting("for this cluster's keys"),
    };
    // Another cluster of the same name has the same marks: what looks like ours is its.
    let is_namesakes = matches!(&made.synced, Err(verdict) if verdict.reason == sync::CLUSTER_NAME_TAKEN);
    let settings = match is_namesakes {
        true => None,
        false => settings::apply(&realm, &desired, given.missing, &problems).await,
    };
    let objects = objects::reconcile(&realm, &gathered.objects, &made.synced).await;
    let rights = rights::verdict(object, &gathered.login).await;
    let (end, changes) = total(&made, settings.as_ref(), &objects);
    if sight.is_made(&changes, is_made_anew) {
        start_over(ctx, &object.name_any());
    }
    let told = sight.end(ctx, object, end, &changes).await;
    let of_settings = settings.iter().map(|settings| settings.verdict.clone());
    let concerns: Vec<_> = of_settings.chain(objects.verdicts.clone()).chain(rights).chain(told.drift).collect();
    let (fingerprint, not_before) = (told.fingerprint, made.not_before);
    let seen = Seen { issuer: &issuer, synced: &made.synced, concerns: &concerns, fingerprint, not_before };
    status::accepted(ctx, api, object, &gathered.server, seen).await?;
    issuer.map_err(|error| Error::Keycloak(error.to_string()))?;
    made.synced.map_err(|verdict| Error::Keycloak(verdict.message))?;
    let look_again = objects.outcome()?;
    match settings {
        Some(settings) if settings.is_failed() => Err(Error::Keycloak(settings.verdict.message)),
        settings => Ok(settings.and_then(|settings| settings.look_again).into_iter().chain(look_again).min()),
    }
}

async fn gather(object: &Realm, ctx: &Context) -> Result<Gathered, Problems> {
    let server = server_of(&ctx.caches, object).map_err(|problem| vec![problem])?;
    let login = login_of(ctx, object, &server).await.map_err(|problem| vec![problem])?;
    let objects = objects::gather(ctx, object).await?;
    Ok(Gathered { server, login, objects })
}

/// The login by which the realm is administered.
async fn login_of(ctx: &Context, object: &Realm, server: &KeycloakServer) -> Result<Login, Problem> {
    let account = Account::Server(object.spec.server.clone());
    let of_server = ctx.servers.get(&account).ok_or_else(|| not_ready(server))?;
    let login = login::of_realm(ctx, object, server, of_server).await;
    login.map_err(|error| Problem::new(ProblemReason::ServerNotReady, error.to_string()))
}

/// A realm that the operator logs in at by the cluster's keys has to know them although nobody else there needs them.
async fn follow_login(ctx: &Context, object: &Realm, login: &Login) {
    let by_token = object.spec.credentials.as_ref().is_some_and(|spec| spec.kubernetes_token.is_some());
    if by_token && object.spec.workload_issuer.is_none() {
        let told = trust::follow_login(ctx, login).await;
        tracing::debug!(realm = object.spec.realm, ?told, "followed the cluster's keys");
    }
}

/// This cluster as the realm is to trust it; `None` where it is not to.
async fn cluster_issuer(ctx: &Context, object: &Realm) -> Result<Option<WorkloadIssuer>, IssuerError> {
    match issuer_alias(object, &ctx.cluster) {
        Some(alias) => workload_issuer(&ctx.client, alias).await.map(Some),
        None => Ok(None),
    }
}

/// How all of it ended, and every change of it.
fn total(made: &Made, settings: Option<&settings::Outcome>, lists: &objects::Lists) -> (End, Vec<Change>) {
    let end = settings.map_or(End::Whole, |settings| settings.end).max(made.end).max(lists.end);
    let of_settings = settings.into_iter().flat_map(|settings| &settings.changes);
    (end, made.changes.iter().chain(of_settings).chain(&lists.changes).cloned().collect())
}

/// What became of the realm itself, its roles and its trust.
struct Made {
    synced: Result<Verdict, Verdict>,
    changes: Vec<Change>,
    end: End,
    /// The realm's `notBefore`, where it was seen.
    not_before: Option<i64>,
}

impl Made {
    fn waiting(what: &str) -> Self {
        Self { synced: Err(Verdict::waiting(SYNCED, what)), changes: Vec::new(), end: End::Unseen, not_before: None }
    }
}

async fn sync(ctx: &Context, realm: &RealmAdmin, desired: &DesiredRealm) -> Made {
    let not_before = OnceLock::new();
    let see = |found: &RealmRepresentation| {
        if let Some(seen) = found.settings.get("notBefore").and_then(Value::as_i64) {
            // The second look of a pass sees the same.
            let _ = not_before.set(seen);
        }
    };
    let made = realm.reconcile_realm_seeing(desired, see).await;
    let not_before = not_before.get().copied();
    match made {
        Ok(changes) => Made { synced: Ok(sync::good()), changes, end: End::Whole, not_before },
        Err(error) => {
            let end = if matches!(error, ReconcileError::Apply(_)) { End::Broken } else { End::Unseen };
            Made { synced: Err(sync::failure(ctx, &error)), changes: Vec::new(), end, not_before }
        }
    }
}

fn is_made_anew(change: &Change) -> bool {
    matches!(change, Change::CreateRealm { .. })
}

/// What the realm held before is gone with it. Its becoming ready triggers all of them.
fn start_over(ctx: &Context, realm: &str) {
    let endpoints = ctx.caches.endpoints.state_filter(|endpoint| endpoint.spec.realm == realm);
    let apps = ctx.caches.apps.state_filter(|app| app.spec.realm == realm);
    let identities = ctx.caches.identities.state_filter(|identity| identity.spec.realm == realm);
    let endpoints = endpoints.iter().map(|found| Traced { kind: kind::ENDPOINT, name: name_of(found.as_ref()) });
    let identities = identities.iter().map(|found| Traced { kind: kind::WORKLOAD, name: name_of(found.as_ref()) });
    let apps = apps.iter().map(|found| Traced { kind: kind::APP, name: name_of(found.as_ref()) });
    endpoints.chain(apps).chain(identities).for_each(|of| ctx.ledger.lost(of));
}
