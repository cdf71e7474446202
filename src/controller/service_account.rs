//! The operator's own ServiceAccount token, asked for when it is needed.
//!
//! Its audience is the issuer of the realm to log in at, which only a
//! KeycloakServer tells: no projected volume could know it beforehand.

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use secrecy::SecretString;

use super::context::Context;
use crate::keycloak::{AssertionSource, LoginError};

/// The controller's ServiceAccount, as the chart names it.
pub const NAME: &str = "keywire-controller";
/// The shortest that the API server issues, in seconds: the token serves for one login.
const LIFETIME: i64 = 600;

/// Tokens of the operator's ServiceAccount for one audience.
#[derive(Clone)]
pub struct ServiceAccountToken {
    client: Client,
    namespace: String,
    audience: String,
}

impl std::fmt::Debug for ServiceAccountToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccountToken").field("audience", &self.audience).finish_non_exhaustive()
    }
}

impl ServiceAccountToken {
    /// Tokens for `audience`.
    pub fn new(ctx: &Context, audience: String) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self { client: ctx.client.clone(), namespace: ctx.namespace.clone(), audience })
    }
}

impl AssertionSource for ServiceAccountToken {
    fn assertion(&self) -> futures::future::BoxFuture<'_, Result<SecretString, LoginError>> {
        Box::pin(async move {
            let spec = TokenRequestSpec {
                audiences: Some(vec![self.audience.clone()]),
                expiration_seconds: Some(LIFETIME),
                bound_object_ref: None,
            };
            let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
            let api = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.namespace);
            let unavailable =
                |reason: String| LoginError::NoToken { account: format!("{}/{NAME}", self.namespace), reason };
            let answer = api.create_token_request(NAME, &PostParams::default(), &request).await;
            let token = answer.map_err(|error| unavailable(error.to_string()))?.status.and_then(|status| status.token);
            token.map(SecretString::from).ok_or_else(|| unavailable("the answer holds no token".to_owned()))
        })
    }
}
