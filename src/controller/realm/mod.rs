//! Realm: gather → validate → build → Keycloak → status.

mod build;
mod deletion;
mod settings;
mod status;

use std::{sync::Arc, time::Duration};

use kube::{Api, Resource, ResourceExt};

use super::{
    condition::Verdict,
    context::Context,
    error::Error,
    finalizer,
    servers::{Login, issuer_alias, server_of},
    sync::verdict,
};
use crate::{
    api::{KeycloakServer, Realm},
    cluster::{IssuerError, workload_issuer},
    core::{
        desired::WorkloadIssuer,
        graph::{Problem, ProblemReason},
    },
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
    match gather(&object, &ctx) {
        Err(problem) => {
            status::rejected(&ctx, &api, &object, &problem).await?;
            Ok(None)
        }
        Ok(gathered) => {
            finalizer::hold(&api, object.as_ref()).await?;
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
        Ok(_) => verdict(ctx, realm.reconcile_realm(&desired).await),
        Err(_) => Err(Verdict::waiting(super::condition::SYNCED, "for this cluster's keys")),
    };
    let settings = settings::apply(ctx, &realm, &desired, given.missing, &problems).await;
    let told = settings.as_ref().map(|settings| &settings.verdict);
    status::accepted(ctx, api, object, &gathered.server, &issuer, &synced, told).await?;
    issuer.map_err(|error| Error::Keycloak(error.to_string()))?;
    synced.map_err(|verdict| Error::Keycloak(verdict.message))?;
    match settings {
        Some(settings) if settings.failed => Err(Error::Keycloak(settings.verdict.message)),
        settings => Ok(settings.and_then(|settings| settings.look_again)),
    }
}

fn gather(object: &Realm, ctx: &Context) -> Result<Gathered, Problem> {
    let server = server_of(&ctx.caches, object)?;
    let login = ctx.servers.get(&object.spec.server).ok_or_else(|| {
        let message = format!("KeycloakServer {:?} is not ready; see its conditions", server.name_any());
        Problem::new(ProblemReason::ServerNotReady, message)
    })?;
    Ok(Gathered { server, login })
}

/// This cluster as the realm is to trust it; `None` where it is not to.
async fn cluster_issuer(ctx: &Context, object: &Realm) -> Result<Option<WorkloadIssuer>, IssuerError> {
    match issuer_alias(object, &ctx.cluster) {
        Some(alias) => workload_issuer(&ctx.client, alias).await.map(Some),
        None => Ok(None),
    }
}
