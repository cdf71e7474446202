//! WebApp: a tool that people open in a browser.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    DeletionPolicy,
    common::{LABEL_PATTERN, PodSelector, Seconds, conditions_schema},
    condition::Condition,
    modelendpoint::{Audit, Isolation, Protocol, RouteRule, ServiceRef},
    native::NativeSignIn,
};

/// A tool that people open in a browser, and who of them may. Its team's.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keywire.dev",
    version = "v1alpha1",
    kind = "WebApp",
    plural = "webapps",
    namespaced,
    shortname = "kwa",
    category = "keywire",
    status = "WebAppStatus",
    derive = "PartialEq",
    doc = "A tool that people open in a browser, and who of them may. Its team's.",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63").message("metadata.name must be a DNS label: at most 63 lower-case letters, digits and dashes, no dots"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Realm", type_ = "string", json_path = ".spec.realm"),
    printcolumn(name = "Host", type_ = "string", json_path = ".spec.host"),
    printcolumn(name = "Client", type_ = "string", json_path = ".status.clientId"),
    printcolumn(name = "Service", type_ = "string", json_path = ".status.serviceUrl", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.signIn != 'Sidecar' || (has(self.workload) && has(self.port) && has(self.serviceAccountName))")
    .message("spec.signIn Sidecar needs spec.workload, spec.port and spec.serviceAccountName"))]
#[x_kube(validation = Rule::new("self.signIn == 'Sidecar' || !(has(self.port) || has(self.serviceAccountName) || has(self.rules) || has(self.api))")
    .message("spec.port, serviceAccountName, rules and api are the sidecar's: they need spec.signIn Sidecar"))]
#[x_kube(validation = Rule::new("self.signIn != 'Public' || !has(self.workload)")
    .message("spec.signIn Public has no pods that anything is told: leave out spec.workload"))]
#[x_kube(validation = Rule::new("(self.signIn == 'Native') == has(self.native)")
    .message("spec.signIn Native needs spec.native, and nothing else has it"))]
#[x_kube(validation = Rule::new("(self.signIn == 'Public') == has(self.public)")
    .message("spec.signIn Public needs spec.public, and nothing else has it"))]
#[x_kube(validation = Rule::new("!has(self.port) || has(self.guardPort) || self.port <= 55535")
    .message("spec.port above 55535 needs a guardPort (the default, port + 10000, would be above 65535)"))]
#[x_kube(validation = Rule::new("!has(self.port) || !has(self.guardPort) || self.guardPort != self.port")
    .message("spec.guardPort and port must differ, both are in one pod"))]
pub struct WebAppSpec {
    /// The Realm in which people sign in.
    #[schemars(length(min = 1, max = 63))]
    pub realm: String,
    /// Where people open it: `HOST` or `HOST:PORT`, in lower case.
    #[schemars(length(min = 1, max = 260), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$"))]
    pub host: String,
    /// How browsers reach it.
    #[serde(default)]
    pub scheme: Scheme,
    /// Who signs people in.
    pub sign_in: SignIn,
    /// Who may open it, and what they may do there. Nothing: nobody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub access: Vec<Access>,
    /// Sidecar, Native: the pods that serve it, in this namespace. Native: without it nothing is put into pods, and the ConfigMap
    /// `keywire-sign-in-NAME` and the Secret `keywire-credentials` are for their owner to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<PodSelector>,
    /// Sidecar: the ServiceAccount that its pods run with. With its token the sidecar logs in as the application's client,
    /// so nothing secret is kept for that. It may be no WorkloadIdentity's, no endpoint's and no other application's in the
    /// realm: Keycloak tells clients apart by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub service_account_name: Option<String>,
    /// Sidecar: TCP port that the container listens on, and that the Service offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// Sidecar: TCP port that it listens on in the pod. Default: `port` + 10000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1024, max = 65535))]
    pub guard_port: Option<i32>,
    /// Sidecar: what the application speaks: its routes, and which permission each needs. HTTP: whatever `rules` do not name
    /// needs `use`.
    #[serde(default = "http")]
    pub protocol: Protocol,
    /// Sidecar: custom routes, before the protocol's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub rules: Vec<RouteRule>,
    /// Sidecar: what scripts call. Without a session such a request gets 401, and is never led to a login page. Paths that
    /// begin so, by whole segments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 2, max = 256), regex(pattern = "^/[^?#* ]*$")))]
    pub api: Vec<String>,
    /// Sidecar: how long people stay signed in.
    #[serde(default)]
    pub session: SessionLength,
    /// Sidecar: what its own pages look like.
    #[serde(default)]
    pub brand: Brand,
    /// Sidecar: the Service that Keywire keeps, pointing at it. Default: one of this object's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceRef>,
    /// Sidecar: which decisions it writes into its log. Default: what was not allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// Sidecar: how the way around it is closed.
    #[serde(default)]
    pub isolation: Isolation,
    /// Native: what the application is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<NativeSignIn>,
    /// Public: where browsers are sent back to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<PublicSignIn>,
    /// Take over a Keycloak client of this id that is not ours yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
    /// What becomes of the client in Keycloak when this object goes.
    #[serde(default = "DeletionPolicy::delete")]
    pub deletion_policy: DeletionPolicy,
}

/// Who signs people in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SignIn {
    /// The sidecar, before an application that knows of no sign-in.
    Sidecar,
    /// The application itself: it speaks OpenID Connect, and is told with which client.
    Native,
    /// The page's own script (a single-page application), with PKCE and without a secret.
    Public,
}

/// How browsers reach an application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Scheme {
    /// Encrypted.
    #[default]
    Https,
    /// In the clear, for development: cookies are less well kept then.
    Http,
}

impl Scheme {
    /// As in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

/// The page's own script signs people in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicSignIn {
    /// Where Keycloak may send browsers back to: paths of the application, compared as they are. There is no wildcard.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 256), regex(pattern = "^/[^?#* ]*$")))]
    pub redirect_paths: Vec<String>,
    /// The same after signing out. Default: the application's start, `/`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 256), regex(pattern = "^/[^?#* ]*$")))]
    pub post_logout_redirect_paths: Vec<String>,
    /// Further origins whose pages sign in with this client, as browsers send them. Default: the application's own alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 8, max = 270), regex(pattern = "^https?://[^/?#@* ]+$")))]
    pub further_origins: Vec<String>,
}

/// Some people, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// A name of your choice, for the log: a DNS label.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub name: String,
    /// Who.
    #[schemars(length(min = 1, max = 32))]
    pub people: Vec<People>,
    /// What: permissions of the protocol or of `rules`. Default: `use`.
    #[serde(default = "use_alone")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN)))]
    pub permissions: Vec<String>,
}

/// People of the realm: exactly one of the four.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.user), has(self.group), has(self.realmRole), has(self.clientRole)].filter(given, given).size() == 1")
    .message("spec.access: name exactly one of user, group, realmRole and clientRole"))]
pub struct People {
    /// A user, by username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub user: Option<String>,
    /// A group, by path: `/data-science`. Members of groups within it are meant too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024), regex(pattern = "^/"))]
    pub group: Option<String>,
    /// Whoever holds this role of the realm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub realm_role: Option<String>,
    /// Whoever holds this role of a client that is there already, and that Keywire has not made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_role: Option<HeldRole>,
}

/// A role of a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeldRole {
    /// The client id.
    #[schemars(length(min = 1, max = 255))]
    pub client: String,
    /// The role's name.
    #[schemars(length(min = 1, max = 255))]
    pub role: String,
}

/// How long people stay signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionLength {
    /// At most, from a minute to 30 days. Default: 8 hours. Keycloak's own session may end earlier.
    #[serde(default = "absolute")]
    pub absolute: Seconds,
    /// Without a request. Default: half an hour.
    #[serde(default = "idle")]
    pub idle: Seconds,
}

impl Default for SessionLength {
    fn default() -> Self {
        Self { absolute: absolute(), idle: idle() }
    }
}

/// What the sidecar's own pages look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Brand {
    /// The application's name. Default: its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub name: Option<String>,
    /// Whom to ask for access: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    pub contact: Option<String>,
    /// The colour of buttons and links: `#` and six hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 7, max = 7), regex(pattern = "^#[0-9a-fA-F]{6}$"))]
    pub color: Option<String>,
}

fn http() -> Protocol {
    Protocol::Http
}

fn use_alone() -> Vec<String> {
    vec![USE.to_owned()]
}

fn absolute() -> Seconds {
    Seconds(8 * 60 * 60)
}

fn idle() -> Seconds {
    Seconds(30 * 60)
}

/// The permission that opens an application whose routes are not told apart.
pub const USE: &str = "use";

impl WebApp {
    /// The Realm in which Keycloak holds it, as its status tells.
    pub fn held_in(&self) -> Option<&str> {
        self.status.as_ref()?.realm.as_deref()
    }
}

/// What became of the application.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebAppStatus {
    /// The generation that this status tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Its client in Keycloak: from when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// URL of the guarded Service within the cluster, for an Ingress to lead to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_url: Option<String>,
    /// Permissions that `spec.access` can give.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub permissions: Vec<String>,
    /// Number of the policy that the sidecars should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_number: Option<i64>,
    /// The Realm in which Keycloak holds it: from when it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<String>,
    /// What Keycloak was last made to hold, as a fingerprint: so that a restart need not look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// `Ready`, `Accepted`, `Synced`, with a sidecar `Published`, `Injected`, `Isolated`, and with Native `Told`, `Injected`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
