//! This cluster as an issuer of ServiceAccount tokens: who it says it is, and its public keys.
//!
//! They are read from the API server and pushed to Keycloak, which then needs no
//! way into the cluster.

use http::Request;
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde::Deserialize;
use serde_json::Value;

use crate::core::desired::{Seconds, WorkloadIssuer};

/// ServiceAccount tokens of the sidecar live an hour; the kubelet renews them at four fifths of it.
const MAX_ASSERTION_AGE: Seconds = Seconds(3700);

/// Why the cluster's keys are not known.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The API server did not say.
    #[error(
        "the API server does not tell who issues ServiceAccount tokens ({0}); is its ServiceAccount issuer discovery on, and may the operator read /.well-known/openid-configuration and /openid/v1/jwks?"
    )]
    Discovery(#[from] kube::Error),
    /// The request could not be made.
    #[error("the discovery request cannot be made: {0}")]
    Request(#[from] http::Error),
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
}

/// This cluster's issuer and keys, for an identity provider of this alias.
pub async fn workload_issuer(client: &kube::Client, alias: String) -> Result<WorkloadIssuer, IssuerError> {
    let get = |path: &str| Request::get(path).body(Vec::new());
    let discovery: Discovery = client.request(get("/.well-known/openid-configuration")?).await?;
    let jwks: Value = client.request(get("/openid/v1/jwks")?).await?;
    let cluster_uid = cluster_uid(client).await;
    Ok(WorkloadIssuer { alias, issuer: discovery.issuer, jwks, max_assertion_age: MAX_ASSERTION_AGE, cluster_uid })
}

/// What no other cluster has. Whoever may not read it does without.
async fn cluster_uid(client: &kube::Client) -> Option<String> {
    let namespaces = Api::<Namespace>::all(client.clone());
    match namespaces.get_metadata("kube-system").await {
        Ok(found) => found.metadata.uid,
        Err(error) => {
            tracing::warn!(%error, "namespace kube-system cannot be read: two clusters of one name would not be told apart");
            None
        }
    }
}
