//! A login made from what a KeycloakServer or a Realm names: its credentials and its CA.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{Api, ResourceExt};
use secrecy::SecretString;
use url::Url;

use super::{
    context::Context,
    servers::{Account, Login},
    service_account::ServiceAccountToken,
    trust::Told,
};
use crate::{
    api::{ConfigMapKey, Credentials as Spec, KeycloakServer, KeycloakServerSpec, Realm, SecretRef},
    core::fingerprint,
    keycloak::{Admin, AdminConfig, Credentials, Limits, SetupError, SigningKey, SigningKeyError},
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
    /// Not exactly one of the credentials.
    #[error("spec.credentials needs exactly one of kubernetesToken, clientSecret and privateKeyJwt")]
    Credentials,
    /// A private key that is none.
    #[error("key privateKey of Secret {namespace}/{name}: {source}")]
    PrivateKey {
        /// The Secret's namespace.
        namespace: String,
        /// The Secret's name.
        name: String,
        /// What is wrong.
        source: SigningKeyError,
    },
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
            Self::Key { .. } | Self::PrivateKey { .. } => "CredentialsIncomplete",
            Self::Credentials | Self::Url(_) | Self::Setup(_) => "InvalidField",
        }
    }
}

/// The login that a KeycloakServer describes now: the one that is kept, or a new one where anything changed.
pub async fn of_server(ctx: &Context, object: &KeycloakServer) -> Result<Login, LoginSetupError> {
    let spec = &object.spec;
    let ca = match &spec.trust {
        Some(trust) => Some(read_ca(ctx, &trust.config_map).await?),
        None => None,
    };
    let material = Material::read(ctx, &spec.credentials).await?;
    let fingerprint = fingerprint::number(&(serde_json::to_string(spec).ok(), &ca, material.version()));
    let account = Account::Server(object.name_any());
    if let Some(kept) = kept(ctx, &account, fingerprint) {
        return Ok(kept);
    }
    let admin = Admin::new(AdminConfig {
        url: Url::parse(spec.reachable_url())?,
        login_realm: spec.login_realm.clone(),
        credentials: material.credentials(ctx, spec, &spec.login_realm)?,
        trust: ca.clone().map(String::into_bytes),
        limits: Limits {
            requests_per_second: spec.limits.requests_per_second.unsigned_abs(),
            concurrent: usize::try_from(spec.limits.concurrent).unwrap_or(1).max(1),
        },
    })?;
    let login = Login { admin, ca, fingerprint, told: Told::default() };
    ctx.servers.put(account, login.clone());
    Ok(login)
}

/// The login by which a Realm is administered: at itself, where it names credentials, else its server's.
pub async fn of_realm(
    ctx: &Context,
    realm: &Realm,
    server: &KeycloakServer,
    of_server: Login,
) -> Result<Login, LoginSetupError> {
    let Some(spec) = &realm.spec.credentials else { return Ok(of_server) };
    let material = Material::read(ctx, spec).await?;
    let parts = (serde_json::to_string(spec).ok(), of_server.fingerprint, material.version());
    let (fingerprint, account) = (fingerprint::number(&parts), Account::of(realm));
    if let Some(kept) = kept(ctx, &account, fingerprint) {
        return Ok(kept);
    }
    let credentials = material.credentials(ctx, &server.spec, &realm.spec.realm)?;
    let admin = of_server.admin.logged_in_at(&realm.spec.realm, credentials);
    let login = Login { admin, fingerprint, ca: of_server.ca, told: Told::default() };
    ctx.servers.put(account, login.clone());
    Ok(login)
}

fn kept(ctx: &Context, account: &Account, fingerprint: u64) -> Option<Login> {
    ctx.servers.get(account).filter(|kept| kept.fingerprint == fingerprint)
}

/// What the credentials name, read.
enum Material {
    KubernetesToken { client_id: String },
    ClientSecret { client_id: String, secret: SecretString, version: Option<String> },
    PrivateKey { client_id: String, key: Arc<SigningKey>, version: Option<String> },
}

impl Material {
    async fn read(ctx: &Context, spec: &Spec) -> Result<Self, LoginSetupError> {
        match spec {
            Spec { kubernetes_token: Some(login), client_secret: None, private_key_jwt: None } => {
                Ok(Self::KubernetesToken { client_id: login.client_id.clone() })
            }
            Spec { kubernetes_token: None, client_secret: Some(reference), private_key_jwt: None } => {
                let read = SecretData::read(ctx, reference).await?;
                let (client_id, secret) = (read.text("clientId")?, read.text("clientSecret")?.into());
                Ok(Self::ClientSecret { client_id, secret, version: read.version })
            }
            Spec { kubernetes_token: None, client_secret: None, private_key_jwt: Some(reference) } => {
                let read = SecretData::read(ctx, reference).await?;
                let (client_id, pem) = (read.text("clientId")?, SecretString::from(read.text("privateKey")?));
                let key = SigningKey::from_pem(&pem, read.text("keyId").ok()).map_err(|source| {
                    let SecretRef { namespace, name } = reference.clone();
                    LoginSetupError::PrivateKey { namespace, name, source }
                })?;
                Ok(Self::PrivateKey { client_id, key: Arc::new(key), version: read.version })
            }
            _ => Err(LoginSetupError::Credentials),
        }
    }

    /// The Secret's version stands for its content, which no hash of ours should hold.
    fn version(&self) -> Option<&str> {
        match self {
            Self::KubernetesToken { .. } => None,
            Self::ClientSecret { version, .. } | Self::PrivateKey { version, .. } => version.as_deref(),
        }
    }

    fn credentials(
        self,
        ctx: &Context,
        server: &KeycloakServerSpec,
        login_realm: &str,
    ) -> Result<Credentials, LoginSetupError> {
        let audience = format!("{}/realms/{login_realm}", server.url);
        Ok(match self {
            Self::KubernetesToken { client_id } => {
                Credentials::KubernetesToken { client_id, token: ServiceAccountToken::new(ctx, audience) }
            }
            Self::ClientSecret { client_id, secret, .. } => Credentials::ClientSecret { client_id, secret },
            Self::PrivateKey { client_id, key, .. } => Credentials::PrivateKeyJwt { client_id, key, audience },
        })
    }
}

async fn read_ca(ctx: &Context, from: &ConfigMapKey) -> Result<String, LoginSetupError> {
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

/// A Secret that a cluster-scoped object names.
struct SecretData<'a> {
    from: &'a SecretRef,
    data: BTreeMap<String, ByteString>,
    version: Option<String>,
}

impl<'a> SecretData<'a> {
    async fn read(ctx: &Context, from: &'a SecretRef) -> Result<Self, LoginSetupError> {
        let api = Api::<Secret>::namespaced(ctx.client.clone(), &from.namespace);
        let found =
            api.get(&from.name).await.map_err(|error| unreadable("Secret", &from.namespace, &from.name, &error))?;
        Ok(Self { from, version: found.resource_version(), data: found.data.unwrap_or_default() })
    }

    fn text(&self, key: &str) -> Result<String, LoginSetupError> {
        let bytes = self.data.get(key).map(|ByteString(bytes)| bytes.clone());
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(|text| text.trim_end().to_owned());
        text.filter(|text| !text.is_empty()).ok_or_else(|| LoginSetupError::Key {
            kind: "Secret",
            namespace: self.from.namespace.clone(),
            name: self.from.name.clone(),
            key: key.to_owned(),
        })
    }
}

fn unreadable(kind: &'static str, namespace: &str, name: &str, error: &kube::Error) -> LoginSetupError {
    let reason = match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    };
    LoginSetupError::Unreadable { kind, namespace: namespace.to_owned(), name: name.to_owned(), reason }
}
