//! Realm: gather → validate → build → Keycloak → status.

mod build;
mod deletion;
mod status;

use std::{sync::Arc, time::Duration};

use kube::{Api, Resource, ResourceExt};

use super::{
    condition::Verdict,
    context::Context,
    error::Error,
    finalizer,
    ledger::Traced,
    servers::{Login, issuer_alias, server_of},
    sync::verdict,
};
use crate::{
    api::{KeycloakServer, Realm, parse::name_of},
    cluster::{IssuerError, workload_issuer},
    core::{
        build::kind,
        desired::WorkloadIssuer,
        diff::Change,
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
            let issuer = cluster_issuer(&ctx, &object).await;
            let synced = match &issuer {
                Ok(issuer) => sync(&ctx, &object, &gathered, issuer.clone()).await,
                Err(_) => Err(Verdict::waiting(super::condition::SYNCED, "for this cluster's keys")),
            };
            status::accepted(&ctx, &api, &object, &gathered.server, &issuer, &synced).await?;
            issuer.map_err(|error| Error::Keycloak(error.to_string()))?;
            synced.map_err(|verdict| Error::Keycloak(verdict.message))?;
            Ok(None)
        }
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

async fn sync(
    ctx: &Context,
    object: &Realm,
    gathered: &Gathered,
    issuer: Option<WorkloadIssuer>,
) -> Result<Verdict, Verdict> {
    let desired = build::desired(&ctx.cluster, object, issuer);
    let result = gathered.login.admin.realm(&object.spec.realm).reconcile_realm(&desired).await;
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
