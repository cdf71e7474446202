//! `ComponentRepresentation`: user federation and its mappers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The provider type of user federation.
pub const USER_STORAGE: &str = "org.keycloak.storage.UserStorageProvider";
/// The provider type of the mappers of an LDAP server.
pub const LDAP_MAPPER: &str = "org.keycloak.storage.ldap.mappers.LDAPStorageMapper";
/// The provider of LDAP servers, Active Directory among them.
pub const LDAP: &str = "ldap";

/// A component. Keycloak takes our id, and makes a second one where a POST comes twice without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentRepresentation {
    /// Internal id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name; need not be unique.
    pub name: String,
    /// Which provider it configures, such as `ldap`.
    pub provider_id: String,
    /// What kind of provider that is.
    pub provider_type: String,
    /// The component that it is a part of; the realm where none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<String>,
    /// A free word. Keycloak shows no settings but those that it knows, so there is no other place for a mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_type: Option<String>,
    /// The settings; a PUT merges them, and an empty list removes one.
    pub config: BTreeMap<String, Vec<String>>,
}

impl ComponentRepresentation {
    /// The id, which every component that was read has.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}
