//! Where the people of a realm come from: identity providers, LDAP servers, and users for development.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objects::{ClientRole, Mapper, attributes_schema, config_schema};
use crate::api::SecretKeyRef;
use crate::api::common::Seconds;

/// An identity provider that people log in with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    /// Alias: a part of the URL that the provider redirects back to. Another alias is another provider.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub alias: String,
    /// What kind of provider it is.
    #[serde(rename = "type")]
    pub provider_type: ProviderType,
    /// Name on the login page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub display_name: Option<String>,
    /// Whether it is used at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Leave it out of the login page.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Mail addresses from there count as verified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trust_email: bool,
    /// Keep the tokens from there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub store_token: bool,
    /// Only link it to accounts that exist.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub link_only: bool,
    /// Flow of a first login. Default: the realm's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub first_login_flow: Option<String>,
    /// Flow after each login.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub post_login_flow: Option<String>,
    /// Whether names and roles are brought from there at the first login only, or at each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_mode: Option<SyncMode>,
    /// Our client id there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub client_id: Option<String>,
    /// Our client secret there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<SecretKeyRef>,
    /// URL of its OpenID discovery document or SAML metadata, which Keycloak reads. While it cannot be read, what was
    /// read last stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 2048), regex(pattern = "^https?://[^ ]+$"))]
    pub discovery: Option<String>,
    /// Further settings in Keycloak's words; they win over the discovery document. No secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "config_schema")]
    pub config: BTreeMap<String, String>,
    /// What its claims become. All of the provider's mappers: others are removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub mappers: Vec<Mapper>,
}

/// The kinds of identity providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ProviderType {
    /// Any OpenID provider.
    #[serde(rename = "OIDC")]
    Oidc,
    /// Any SAML 2.0 provider.
    #[serde(rename = "SAML")]
    Saml,
    /// Another Keycloak, or another realm of the same.
    Keycloak,
    /// Google.
    Google,
    /// GitHub.
    GitHub,
    /// Microsoft Entra.
    Microsoft,
}

/// When a provider's claims are brought into the realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SyncMode {
    /// At the first login.
    Import,
    /// At each login.
    Force,
}

/// An LDAP server or Active Directory whose people are users of the realm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserFederation {
    /// Name of it in Keycloak.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// Whether it is used at all.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Which of several is asked first: the one with the lowest.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1000))]
    pub priority: i32,
    /// What kind of directory it is: gives the attributes their defaults.
    #[serde(default)]
    pub vendor: LdapVendor,
    /// One URL or several, with spaces between: `ldaps://ldap.example.com`.
    #[schemars(length(min = 8, max = 2048), regex(pattern = "^ldaps?://[^ ]+( ldaps?://[^ ]+)*$"))]
    pub connection_url: String,
    /// Encrypt an `ldap://` connection.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub start_tls: bool,
    /// The account that searches. Nothing: anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<LdapBind>,
    /// Where people are.
    #[schemars(length(min = 1, max = 1024))]
    pub users_dn: String,
    /// How deep people are below it.
    #[serde(default)]
    pub search_scope: SearchScope,
    /// Which entries are people, besides their object classes: `(memberOf=…)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = r"^\(.*\)$"))]
    pub filter: Option<String>,
    /// What Keycloak may change in the directory.
    #[serde(default)]
    pub edit_mode: EditMode,
    /// Attribute of the name to log in with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub username_attribute: Option<String>,
    /// Attribute of the entry's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub rdn_attribute: Option<String>,
    /// Attribute that never changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub uuid_attribute: Option<String>,
    /// Object classes of people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 255)))]
    pub object_classes: Vec<String>,
    /// How often everybody is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_sync: Option<Seconds>,
    /// How often those are read who have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_sync: Option<Seconds>,
    /// Further settings in Keycloak's words; they win over all of the above. No secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "config_schema")]
    pub config: BTreeMap<String, String>,
    /// What becomes of its entries, besides the mappers that Keycloak makes by itself; one of the same name and type as
    /// one of those takes its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub mappers: Vec<Mapper>,
}

/// The account that searches an LDAP server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LdapBind {
    /// Its distinguished name.
    #[schemars(length(min = 1, max = 1024))]
    pub dn: String,
    /// Its password.
    pub password: SecretKeyRef,
}

/// The kinds of directories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LdapVendor {
    /// OpenLDAP and the like: `uid`, `entryUUID`.
    #[default]
    Other,
    /// Active Directory: `sAMAccountName`, `objectGUID`.
    ActiveDirectory,
    /// Red Hat Directory Server and 389: `uid`, `nsuniqueid`.
    RedHatDirectoryServer,
    /// IBM Security Directory: `uid`, `uniqueidentifier`.
    Tivoli,
    /// eDirectory: `uid`, `guid`.
    #[serde(rename = "eDirectory")]
    EDirectory,
}

/// How deep people are below a distinguished name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SearchScope {
    /// Anywhere.
    #[default]
    Subtree,
    /// Right below.
    OneLevel,
}

/// What Keycloak may change in a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EditMode {
    /// Nothing, and people cannot change in Keycloak what is from there.
    #[default]
    ReadOnly,
    /// Everything.
    Writable,
    /// Nothing; what people change stays in Keycloak.
    Unsynced,
}

/// A user for development: people come from identity providers and directories.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Name to log in with.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9._@]*[a-z0-9])?$"))]
    pub username: String,
    /// Mail address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 3, max = 255))]
    pub email: Option<String>,
    /// The mail address counts as verified.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub email_verified: bool,
    /// First name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub last_name: Option<String>,
    /// Whether the user can log in.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Password. It is set once for each version of the Secret, so the user may choose another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretKeyRef>,
    /// Attributes that the realm's user profile admits; the status names the others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "attributes_schema")]
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Paths of groups of this Realm that the user is in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 2, max = 512)))]
    pub groups: Vec<String>,
    /// Realm roles of the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    pub realm_roles: Vec<String>,
    /// Client roles of the user. Permissions on a ModelEndpoint are given by AccessGrants instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub client_roles: Vec<ClientRole>,
}

fn yes() -> bool {
    true
}
