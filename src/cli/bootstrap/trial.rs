//! The operator's own login, tried as the operator will make it: with a token of its ServiceAccount.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::BoxFuture;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use secrecy::SecretString;

use super::Args;
use crate::keycloak::{Admin, ApiError, AssertionSource, BootstrapSpec, Credentials, LoginError};

/// The shortest that the API server issues, in seconds.
const LIFETIME: i64 = 600;

#[derive(Debug)]
struct OneToken(SecretString);

impl AssertionSource for OneToken {
    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, LoginError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// Tells how it went. What was made is made, so nothing of this is an error.
pub async fn run(client: &Client, admin: &Admin, args: &Args, spec: &BootstrapSpec) {
    match token(client, args).await {
        Err(reason) => eprintln!("  login: not tried, no token of {} can be had ({reason})", spec.subject),
        Ok(token) => match log_in(admin, args, spec, token).await {
            Ok(()) => eprintln!("  login: tried, with exactly the rights that it was given"),
            Err(reason) => eprintln!("  warning: the operator's login does not work as it should: {reason}"),
        },
    }
}

async fn log_in(admin: &Admin, args: &Args, spec: &BootstrapSpec, token: SecretString) -> Result<(), String> {
    let credentials =
        Credentials::KubernetesToken { client_id: args.client_id.clone(), token: Arc::new(OneToken(token)) };
    let operator = admin.logged_in_at(args.login_realm(), credentials);
    let said = |error: ApiError| error.to_string();
    operator.check().await.map_err(said)?;
    for grant in &spec.grants {
        let held = operator.realm(&grant.realm).held_roles(false).await.map_err(said)?.unwrap_or_default();
        let differing: BTreeSet<_> = grant.roles.symmetric_difference(&held).map(String::as_str).collect();
        if !differing.is_empty() {
            let names = differing.into_iter().collect::<Vec<_>>().join(", ");
            return Err(format!("in realm {} its token has, or lacks, {names}", grant.realm));
        }
    }
    Ok(())
}

async fn token(client: &Client, args: &Args) -> Result<SecretString, String> {
    let audience = format!("{}/realms/{}", args.url.as_str().trim_end_matches('/'), args.login_realm());
    let spec = TokenRequestSpec {
        audiences: Some(vec![audience]),
        expiration_seconds: Some(LIFETIME),
        bound_object_ref: None,
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let api = Api::<ServiceAccount>::namespaced(client.clone(), &args.namespace);
    let answer = api.create_token_request(&args.service_account, &PostParams::default(), &request).await;
    let token = answer.map_err(|error| error.to_string())?.status.and_then(|status| status.token);
    token.map(SecretString::from).ok_or_else(|| "the answer holds none".to_owned())
}
