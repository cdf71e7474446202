//! ModelEndpoint: a server that is called, in OAuth a resource server.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DeletionPolicy,
    common::{ClaimRequirement, LABEL_PATTERN, PodSelector, conditions_schema},
    condition::Condition,
};
use crate::core::policy::document;

/// A model server whose pods get a guard. The model team's.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keywire.dev",
    version = "v1alpha1",
    kind = "ModelEndpoint",
    plural = "modelendpoints",
    namespaced,
    shortname = "mep",
    category = "keywire",
    status = "ModelEndpointStatus",
    derive = "PartialEq",
    doc = "A model server whose pods get a guard: in OAuth a resource server. The model team's.",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63").message("metadata.name must be a DNS label: at most 63 lower-case letters, digits and dashes, no dots"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Realm", type_ = "string", json_path = ".spec.realm"),
    printcolumn(name = "Protocol", type_ = "string", json_path = ".spec.protocol"),
    printcolumn(name = "Audience", type_ = "string", json_path = ".status.audience"),
    printcolumn(name = "Grants", type_ = "integer", json_path = ".status.grants"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(self.protocol in ['HTTP', 'gRPC']) || (has(self.rules) && size(self.rules) > 0)")
    .message("spec.protocol HTTP or gRPC has no routes of its own: name at least one in spec.rules, all others are denied"))]
pub struct ModelEndpointSpec {
    /// The Realm whose tokens are taken.
    #[schemars(length(min = 1, max = 63))]
    pub realm: String,
    /// What the server speaks: its routes, and which permission each needs.
    pub protocol: Protocol,
    /// The pods that serve it, in this namespace.
    pub workload: PodSelector,
    /// Where the container listens.
    #[schemars(length(min = 1, max = 8), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub ports: Vec<EndpointPort>,
    /// The closed list of models, where only these may be called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 255)))]
    pub models: Option<Vec<String>>,
    /// What every token has to carry, whatever is granted: `spec.claims` of identities, or claims that the realm adds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub require: Vec<ClaimRequirement>,
    /// Custom routes, before the protocol's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rules: Vec<RouteRule>,
    /// The Service that Keywire keeps, pointing at the guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// The URL that clients call from outside the cluster, where there is one: what the guard's metadata (RFC 9728) and its
    /// challenges tell them. Default: the Service's, as in `status.url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 512), regex(pattern = "^https?://[^?# ]+$"))]
    pub external_url: Option<String>,
    /// Which pages of other origins may call (CORS). Without it the guard leaves that to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// How much each client may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<CallLimits>,
    /// The realm is asked of each token whether it still counts (RFC 7662), for endpoints that cannot wait until it ends.
    /// Without it a token counts until then, unless its grant, its client or all tokens of the realm are revoked. Restart
    /// pods that run when it is set: their guards have nothing to log in with and refuse every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Introspection>,
    /// The endpoint calls others on behalf of its callers: an agent, a gateway. Its application gets a handle with each call
    /// (`X-Keywire-On-Behalf-Of`) and hands it on with the calls that it makes for that caller; such a call needs a grant for
    /// the caller and one for the identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<OnBehalfOf>,
    /// Which decisions the guards write into their log. Default: what was not allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// How the way around the guard is closed.
    #[serde(default)]
    pub isolation: Isolation,
    /// Take over a Keycloak client of this id that is not ours yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
    /// What becomes of the client in Keycloak when this object goes.
    #[serde(default = "DeletionPolicy::delete")]
    pub deletion_policy: DeletionPolicy,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// KServe's Open Inference Protocol (v2), REST and gRPC: MLServer, KServe, Triton.
    OpenInference,
    /// OpenAI's API: vLLM, llama.cpp, TGI, LiteLLM, Ollama (also its own `/api`). The model is the one that the body names.
    #[serde(rename = "OpenAI")]
    OpenAi,
    /// TensorFlow Serving, REST and gRPC.
    TensorFlowServing,
    /// TorchServe: inference, management, gRPC.
    TorchServe,
    /// The Model Context Protocol over HTTP. What a grant calls models are here tools, prompts and the URIs of resources.
    #[serde(rename = "MCP")]
    Mcp,
    /// Agent2Agent: JSON-RPC, REST and gRPC.
    #[serde(rename = "A2A")]
    A2a,
    /// Prefect 3's server.
    Prefect,
    /// MLflow's tracking server and registry.
    #[serde(rename = "MLflow")]
    MlFlow,
    /// Ray's dashboard: jobs and Serve.
    Ray,
    /// Dagster's webserver.
    Dagster,
    /// gRPC: only the routes in `spec.rules` are open.
    #[serde(rename = "gRPC")]
    Grpc,
    /// Plain HTTP: only the routes in `spec.rules` are open.
    #[serde(rename = "HTTP")]
    Http,
}

impl From<Protocol> for document::Protocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::OpenInference => Self::OpenInference,
            Protocol::OpenAi => Self::OpenAi,
            Protocol::TensorFlowServing => Self::TensorFlowServing,
            Protocol::TorchServe => Self::TorchServe,
            Protocol::Mcp => Self::Mcp,
            Protocol::A2a => Self::A2a,
            Protocol::Prefect => Self::Prefect,
            Protocol::MlFlow => Self::MlFlow,
            Protocol::Ray => Self::Ray,
            Protocol::Dagster => Self::Dagster,
            Protocol::Grpc => Self::Grpc,
            Protocol::Http => Self::Http,
        }
    }
}

/// Which decisions a guard writes down, each with client, subject, the token's id, permission, model and grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Audit {
    /// Every decision: who called what. A line for each call.
    All,
    /// What was not allowed.
    Denied,
    /// Nothing.
    Off,
}

impl From<Audit> for document::Audit {
    fn from(audit: Audit) -> Self {
        match audit {
            Audit::All => Self::All,
            Audit::Denied => Self::Denied,
            Audit::Off => Self::Off,
        }
    }
}

/// A port of the model server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.guardPort) || self.port <= 55535")
    .message("spec.ports: a port above 55535 needs a guardPort (the default, port + 10000, would be above 65535)"))]
#[x_kube(validation = Rule::new("!has(self.guardPort) || self.guardPort != self.port")
    .message("spec.ports: guardPort and port must differ, both are in one pod"))]
pub struct EndpointPort {
    /// Name of the port: a DNS label of at most 15 characters.
    #[schemars(length(min = 1, max = 15), regex(pattern = LABEL_PATTERN))]
    pub name: String,
    /// TCP port that the container listens on, and that the Service offers.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// TCP port that the guard listens on in the pod. Default: `port` + 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub guard_port: Option<i32>,
}

impl EndpointPort {
    /// The guard's port; `None` when it would not be a port.
    pub fn guard(&self) -> Option<u16> {
        u16::try_from(self.guard_port.unwrap_or(self.port.checked_add(10_000)?)).ok()
    }
}

/// A custom route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.permission) != (has(self.public) && self.public)")
    .message("spec.rules: a route needs either a permission or public: true"))]
pub struct RouteRule {
    /// HTTP methods; none: every method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 9), inner(length(min = 1, max = 16), regex(pattern = "^[A-Z]+$")))]
    pub methods: Vec<String>,
    /// Path: literal segments, `{model}` (the model's name), `*` (any one segment), a final `**` (the rest).
    #[schemars(length(min = 1, max = 512), regex(pattern = "^/"))]
    pub path: String,
    /// The permission that it needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub permission: Option<String>,
    /// Open without a token, for health checks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub public: bool,
    /// Where requests name their model, if the path has no `{model}`. Without either, a call needs a grant of every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelPlace>,
}

/// Where requests name their model. A request that names it twice, or not plainly, is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.query), has(self.json), has(self.multipart), has(self.protobuf)].exists_one(given, given)")
    .message("spec.rules: a model is named in one place: query, json, multipart or protobuf"))]
pub struct ModelPlace {
    /// In this parameter of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_.-]+$"))]
    pub query: Option<String>,
    /// In this member at the top of a JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_.-]+$"))]
    pub json: Option<String>,
    /// In this part of a `multipart/form-data` body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[A-Za-z0-9_.-]+$"))]
    pub multipart: Option<String>,
    /// gRPC only: in the string field of each message that these field numbers lead to, from the outside in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8), inner(range(min = 1, max = 536_870_911)))]
    pub protobuf: Option<Vec<u32>>,
}

/// How the realm is asked whether a token still counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Introspection {
    /// The ServiceAccount that the endpoint's pods run with. With its token the guard logs in as the endpoint's client, which
    /// may do nothing but ask. It may be no WorkloadIdentity's and no other endpoint's in the realm: Keycloak tells clients
    /// apart by it.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub service_account_name: String,
}

/// With what an endpoint calls on behalf of its callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OnBehalfOf {
    /// The WorkloadIdentity that its pods run with, in this namespace and of the same realm.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub identity: String,
}

/// Which pages of other origins may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Origins as browsers send them: scheme, host and port, in lower case, without a path. There is no wildcard.
    #[schemars(length(min = 1, max = 32), inner(length(min = 8, max = 256), regex(pattern = "^https?://[^/?#* ]+$")))]
    pub origins: Vec<String>,
}

/// How much each client may ask for, of each pod by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.burst) || has(self.requestsPerSecond)")
    .message("spec.limits: burst needs requestsPerSecond"))]
pub struct CallLimits {
    /// The steady rate, in calls per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests_per_second: Option<u32>,
    /// How many calls may come at once after a pause. Default: as many as in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub burst: Option<u32>,
    /// How many calls may be in progress at once, streams until their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrent: Option<u32>,
}

impl From<CallLimits> for document::Limits {
    fn from(CallLimits { requests_per_second, burst, concurrent }: CallLimits) -> Self {
        Self { requests_per_second, burst, concurrent }
    }
}

/// A Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Its name. Default: the endpoint's.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
}

/// How the way around the guard is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Isolation {
    /// A NetworkPolicy lets only the guard's ports in. The cluster's network must enforce it.
    #[default]
    NetworkPolicy,
    /// The server binds 127.0.0.1, as its own settings say; its probes then go through the sidecar. Holds in any network.
    Loopback,
    /// Nothing: the platform closes it by other means.
    None,
}

impl ModelEndpoint {
    /// The Realm in which Keycloak holds it, as its status tells.
    pub fn held_in(&self) -> Option<&str> {
        self.status.as_ref()?.realm.as_deref()
    }
}

/// What became of the endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelEndpointStatus {
    /// The generation that this status tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The one audience of tokens for this endpoint, and its client in Keycloak: from when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// URL of the guarded Service within the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Permissions that can be granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub permissions: Vec<String>,
    /// Number of grants in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grants: Option<i32>,
    /// Number of the policy that the guards should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_number: Option<i64>,
    /// The Realm in which Keycloak holds it: from when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// What Keycloak was last made to hold, as a fingerprint: so that a restart need not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// `Ready`, `Accepted`, `Synced`, `Published`, `Injected` (no selected pod runs without this guard), `Isolated` (the
    /// operator tried the application's ports and reached none).
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
