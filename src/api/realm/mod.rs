//! Realm: a Keycloak realm and who may use it. Each concern of its settings has a file, where the fields stand beside
//! Keycloak's own names.

mod appearance;
mod brute_force;
mod client_policies;
mod events;
mod external;
mod extra;
mod full;
mod grantable;
mod keys;
mod login;
mod password_policy;
mod required_actions;
mod smtp;
mod tokens;
mod user_profile;

pub use appearance::{Locales, SecurityHeaders, Themes};
pub use brute_force::{BruteForce, LockoutStrategy};
pub use client_policies::{ClientCondition, ClientPolicies, ClientPolicy, ClientProfile, Executor, FullScope};
pub use events::{AdminEvents, Events, UserEvents};
pub use external::ExternalAudience;
pub use grantable::GrantableRoles;
pub use keys::{KeySize, Keys, OtherKeys};
pub use login::Login;
pub use password_policy::PasswordPolicy;
pub use required_actions::RequiredAction;
pub use smtp::{MailEncryption, MailLogin, Smtp};
pub use tokens::{SignatureAlgorithm, Tokens};
pub use user_profile::{
    AttributeRequired, ProfileAttribute, ProfileGroup, ProfileRole, UnmanagedAttributes, UserProfile,
};

mod objects;
mod people;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::Credentials;
use crate::api::common::{CLAIM_PATTERN, PodSelector, conditions_schema};
use crate::api::condition::Condition;

pub use objects::{ClientRole, ClientScope, Group, Mapper, RealmRole, ScopeAssignment, ScopeProtocol};
pub use people::{
    EditMode, IdentityProvider, LdapBind, LdapVendor, ProviderType, SearchScope, SyncMode, User, UserFederation,
};

/// A Keycloak realm. Cluster-scoped: the platform team's.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keywire.dev",
    version = "v1alpha1",
    kind = "Realm",
    plural = "realms",
    shortname = "kcr",
    category = "keywire",
    status = "RealmStatus",
    derive = "PartialEq",
    doc = "A Keycloak realm, and which namespaces may use it. Cluster-scoped: the platform team's.",
    validation = Rule::new("size(self.metadata.name) <= 63").message("metadata.name must be at most 63 characters"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Server", type_ = "string", json_path = ".spec.server"),
    printcolumn(name = "Realm", type_ = "string", json_path = ".spec.realm"),
    printcolumn(name = "Management", type_ = "string", json_path = ".spec.management"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.management == 'Full' || !(has(self.displayName) || has(self.displayNameHtml) || has(self.sslRequired) || has(self.tokens) || has(self.login) || has(self.bruteForce) || has(self.passwordPolicy) || has(self.smtp) || has(self.themes) || has(self.locales) || has(self.securityHeaders) || has(self.events) || has(self.userProfile) || has(self.requiredActions) || has(self.clientPolicies) || has(self.keys) || has(self.extra))")
    .message("spec.management is ClientsOnly: the realm's settings are someone else's; remove displayName, displayNameHtml, sslRequired, tokens, login, bruteForce, passwordPolicy, smtp, themes, locales, securityHeaders, events, userProfile, requiredActions, clientPolicies, keys and extra, or choose Full"))]
#[x_kube(validation = Rule::new("self.management == 'Full' || !(has(self.defaultRoles) || has(self.defaultGroups))")
    .message("spec.management is ClientsOnly: what every user has is someone else's; remove defaultRoles and defaultGroups, or choose Full"))]
#[x_kube(validation = Rule::new("self.management == 'Full' || self.deletionPolicy == 'Orphan'")
    .message("spec.deletionPolicy Delete needs spec.management Full: a realm that is someone else's is never deleted"))]
#[x_kube(validation = Rule::new("self.realm == oldSelf.realm && self.server == oldSelf.server")
    .message("spec.server and spec.realm cannot change: make a new Realm, move the objects, delete this one"))]
#[x_kube(validation = Rule::new("self.management == 'ClientsOnly' || self.realm != 'master'")
    .message("spec.realm master holds Keycloak's own administrators: it can only be used with spec.management ClientsOnly"))]
pub struct RealmSpec {
    /// The KeycloakServer.
    #[schemars(length(min = 1, max = 63))]
    pub server: String,
    /// The realm's name in Keycloak: letters, digits, `-`, `_` and `.`.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"))]
    pub realm: String,
    /// How the operator logs in at this very realm, where rights in it alone are to suffice. Without it the
    /// KeycloakServer's login serves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// Whether the realm's settings are ours.
    #[serde(default)]
    pub management: Management,
    /// The claims that WorkloadIdentities may set (`spec.claims` of theirs). Nothing: none. Names that say who calls are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), inner(length(min = 1, max = 63), regex(pattern = CLAIM_PATTERN)),
        extend("x-kubernetes-list-type" = "set"))]
    pub claims: Vec<String>,
    /// APIs outside the cluster that WorkloadIdentities may have tokens for (`spec.targets` of theirs), and where these tokens
    /// may be sent. Nothing: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["audience"]))]
    pub external_audiences: Vec<ExternalAudience>,
    /// Roles of clients that WorkloadIdentities may have (`spec.roles` of theirs), beyond what AccessGrants give. Nothing: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["client"]))]
    pub grantable_roles: Vec<GrantableRoles>,
    /// Where WebApps may be (`spec.host` of theirs): whoever has one of these hosts gets people signed in there. Nothing: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["host"]))]
    pub app_hosts: Vec<AppHost>,
    /// Which namespaces may use the realm. Nothing means nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceAccess>,
    /// Trust this cluster's ServiceAccount tokens: its public keys are pushed to Keycloak and
    /// followed. Needed by every WorkloadIdentity with `credential: KubernetesToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_issuer: Option<WorkloadIssuer>,
    /// Name shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub display_name: Option<String>,
    /// The same with markup, for the sign-in page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    pub display_name_html: Option<String>,
    /// Who must use TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_required: Option<SslRequired>,
    /// Lifetimes of tokens and sessions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
    /// How people sign in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<Login>,
    /// Brute-force protection of sign-ins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brute_force: Option<BruteForce>,
    /// What a password must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_policy: Option<PasswordPolicy>,
    /// How Keycloak sends mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp: Option<Smtp>,
    /// Themes of pages and mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub themes: Option<Themes>,
    /// Languages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locales: Option<Locales>,
    /// Headers that tell browsers what Keycloak's pages may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_headers: Option<SecurityHeaders>,
    /// What Keycloak records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// What the realm knows of a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_profile: Option<UserProfile>,
    /// What people may have to do when they sign in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["alias"]))]
    pub required_actions: Vec<RequiredAction>,
    /// Rules for clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_policies: Option<ClientPolicies>,
    /// Signing keys that are rotated on a schedule, one entry per algorithm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["algorithm"]))]
    pub keys: Vec<Keys>,
    /// Fields of Keycloak's `RealmRepresentation` that this kind has none for, such as `otpPolicyDigits` or
    /// `webAuthnPolicyRpId`: passed on as they are. Only these are compared and written. A list of texts is a set.
    /// `attributes` is merged with those that are there.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "extra::free_form")]
    pub extra: Map<String, Value>,
    /// Realm roles. Those that were listed and no longer are, are deleted; so it is with all lists below.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub roles: Vec<RealmRole>,
    /// Which of `roles` every user has (`Full` only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    pub default_roles: Vec<String>,
    /// Groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["path"]))]
    pub groups: Vec<Group>,
    /// Which of `groups` every new user becomes a member of (`Full` only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 2, max = 512)))]
    pub default_groups: Vec<String>,
    /// Client scopes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub client_scopes: Vec<ClientScope>,
    /// Identity providers that people log in with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["alias"]))]
    pub identity_providers: Vec<IdentityProvider>,
    /// LDAP servers whose people are users of the realm.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub user_federation: Vec<UserFederation>,
    /// Users for development.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["username"]))]
    pub users: Vec<User>,
    /// Take over a realm that exists already (`Full` only), and roles, groups and the like of the same names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopt: bool,
    /// What becomes of changes that others make in Keycloak: to the endpoints and identities of this realm, and to what
    /// this object says. While Keycloak
    /// refuses a part of this object, the rest of it is kept in any case.
    #[serde(default)]
    pub drift_policy: DriftPolicy,
    /// What becomes of the Keycloak realm when this object goes.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Whether a realm's settings are ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Management {
    /// The realm is ours: made when it is absent, its named settings kept.
    #[default]
    Full,
    /// An existing realm whose settings are someone else's: only clients, scopes and the
    /// named roles are ours.
    ClientsOnly,
}

/// What becomes of changes that others make in Keycloak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DriftPolicy {
    /// They are undone, and an Event tells of them.
    #[default]
    Repair,
    /// An Event and the condition `Drift` tell of them; they stay until the object itself changes.
    Report,
}

/// What becomes of a Keycloak object when its Kubernetes object goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Orphan,
    /// It is deleted, with all that is in it.
    Delete,
}

impl DeletionPolicy {
    /// The default of everything but realms: what is only a client can be made again.
    pub(super) fn delete() -> Self {
        Self::Delete
    }
}

/// Which namespaces may use a realm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceAccess {
    /// Labels that a namespace must carry.
    pub selector: PodSelector,
}

impl NamespaceAccess {
    /// Whether a namespace with these labels may use the realm.
    pub fn allows(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.matches(labels)
    }
}

/// A host of WebApps, and who may have it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppHost {
    /// `dagster.example.com`, at any port, or at one: `localhost:3000`. `*.example.com`: all below that name.
    #[schemars(length(min = 1, max = 260), regex(pattern = r"^(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?$"))]
    pub host: String,
    /// Which of the realm's namespaces it is for. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceAccess>,
}

impl AppHost {
    /// Whether an application of a namespace with these labels may be at this host.
    pub fn allows(&self, host: &str, labels: &BTreeMap<String, String>) -> bool {
        self.namespaces.as_ref().is_none_or(|allowed| allowed.allows(labels)) && is_host(&self.host, host)
    }
}

/// Whether a host, possibly with a port, is one that is listed so.
fn is_host(listed: &str, host: &str) -> bool {
    let at_any_port = |host: &str| host.split(':').next().unwrap_or_default().to_owned();
    let host = if listed.contains(':') { host.to_owned() } else { at_any_port(host) };
    match listed.strip_prefix('*') {
        Some(below) => host.strip_suffix(below).is_some_and(|label| !label.is_empty() && !label.starts_with('.')),
        None => host == listed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_listed_alone_or_with_all_below_a_name() {
        for (listed, host, expected) in [
            ("app.example.com", "app.example.com", true),
            ("app.example.com", "app.example.com:8443", true),
            ("app.example.com:8443", "app.example.com:8443", true),
            ("app.example.com:8443", "app.example.com", false),
            ("app.example.com", "other.app.example.com", false),
            ("*.example.com", "app.example.com", true),
            ("*.example.com", "a.b.example.com:3000", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "evilexample.com", false),
            ("*.example.com", "app.example.com.evil", false),
            ("*.example.com", ".example.com", false),
        ] {
            assert_eq!(is_host(listed, host), expected, "{listed} {host}");
        }
    }
}

/// Trust in this cluster's ServiceAccount tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIssuer {
    /// Alias of the identity provider in Keycloak. Default: `keywire-` and the cluster's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub alias: Option<String>,
}

/// Who must use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SslRequired {
    /// Everybody.
    All,
    /// Everybody but private addresses.
    External,
    /// Nobody: for development only.
    None,
}

/// What the operator saw of the realm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RealmStatus {
    /// The generation that this status tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The realm's issuer: `iss` of its tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Tokens issued before this time are revoked, in seconds since 1970: the realm's own `notBefore`, which the guards are
    /// told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
    /// What Keycloak was last made to hold, in short: where it is the same as what is wanted, what differs was changed by
    /// others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// `Ready`, `Accepted`, `Synced`, `Settings`, `WorkloadTrust`, `Rights`, `DriftFeed`, `Drift`; and of the lists that are used `Roles`,
    /// `Groups`, `ClientScopes`, `IdentityProviders`, `UserFederation`, `Users`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
