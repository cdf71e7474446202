//! The documents on the wire between operator and proxy.
//!
//! They lie in ConfigMaps (a pod starts while the operator is down) and are
//! pushed over the policy stream (a revocation takes under a second). Of two
//! documents for the same object the one with the higher number wins. They hold
//! no secret.

use serde::{Deserialize, Serialize};

use crate::core::{claims::Requirement, name::Ref, permission::Permission, signin::document::SignIn};

/// The ConfigMap key of a [`GuardPolicy`], and its file name in the pod.
pub const GUARD_FILE: &str = "guard.json";
/// The ConfigMap key of an [`EgressConfig`], and its file name in the pod.
pub const EGRESS_FILE: &str = "egress.json";
/// The ConfigMap key of the CA that signs the policy stream's certificate.
pub const STREAM_CA_FILE: &str = "stream-ca.crt";

/// Everything one endpoint's guard needs to decide a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuardPolicy {
    /// Milliseconds since the epoch at compilation, at least one more than the policy before. 0, or none: not numbered, which
    /// only a configuration file may be.
    #[serde(default)]
    pub number: u64,
    /// The ModelEndpoint that this policy guards.
    pub endpoint: Ref,
    /// The one `aud` that a token must have.
    pub audience: String,
    /// The client whose `resource_access` entry in a token holds the endpoint's roles.
    pub role_client: String,
    /// Whose tokens are taken.
    pub issuers: Vec<TrustedIssuer>,
    /// Which route table applies.
    pub protocol: Protocol,
    /// Sockets of the guard, and the application port behind each.
    pub listeners: Vec<Listener>,
    /// Custom routes, tried in order before the protocol's own table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The endpoint's closed list of models; `None`: whatever the server has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The endpoint's URL as clients know it, http or https without query and fragment: its resource identifier (RFC 9728);
    /// `None`: the guard tells no metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Whose pages may call; `None`: the guard knows nothing of CORS, and what the application says of it passes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
    /// How much each client may ask for; `None`: as much as the application bears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Which decisions are recorded; `None`: those that the proxy was started for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// The issuer is asked whether a token still counts; `None`: a token counts until it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub introspection: Option<Introspection>,
    /// The client with which the endpoint's pods call on behalf of their callers: a token may be for it too, the guard keeps
    /// such tokens until they end, and gives the application a handle for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<String>,
    /// People who come with a browser are signed in; `None`: only who has a token comes in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    /// Whose tokens are refused, though they are good in every other way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<Revocation>,
    /// What every token has to carry, whatever is granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub require: Vec<Requirement>,
    /// Who may do what. A call needs one grant that covers it **and** the role in its token.
    pub grants: Vec<Grant>,
}

/// Which pages of other origins may call (CORS).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cors {
    /// Origins as browsers send them (`https://chat.example.com`), compared byte by byte. There is no wildcard.
    pub origins: Vec<String>,
}

/// Tokens that count no more, before their time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Revocation {
    /// Whose.
    pub of: Holder,
    /// Those issued before this time, in seconds since the epoch; `None`: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
}

/// Who holds a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Holder {
    /// The client that it was issued to (`azp`).
    Client(String),
    /// The account that it is about (`sub`).
    Subject(String),
}

/// How much each client may ask for, at each guard by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// The steady rate, in calls per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// How many calls may come at once after a pause; `None`: as many as in a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// How many calls may be in progress at once, streams until their end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
}

/// Where the issuer is asked whether a token still counts (RFC 7662). The guard logs in there with the file `keycloak` of its
/// tokens directory as a JWT client assertion (RFC 7523).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Introspection {
    /// The introspection endpoint, as reached from the guard.
    pub url: String,
    /// As in [`TrustedIssuer::ca`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// Which decisions a guard writes down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Audit {
    /// Every decision. Costs a log line per request: a third of the call itself with `--audit-file`, more without.
    All,
    /// What was not allowed. Allowed requests are counted in the metrics only.
    #[default]
    Denied,
    /// Nothing.
    Off,
}

impl Audit {
    /// Whether records of this decision are wanted.
    #[must_use]
    pub fn wants(self, decision: &str) -> bool {
        match self {
            Self::All => true,
            Self::Denied => decision != "allowed",
            Self::Off => false,
        }
    }
}

/// An issuer whose keys verify tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedIssuer {
    /// Compared byte by byte with `iss`.
    pub issuer: String,
    /// Where the guard fetches the key set (RFC 7517).
    pub jwks_url: String,
    /// CA certificates (PEM) to trust for `jwks_url`, beside none other; `None`: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Tokens issued before this time are revoked: the realm's `notBefore`, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
}

impl TrustedIssuer {
    /// Whether both fetch the same keys for the same tokens, whatever is revoked.
    pub fn has_keys_of(&self, other: &Self) -> bool {
        let Self { issuer, jwks_url, ca, not_before: _ } = self;
        *issuer == other.issuer && *jwks_url == other.jwks_url && *ca == other.ca
    }
}

/// The route table of an endpoint.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumIter,
    strum::IntoStaticStr,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Protocol {
    /// KServe's Open Inference Protocol (v2), REST and gRPC.
    OpenInference,
    /// OpenAI's API and what its servers add to it.
    #[serde(rename = "OpenAI")]
    #[strum(serialize = "OpenAI")]
    OpenAi,
    /// TensorFlow Serving, REST and gRPC.
    TensorFlowServing,
    /// TorchServe: inference, management, gRPC.
    TorchServe,
    /// The Model Context Protocol over HTTP.
    #[serde(rename = "MCP")]
    #[strum(serialize = "MCP")]
    Mcp,
    /// Agent2Agent: JSON-RPC, REST and gRPC.
    #[serde(rename = "A2A")]
    #[strum(serialize = "A2A")]
    A2a,
    /// Prefect 3's server.
    Prefect,
    /// MLflow's tracking server and registry.
    #[serde(rename = "MLflow")]
    #[strum(serialize = "MLflow")]
    MlFlow,
    /// Ray's dashboard: jobs and Serve.
    Ray,
    /// Dagster's webserver.
    Dagster,
    /// gRPC: only the custom rules open anything.
    #[serde(rename = "gRPC")]
    #[strum(serialize = "gRPC")]
    Grpc,
    /// Plain HTTP: only the custom rules open anything.
    #[serde(rename = "HTTP")]
    #[strum(serialize = "HTTP")]
    Http,
}

/// One socket of the guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Listener {
    /// The port's name in the ModelEndpoint.
    pub name: String,
    /// TCP port that the guard listens on, all addresses of the pod.
    pub listen: u16,
    /// TCP port of the application, on loopback.
    pub upstream: u16,
}

/// A custom route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Upper-case methods; empty: every method.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// A path of literal segments, `{model}` (binds the model's name), `*` (any one
    /// segment) and a final `**` (the rest, also nothing).
    pub path: String,
    /// What the route asks for.
    pub access: Access,
    /// Where a request names its model, if `path` has no `{model}`; `None`: it counts as every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelPlace>,
}

/// Where the requests of a custom route name their model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ModelPlace {
    /// In this parameter of the query.
    Query(String),
    /// In this top-level member of a JSON object.
    Json(String),
    /// In this part of a `multipart/form-data` body (RFC 7578).
    Multipart(String),
    /// In the string that these field numbers lead to, from the outside in, in each message of a gRPC call.
    Protobuf(Vec<u32>),
}

/// What a route asks of its caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Access {
    /// A token with this permission, and a grant of it.
    Permission(Permission),
    /// Nothing: open to everybody who reaches the port (health checks).
    Public,
}

/// One edge: a subject and what it may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grant {
    /// The AccessGrant that this came from, for the audit record.
    pub name: String,
    /// Who.
    pub subject: Subject,
    /// What. Sorted.
    pub permissions: Vec<Permission>,
    /// Only these models; `None`: every model of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Seconds since the epoch at which the grant ends; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// Only for tokens that carry this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claims: Vec<Requirement>,
}

/// Who a grant is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// The client id that a token carries as `azp`.
    Client(String),
    /// Whoever holds this role of the endpoint, as a token has it.
    Role(String),
}

/// Everything one identity's egress needs to make calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressConfig {
    /// As in [`GuardPolicy::number`].
    #[serde(default)]
    pub number: u64,
    /// The WorkloadIdentity.
    pub identity: Ref,
    /// Its client in Keycloak.
    pub client_id: String,
    /// How it logs in.
    #[serde(default, skip_serializing_if = "WorkloadLogin::is_default")]
    pub login: WorkloadLogin,
    /// Where tokens come from.
    pub token_source: TokenSource,
    /// What the pod calls.
    pub targets: Vec<Target>,
}

/// How a workload's egress logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum WorkloadLogin {
    /// With the file `keycloak` of its tokens directory as a JWT client assertion (RFC 7523).
    #[default]
    KubernetesToken,
    /// With the credential of `--egress-credential`.
    Credential,
}

impl WorkloadLogin {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A Keycloak realm's token endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenSource {
    /// Token endpoint, as reached from pods.
    pub token_url: String,
    /// The realm's issuer URL: the exact and only audience of the federated assertion (RFC 7523).
    pub assertion_audience: String,
    /// As in [`TrustedIssuer::ca`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// What the workload calls through one port: either an endpoint or an API outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Target {
    /// The ModelEndpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<Ref>,
    /// Instead of an endpoint: an API outside the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// Loopback TCP port in the pod.
    pub listen: u16,
    /// Base URL of the endpoint's Service (`http://iris.vision.svc:8080`), which points at its guard; of an API outside the
    /// cluster scheme, host and port (`https://models.example.com`), always https.
    pub upstream: String,
    /// The one audience that the token must come back with.
    pub audience: String,
    /// The client that may exchange the token (RFC 8693) to call on its bearer's behalf, and so may be its audience too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanged_by: Option<String>,
    /// Scopes to ask for; those without a role behind them vanish from the answer.
    pub scopes: Vec<String>,
    /// The application may have the token itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offers_token: bool,
}

/// How an API outside the cluster may be called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct External {
    /// What the path of each call has to be or to begin with, by whole segments, as in `/v1`; empty: any path. A call of
    /// another path is refused before it has a token.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// CA certificates for the connection, PEM; `None`: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}
