//! Realm: gather → validate → build → Keycloak → status.

mod build;
mod deletion;
mod rights;
mod settings;
mod status;

use std::{sync::Arc, time::Duration};

use kube::{Api, Resource, ResourceExt};

use super::{
    condition::Verdict,
    context::Context,
    error::Error,
    finalizer,
    ledger::Traced,
    login,
    servers::{Account, Login, issuer_alias, not_ready, server_of},
    sync::verdict,
    trust,
};
use crate::{
    api::{KeycloakServer, Realm, parse::name_of},
    cluster::{IssuerError, workload_issuer},
    core::{
        build::kind,
        desired::{DesiredRealm, WorkloadIssuer},
        diff::Change,
        graph::{Problem, ProblemReason},
    },
    keycloak::RealmAdmin,
};

/// Everything that a valid realm's pass needs.
struct Gathered {
    server: Arc<KeycloakServer>,
    login: Login,
}

/// One pass over one realm.
pub async fn reconcile(object: Arc<Realm>, ctx: Arc<Context>) -> Result<Option<Duration>, Error> {
    let api = Api::<Realm>::all(ctx.client.clone());
    if object.meta().deletion_timestamp.is_some() {
        return deletion::run(&ctx, &api, &object).await.map(|()| None);
    }
    match gather(&object, &ctx).await {
        Err(problem) => {
            status::rejected(&ctx, &api, &object, &problem).await?;
            match object.spec.credentials {
                // The server triggers this realm when it is ready.
                None => Ok(None),
                // Nobody tells of a Secret that was made or mended.
                Some(_) => Err(Error::Keycloak(problem.message)),
            }
        }
        Ok(gathered) => {
            finalizer::hold(&api, object.as_ref()).await?;
            follow_login(&ctx, &object, &gathered.login).await;
            pass(&ctx, &api, &object, &gathered).await
        }
    }
}

/// Realm, roles and trust first: workloads need them. Then the settings, which fail for themselves.
async fn pass(ctx: &Context, api: &Api<Realm>, object: &Realm, gathered: &Gathered) -> Result<Option<Duration>, Error> {
    let given = settings::gather(ctx, object).await;
    let issuer = cluster_issuer(ctx, object).await;
    let trusted = issuer.as_ref().ok().cloned().flatten();
    let (desired, problems) = build::desired(&ctx.cluster, object, settings::now(), given.password, trusted);
    let realm = gathered.login.admin.realm(&object.spec.realm);
    let synced = match &issuer {
        Ok(_) => sync(ctx, object, &realm, &desired).await,
        Err(_) => Err(Verdict::waiting(super::condition::SYNCED, "for this cluster's keys")),
    };
    let settings = settings::apply(ctx, &realm, &desired, given.missing, &problems).await;
    let rights = rights::verdict(object, &gathered.login).await;
    let more = settings.as_ref().map(|settings| settings.verdict.clone()).into_iter().chain(rights).collect();
    status::accepted(ctx, api, object, &gathered.server, &issuer, &synced, more).await?;
    issuer.map_err(|error| Error::Keycloak(error.to_string()))?;
    synced.map_err(|verdict| Error::Keycloak(verdict.message))?;
    match settings {
        Some(settings) if settings.failed => Err(Error::Keycloak(settings.verdict.message)),
        settings => Ok(settings.and_then(|settings| settings.look_again)),
    }
}

async fn gather(object: &Realm, ctx: &Context) -> Result<Gathered, Problem> {
    let server = server_of(&ctx.caches, object)?;
    let login = login_of(ctx, object, &server).await?;
    Ok(Gathered { server, login })
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

async fn sync(ctx: &Context, object: &Realm, realm: &RealmAdmin, desired: &DesiredRealm) -> Result<Verdict, Verdict> {
    let result = realm.reconcile_realm(desired).await;
    if result.as_ref().is_ok_and(|changes| is_made_anew(changes)) {
        start_over(ctx, &object.name_any());
    }
    verdict(ctx, result)
}

fn is_made_anew(changes: &[Change]) -> bool {
    changes.iter().any(|change| matches!(change, Change::CreateRealm { .. }))
}

/// What the realm held before is gone with it. Its becoming ready triggers all of them.
fn start_over(ctx: &Context, realm: &str) {
    let endpoints = ctx.caches.endpoints.state_filter(|endpoint| endpoint.spec.realm == realm);
    let identities = ctx.caches.identities.state_filter(|identity| identity.spec.realm == realm);
    let endpoints = endpoints.iter().map(|found| Traced { kind: kind::ENDPOINT, name: name_of(found.as_ref()) });
    let identities = identities.iter().map(|found| Traced { kind: kind::WORKLOAD, name: name_of(found.as_ref()) });
    endpoints.chain(identities).for_each(|of| ctx.ledger.lost(of));
}
