//! Realm: gather → validate → build → Keycloak → status.

mod build;
mod deletion;
mod objects;
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
    api::{KeycloakServer, Realm, parse::Problems},
    cluster::{IssuerError, workload_issuer},
    core::{
        desired::{WorkloadIssuer, objects::DesiredObjects},
        graph::{Problem, ProblemReason},
    },
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
            Ok(None)
        }
        Ok(gathered) => {
            finalizer::hold(&api, object.as_ref()).await?;
            let issuer = cluster_issuer(&ctx, &object).await;
            let synced = match &issuer {
                Ok(issuer) => sync(&ctx, &object, &gathered, issuer.clone()).await,
                Err(_) => Err(Verdict::waiting(super::condition::SYNCED, "for this cluster's keys")),
            };
            let objects = objects::reconcile(&ctx, &object, &gathered, &synced).await;
            status::accepted(&ctx, &api, &object, &gathered.server, &issuer, &synced, &objects).await?;
            issuer.map_err(|error| Error::Keycloak(error.to_string()))?;
            synced.map_err(|verdict| Error::Keycloak(verdict.message))?;
            objects::outcome(&objects)
        }
    }
}

async fn gather(object: &Realm, ctx: &Context) -> Result<Gathered, Problems> {
    let server = server_of(&ctx.caches, object).map_err(|problem| vec![problem])?;
    let login = ctx.servers.get(&object.spec.server).ok_or_else(|| {
        let message = format!("KeycloakServer {:?} is not ready; see its conditions", server.name_any());
        vec![Problem::new(ProblemReason::ServerNotReady, message)]
    })?;
    let objects = objects::gather(ctx, object).await?;
    Ok(Gathered { server, login, objects })
}

/// This cluster as the realm is to trust it; `None` where it is not to.
async fn cluster_issuer(ctx: &Context, object: &Realm) -> Result<Option<WorkloadIssuer>, IssuerError> {
    match issuer_alias(object, &ctx.cluster) {
        Some(alias) => workload_issuer(&ctx.client, alias).await.map(Some),
        None => Ok(None),
    }
}

async fn sync(
    ctx: &Context,
    object: &Realm,
    gathered: &Gathered,
    issuer: Option<WorkloadIssuer>,
) -> Result<Verdict, Verdict> {
    let desired = build::desired(&ctx.cluster, object, issuer);
    verdict(ctx, gathered.login.admin.realm(&object.spec.realm).reconcile_realm(&desired).await)
}
