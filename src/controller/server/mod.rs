//! KeycloakServer: gather (credentials, CA) → log in → status.

mod status;

use std::{sync::Arc, time::Duration};

use kube::{Api, Resource, ResourceExt};

use super::{
    context::Context,
    error::Error,
    finalizer, login,
    servers::{Account, Login},
    trust::{self, Following},
};
use crate::{
    api::KeycloakServer,
    core::graph::{Problem, ProblemReason},
};

/// How often the login of a server is tried again while all is well.
const CHECK: Duration = Duration::from_secs(60);
/// How often while Keycloak does not answer: each pass is a request where the breaker lets one through, so that a
/// Keycloak that is back is noticed although nobody wants anything of it.
const WHILE_AWAY: Duration = Duration::from_secs(5);

/// One pass over one server.
pub async fn reconcile(object: Arc<KeycloakServer>, ctx: Arc<Context>) -> Result<Option<Duration>, Error> {
    let api = Api::<KeycloakServer>::all(ctx.client.clone());
    if object.meta().deletion_timestamp.is_some() {
        return delete(&ctx, &api, &object).await.map(|()| None);
    }
    finalizer::hold(&api, object.as_ref()).await?;
    let login = login::of_server(&ctx, &object).await;
    let checked = match &login {
        Ok(login) => Some(login.admin.check().await),
        Err(_) => None,
    };
    let following = match (&login, &checked) {
        (Ok(login), Some(Ok(_))) => follow(&ctx, &object, login).await,
        _ => None,
    };
    let skew = login.as_ref().ok().and_then(|login| login.admin.clock_skew());
    let seen = status::Seen { checked: checked.as_ref(), following: following.as_ref(), skew };
    status::write(&ctx, &api, &object, login.as_ref().err(), &seen).await?;
    login.map_err(|error| Error::Keycloak(error.to_string()))?;
    match checked {
        Some(Err(error)) if error.is_out_of_reach() => Ok(Some(WHILE_AWAY)),
        Some(Err(error)) => Err(Error::Keycloak(error.to_string())),
        _ => Ok(Some(CHECK)),
    }
}

/// Keeps the login realm told of the cluster's keys, where the login depends on them.
async fn follow(ctx: &Context, object: &KeycloakServer, login: &Login) -> Option<Following> {
    object.spec.credentials.kubernetes_token.as_ref()?;
    Some(trust::follow_login(ctx, login).await)
}

/// A server goes after its realms: they need the login for their own clean-up.
async fn delete(ctx: &Context, api: &Api<KeycloakServer>, object: &KeycloakServer) -> Result<(), Error> {
    let name = object.name_any();
    let realms = ctx.caches.realms.state_filter(|realm| realm.spec.server == name && finalizer::is_held(realm));
    if !realms.is_empty() && !finalizer::is_released_by_hand(object) {
        // They need the login for their own clean-up, and a restart has forgotten it.
        if let Err(error) = login::of_server(ctx, object).await {
            tracing::warn!(server = name, %error, "no login for the clean-up of the server's realms");
        }
        let message = format!("waiting to go: {} Realms still use the server; delete them first", realms.len());
        let problem = Problem::new(ProblemReason::InUse, message);
        // The last of them triggers this server when it goes.
        return status::waiting(ctx, api, object, &problem).await;
    }
    ctx.servers.remove(&Account::Server(name));
    Ok(finalizer::release(api, object).await?)
}
