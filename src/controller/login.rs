//! A login made from what a KeycloakServer names: its credentials and its CA.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{Api, ResourceExt};
use secrecy::SecretString;
use url::Url;

use super::super::{context::Context, servers::Login};
use crate::{
    api::{KeycloakServer, KeycloakServerSpec, SecretRef},
    controller::service_account::ServiceAccountToken,
    keycloak::{Admin, AdminConfig, Credentials, Limits, SetupError},
};

/// Why no login can be made from the object.
#[derive(Debug, thiserror::Error)]
pub enum LoginSetupError {
    /// A Secret or ConfigMap is not there, or may not be read.
    #[error(
        "{kind} {namespace}/{name} cannot be read ({reason}); create it, or let the operator's ServiceAccount read it (chart value credentialSecrets)"
    )]
    Unreadable {
        /// Kind of the object.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// What the API server said.
        reason: String,
    },
    /// A key is missing or no text.
    #[error("{kind} {namespace}/{name} lacks the key {key:?}, or it is no text")]
    Key {
        /// Kind of the object.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// Neither or both of the credentials.
    #[error("spec.credentials needs exactly one of kubernetesToken and clientSecret")]
    Credentials,
    /// The URL is none.
    #[error("spec.internalUrl or spec.url: {0}")]
    Url(#[from] url::ParseError),
    /// The rest.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

impl LoginSetupError {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "CredentialsNotFound",
            Self::Key { .. } => "CredentialsIncomplete",
            Self::Credentials | Self::Url(_) | Self::Setup(_) => "InvalidField",
        }
    }
}

/// The login that the object describes now: the one that is kept, or a new one where anything changed.
pub async fn current(ctx: &Context, object: &KeycloakServer) -> Result<Login, LoginSetupError> {
    let name = object.name_any();
    let material = Material::read(ctx, &object.spec).await?;
    let fingerprint = material.fingerprint(&object.spec);
    if let Some(kept) = ctx.servers.get(&name).filter(|kept| kept.fingerprint == fingerprint) {
        return Ok(kept);
    }
    let login = Login { admin: material.admin(ctx, &object.spec)?, ca: material.ca, fingerprint };
    ctx.servers.put(&name, login.clone());
    Ok(login)
}

/// What other objects add to the KeycloakServer.
struct Material {
    ca: Option<String>,
    secret: Option<ClientSecret>,
}

struct ClientSecret {
    client_id: String,
    secret: SecretString,
    version: Option<String>,
}

impl Material {
    async fn read(ctx: &Context, spec: &KeycloakServerSpec) -> Result<Self, LoginSetupError> {
        let ca = match &spec.trust {
            Some(trust) => Some(read_ca(ctx, &trust.config_map).await?),
            None => None,
        };
        let secret = match &spec.credentials.client_secret {
            Some(reference) => Some(read_secret(ctx, reference).await?),
            None => None,
        };
        Ok(Self { ca, secret })
    }

    fn fingerprint(&self, spec: &KeycloakServerSpec) -> u64 {
        let mut hasher = DefaultHasher::new();
        // The Secret's version stands for its content, which no hash of ours should hold.
        (serde_json::to_string(spec).ok(), &self.ca, self.secret.as_ref().map(|secret| &secret.version))
            .hash(&mut hasher);
        hasher.finish()
    }

    fn admin(&self, ctx: &Context, spec: &KeycloakServerSpec) -> Result<Admin, LoginSetupError> {
        let credentials = match (&spec.credentials.kubernetes_token, &self.secret) {
            (Some(login), None) => Credentials::KubernetesToken {
                client_id: login.client_id.clone(),
                token: ServiceAccountToken::new(ctx, format!("{}/realms/{}", spec.url, spec.login_realm)),
            },
            (None, Some(secret)) => {
                Credentials::ClientSecret { client_id: secret.client_id.clone(), secret: secret.secret.clone() }
            }
            _ => return Err(LoginSetupError::Credentials),
        };
        Ok(Admin::new(AdminConfig {
            url: Url::parse(spec.reachable_url())?,
            login_realm: spec.login_realm.clone(),
            credentials,
            trust: self.ca.clone().map(String::into_bytes),
            limits: Limits {
                requests_per_second: spec.limits.requests_per_second.unsigned_abs(),
                concurrent: usize::try_from(spec.limits.concurrent).unwrap_or(1).max(1),
            },
        })?)
    }
}

async fn read_ca(ctx: &Context, from: &crate::api::ConfigMapKey) -> Result<String, LoginSetupError> {
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &from.namespace);
    let found =
        api.get(&from.name).await.map_err(|error| unreadable("ConfigMap", &from.namespace, &from.name, &error))?;
    found.data.and_then(|mut data| data.remove(&from.key)).ok_or_else(|| LoginSetupError::Key {
        kind: "ConfigMap",
        namespace: from.namespace.clone(),
        name: from.name.clone(),
        key: from.key.clone(),
    })
}

async fn read_secret(ctx: &Context, from: &SecretRef) -> Result<ClientSecret, LoginSetupError> {
    let api = Api::<Secret>::namespaced(ctx.client.clone(), &from.namespace);
    let found = api.get(&from.name).await.map_err(|error| unreadable("Secret", &from.namespace, &from.name, &error))?;
    let version = found.resource_version();
    let data = found.data.unwrap_or_default();
    let text = |key: &str| {
        let bytes = data.get(key).map(|ByteString(bytes)| bytes.clone());
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| text.trim_end().to_owned());
        text.filter(|text| !text.is_empty()).ok_or_else(|| LoginSetupError::Key {
            kind: "Secret",
            namespace: from.namespace.clone(),
            name: from.name.clone(),
            key: key.to_owned(),
        })
    };
    Ok(ClientSecret { client_id: text("clientId")?, secret: text("clientSecret")?.into(), version })
}

fn unreadable(kind: &'static str, namespace: &str, name: &str, error: &kube::Error) -> LoginSetupError {
    let reason = match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    };
    LoginSetupError::Unreadable { kind, namespace: namespace.to_owned(), name: name.to_owned(), reason }
}
