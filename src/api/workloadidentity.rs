//! WorkloadIdentity: a workload that calls, in OAuth a client with a service account.

use k8s_openapi::jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DeletionPolicy,
    common::{
        CLAIM_PATTERN, EXTERNAL_URL_PATTERN, LABEL_PATTERN, ObjectRef, PodSelector, SCOPE_PATTERN, Seconds,
        conditions_schema, timestamp_schema,
    },
    condition::Condition,
    webapp::HeldRole,
};

/// A workload that calls models. The calling team's.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keywire.dev",
    version = "v1alpha1",
    kind = "WorkloadIdentity",
    plural = "workloadidentities",
    singular = "workloadidentity",
    namespaced,
    shortname = "wid",
    category = "keywire",
    status = "WorkloadIdentityStatus",
    derive = "PartialEq",
    doc = "A workload that calls models: in OAuth a client with a service account. The calling team's.",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63").message("metadata.name must be a DNS label: at most 63 lower-case letters, digits and dashes, no dots"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Realm", type_ = "string", json_path = ".spec.realm"),
    printcolumn(name = "Client", type_ = "string", json_path = ".status.clientId"),
    printcolumn(name = "Grants", type_ = "integer", json_path = ".status.grants"),
    printcolumn(name = "Suspended", type_ = "boolean", json_path = ".spec.suspended", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.targets) || self.targets.all(t, self.targets.exists_one(u, u.env == t.env))")
    .message("spec.targets: two targets name the same env"))]
#[x_kube(validation = Rule::new("!has(self.roles) || !has(self.targets) || self.roles.size() == 0 || self.targets.size() == 0")
    .message("spec.roles and spec.targets exclude each other: an endpoint could use what it is sent for what the roles allow; make an identity for each"))]
#[x_kube(validation = Rule::new("self.credential != 'KubernetesToken' || (!has(self.rotation) && !has(self.credentialFiles))")
    .message("spec.rotation and spec.credentialFiles are for a credential of PrivateKeyJwt or ClientSecret: of KubernetesToken nothing is kept"))]
pub struct WorkloadIdentitySpec {
    /// The Realm that the workload logs in to.
    #[schemars(length(min = 1, max = 63))]
    pub realm: String,
    /// The ServiceAccount that the pods run as. One identity per realm and ServiceAccount.
    #[schemars(length(min = 1, max = 63))]
    pub service_account_name: String,
    /// The pods, in this namespace.
    pub workload: PodSelector,
    /// How the workload proves who it is. Pods that run keep the way that they started with: change it together with a rollout.
    #[serde(default)]
    pub credential: Credential,
    /// When a credential that is kept is replaced. The annotations `keywire.dev/rotate` and `keywire.dev/revoke-now` ask for it
    /// with each new value, the second one where the present credential is suspected: it dies at once, and every token that was
    /// issued before is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// For applications that log in at Keycloak themselves: the credential as files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_files: Option<CredentialFiles>,
    /// What the workload calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub targets: Vec<Target>,
    /// What every token says of the workload besides, for endpoints and grants that ask for it. The Realm lists the names
    /// (`spec.claims`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub claims: Vec<IdentityClaim>,
    /// Roles of clients that are there already, such as `view-identity-providers` of `realm-management`, for a workload that
    /// calls those itself. The Realm lists which may be had (`spec.grantableRoles`). Such an identity has no targets: whoever
    /// is sent one of its tokens could use it for what the roles allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub roles: Vec<HeldRole>,
    /// What the pods may reach.
    #[serde(default)]
    pub egress: Egress,
    /// Refused everywhere, now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspended: bool,
    /// How long after its creation the identity ends, with all that it was granted and all that it left in Keycloak: this object
    /// is deleted then. For short-lived agents. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Seconds>,
    /// Take over a Keycloak client of this id that is not ours yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
    /// What becomes of the client in Keycloak when this object goes.
    #[serde(default = "DeletionPolicy::delete")]
    pub deletion_policy: DeletionPolicy,
}

/// How a workload proves who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Credential {
    /// With its ServiceAccount token as a federated assertion (RFC 7523): nothing is stored.
    #[default]
    KubernetesToken,
    /// With assertions that the sidecar signs (RFC 7523): the operator makes the key, Keycloak gets its public half.
    PrivateKeyJwt,
    /// With a secret (RFC 6749), for applications that can do nothing else. The identity has two clients then, which take turns.
    ClientSecret,
}

/// When a credential is replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// How long one is used. Default: 720h, at least 10m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Seconds>,
    /// How long the old one lives at most beside the new one: it goes as soon as every pod uses the new one, and then
    /// whoever still does not. Default: 24h, at least 1m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Seconds>,
}

/// Where an application finds its credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialFiles {
    /// The directory in every container of the pod: `client-id`, and `client-secret` or `private-key.pem` with its `key-id`. All
    /// of them change at once, by a rename; with a secret the client id changes, too.
    #[schemars(length(min = 2, max = 255), regex(pattern = "^/[A-Za-z0-9][A-Za-z0-9._/-]*$"))]
    pub mount_path: String,
}

/// What is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CredentialStatus {
    /// Which one, in the order in which they were made.
    pub number: i64,
    /// When it was made.
    #[schemars(schema_with = "timestamp_schema")]
    pub made_at: Timestamp,
    /// Whether the one before still works.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub overlapping: bool,
    /// Tokens issued before this time are refused, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_before: Option<i64>,
}

/// What a workload's tokens say of it: one text, or several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.value) != has(self.values)").message("name either value or values"))]
pub struct IdentityClaim {
    /// Name of the claim.
    #[schemars(length(min = 1, max = 63), regex(pattern = CLAIM_PATTERN))]
    pub name: String,
    /// A text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub value: Option<String>,
    /// A list of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 255)))]
    pub values: Option<Vec<String>>,
}

/// What the pods of an identity may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Egress {
    /// Whatever the network lets them.
    #[default]
    Open,
    /// Keycloak, DNS, the policy stream and the targets, by a NetworkPolicy that the cluster's network must enforce. It holds
    /// for every pod with the labels of `workload`, whatever its ServiceAccount.
    Restricted,
}

/// What the workload calls: an endpoint, or an API outside the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.endpoint) != has(self.external)").message("name either endpoint or external"))]
#[x_kube(validation = Rule::new("has(self.endpoint) || !has(self.endpointPort)").message("endpointPort is for an endpoint: the port of external is in its url"))]
pub struct Target {
    /// The ModelEndpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<ObjectRef>,
    /// Instead of an endpoint: an API outside the cluster with an audience of its own, as far as the Realm lists it
    /// (`spec.externalAudiences`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalTarget>,
    /// Name of the endpoint's port. Default: its first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 15), regex(pattern = LABEL_PATTERN))]
    pub endpoint_port: Option<String>,
    /// The variable that holds the base URL (`http://127.0.0.1:PORT`) in every container of the pod. Those that client libraries
    /// read get what these expect: `OPENAI_BASE_URL` ends in `/v1` and has a placeholder in `OPENAI_API_KEY` beside it,
    /// `PREFECT_API_URL` ends in `/api`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub env: String,
    /// What follows the port in the URL, such as `/mcp`. Default: the path of `external.url`, else what the readers of the
    /// variable expect, mostly nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), regex(pattern = "^(/[^?# ]*)?$"))]
    pub path: Option<String>,
    /// Loopback TCP port in the pod. Default: 15100 and counting, in the order of the targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub port: Option<i32>,
    /// Whether the application may have the token itself, where it cannot call through the loopback port.
    #[serde(default)]
    pub token: TokenUse,
}

/// An API outside the cluster that takes tokens of the realm.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExternalTarget {
    /// Its base URL, https. The pod calls what lies below it, at the same path on loopback; anything else is refused.
    #[schemars(length(min = 9, max = 512), regex(pattern = EXTERNAL_URL_PATTERN))]
    pub url: String,
    /// The audience of its tokens, such as the client id of that API: theirs alone.
    #[schemars(length(min = 1, max = 255))]
    pub audience: String,
    /// Client scopes of the realm to ask for. One of them at least has to lead to the audience.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 255), regex(pattern = SCOPE_PATTERN)),
        extend("x-kubernetes-list-type" = "set"))]
    pub scopes: Vec<String>,
}

/// Whether an application may have its token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TokenUse {
    /// Nobody but the sidecar sees it.
    #[default]
    Hidden,
    /// The sidecar gives it to the application: `GET /.keywire/token` at the target's port, with the header
    /// `X-Keywire-Token: request`.
    Offered,
}

/// The first loopback port that is given to targets.
pub const FIRST_EGRESS_PORT: u16 = 15100;

impl Target {
    /// The loopback port of the target at this place in the list; `None` when it would not be a port.
    pub fn listen(&self, index: usize) -> Option<u16> {
        match self.port {
            Some(port) => u16::try_from(port).ok(),
            None => u16::try_from(index).ok().and_then(|index| FIRST_EGRESS_PORT.checked_add(index)),
        }
    }
}

/// Asks for another credential, with each new value.
pub const ROTATE_ANNOTATION: &str = "keywire.dev/rotate";
/// The same where the present one is suspected.
pub const REVOKE_ANNOTATION: &str = "keywire.dev/revoke-now";

impl WorkloadIdentity {
    /// Whether credentials of its own are kept for it, or were at any time.
    pub fn has_kept_credentials(&self) -> bool {
        let were = self.status.as_ref().is_some_and(|status| status.credential.is_some());
        were || self.spec.credential != Credential::KubernetesToken
    }

    /// The Realm in which Keycloak holds it, as its status tells.
    pub fn held_in(&self) -> Option<&str> {
        self.status.as_ref()?.realm.as_deref()
    }
}

/// What became of the identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIdentityStatus {
    /// The generation that this status tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The client in Keycloak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Number of grants in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<i32>,
    /// The Realm in which Keycloak holds it: from when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// The credential that is kept, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialStatus>,
    /// What Keycloak was last made to hold, as a fingerprint: so that a restart need not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// `Ready`, `Accepted`, `Synced`, `Granted`, `Claims`, `Credential`, `Injected` (no selected pod runs without this sidecar).
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
