//! Roles, groups and client scopes of a realm, and the pieces that its objects share.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A realm role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RealmRole {
    /// Name of the role.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// What the role is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub description: Option<String>,
    /// Realm roles that come with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    pub composites: Vec<String>,
    /// Client roles that come with it. Permissions on a ModelEndpoint are given by AccessGrants instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub client_composites: Vec<ClientRole>,
    /// Free attributes. All of the role's: others are removed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "attributes_schema")]
    pub attributes: BTreeMap<String, Vec<String>>,
}

/// A role of a client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientRole {
    /// OAuth client id of the client.
    #[schemars(length(min = 1, max = 255))]
    pub client: String,
    /// Name of the role.
    #[schemars(length(min = 1, max = 255))]
    pub role: String,
}

/// A group. Its parent has to be listed as well.
///
/// A group that is no longer listed is deleted once nobody is in it; until then it stays, without roles. A group with
/// another path is another group: move its members before you rename it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Where it is, from the top: `/data-science/nlp`.
    #[schemars(length(min = 2, max = 512), regex(pattern = r"^(/[^/]+)+$"))]
    pub path: String,
    /// Free attributes. All of the group's: others are removed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "attributes_schema")]
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Realm roles of its members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    pub realm_roles: Vec<String>,
    /// Client roles of its members. Permissions on a ModelEndpoint are given by AccessGrants instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub client_roles: Vec<ClientRole>,
}

/// A client scope: what a client can ask to have in its tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientScope {
    /// Name of the scope.
    #[schemars(length(min = 1, max = 255), regex(pattern = r"^[!#-\[\]-~]+$"))]
    pub name: String,
    /// What the scope is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub description: Option<String>,
    /// The protocol of the clients that it is for.
    #[serde(default)]
    pub protocol: ScopeProtocol,
    /// Leave the name out of the `scope` of tokens.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// What people are asked to consent to. Nothing: they are not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub consent_text: Option<String>,
    /// Which new clients of the realm get it (`Full` only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<ScopeAssignment>,
    /// What it puts into tokens. All of the scope's mappers: others are removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub mappers: Vec<Mapper>,
}

/// The protocol of a client scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScopeProtocol {
    /// OpenID Connect.
    #[default]
    #[serde(rename = "OpenIDConnect")]
    OpenIdConnect,
    /// SAML 2.0.
    #[serde(rename = "SAML")]
    Saml,
}

/// Which new clients of a realm get a client scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScopeAssignment {
    /// All, in every token.
    Default,
    /// All, for the asking.
    Optional,
}

/// A mapper: of claims into tokens, of a provider's claims or a directory's entries into the realm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mapper {
    /// Name of the mapper, unique where it is.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Keycloak's name of the type, such as `oidc-usermodel-attribute-mapper`. One that the server does not know is
    /// refused: Keycloak itself would take it and fail at the next login.
    #[serde(rename = "type")]
    #[schemars(length(min = 1, max = 255))]
    pub mapper_type: String,
    /// The type's settings, in Keycloak's words.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "config_schema")]
    pub config: BTreeMap<String, String>,
}

/// Attributes with their values, bounded as Keycloak bounds them.
pub(super) fn attributes_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {
            "type": "array",
            "maxItems": 32,
            "items": {"type": "string", "maxLength": 255},
        },
    })
}

/// Settings in Keycloak's words.
pub(super) fn config_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 4000},
    })
}
