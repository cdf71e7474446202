//! KeycloakServer: where Keycloak is and how the operator logs in.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{LABEL_PATTERN, conditions_schema},
    condition::Condition,
};

/// A Keycloak server and the operator's login there. Cluster-scoped: the platform team's.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keywire.dev",
    version = "v1alpha1",
    kind = "KeycloakServer",
    plural = "keycloakservers",
    shortname = "kcs",
    category = "keywire",
    status = "KeycloakServerStatus",
    derive = "PartialEq",
    doc = "A Keycloak server and how the operator logs in there. Cluster-scoped: the platform team's.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name must be at most 63 characters"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct KeycloakServerSpec {
    /// The URL that browsers use and that tokens carry as the start of `iss`.
    #[schemars(length(min = 8, max = 255), regex(pattern = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"))]
    #[x_kube(validation = Rule::new("!self.endsWith('/')").message("spec.url must not end with a slash"))]
    pub url: String,
    /// The URL that pods and the operator use, where it differs from `url` (split horizon).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 255), regex(pattern = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"))]
    #[x_kube(validation = Rule::new("!self.endsWith('/')").message("spec.internalUrl must not end with a slash"))]
    pub internal_url: Option<String>,
    /// CA certificates to trust for both URLs, where they are not the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// How the operator logs in: exactly one way.
    pub credentials: Credentials,
    /// The realm that the operator's own client lives in. A Realm with `credentials` of its own logs in at itself.
    #[serde(default = "master")]
    #[schemars(length(min = 1, max = 63))]
    pub login_realm: String,
    /// How hard the operator may press the server.
    #[serde(default)]
    pub limits: Limits,
}

fn master() -> String {
    "master".into()
}

impl KeycloakServerSpec {
    /// The URL that pods and the operator use.
    pub fn reachable_url(&self) -> &str {
        self.internal_url.as_deref().unwrap_or(&self.url)
    }
}

/// Where CA certificates lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Trust {
    /// A key of a ConfigMap, PEM.
    pub config_map: ConfigMapKey,
}

/// A key of a ConfigMap.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConfigMapKey {
    /// Namespace of the ConfigMap.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub namespace: String,
    /// Name of the ConfigMap.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key within it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// How the operator logs in: exactly one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.kubernetesToken), has(self.clientSecret), has(self.privateKeyJwt)].exists_one(given, given)")
    .message("spec.credentials needs exactly one of kubernetesToken, clientSecret and privateKeyJwt"))]
pub struct Credentials {
    /// With the operator's own ServiceAccount token (RFC 7523): no secret at all.
    /// `keywire bootstrap` prepares Keycloak for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes_token: Option<KubernetesTokenLogin>,
    /// With a client secret (RFC 6749, section 4.4): a Secret with the keys `clientId` and `clientSecret`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretRef>,
    /// With an assertion that a private key signs (RFC 7523, `private_key_jwt`): a Secret with the keys `clientId`,
    /// `privateKey` (PEM: RSA, P-256, P-384 or Ed25519) and, where the client has several keys, `keyId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key_jwt: Option<SecretRef>,
}

/// Login with the operator's ServiceAccount token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesTokenLogin {
    /// The operator's client in the login realm.
    #[schemars(length(min = 1, max = 255))]
    pub client_id: String,
}

/// A Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Namespace of the Secret.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub namespace: String,
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// How hard the operator may press the server.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// Admin API requests per second.
    #[schemars(range(min = 1, max = 10_000))]
    pub requests_per_second: i32,
    /// Admin API requests at one time. Keycloak is fastest with 4 to 8.
    #[schemars(range(min = 1, max = 256))]
    pub concurrent: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_second: 200, concurrent: 8 }
    }
}

/// What the operator saw of the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeycloakServerStatus {
    /// The generation that this status tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Keycloak's version, where the operator may see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// `Ready`, `Accepted`, `Reachable`, `Authenticated`, `KeysFollowed`, `WorkloadLogin`, `Clock`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
