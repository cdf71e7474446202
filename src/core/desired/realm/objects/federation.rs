//! LDAP servers whose people are users of the realm.
//!
//! Keycloak shows no setting of a component that it does not know, so there is no place for an owner's name. Whose it is
//! follows from the id, which is derived from the owner and the name.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::secret::{Secret, digest};
use crate::core::desired::representation::{ComponentRepresentation, LDAP, LDAP_MAPPER, USER_STORAGE};

/// An LDAP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Federation {
    /// Internal id, derived from the name: Keycloak would make a second one of the same name without a word.
    pub id: Uuid,
    /// The name.
    pub name: String,
    /// The settings, in Keycloak's words, without secrets.
    pub config: BTreeMap<String, String>,
    /// The password of the account that searches.
    pub secret: Secret,
    /// The mappers besides those that Keycloak makes by itself, or in their place where the name is the same.
    pub mappers: Vec<FederationMapper>,
}

/// A mapper of an LDAP server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FederationMapper {
    /// Internal id, derived from the name.
    pub id: Uuid,
    /// The name, unique in its server.
    pub name: String,
    /// The type, such as `group-ldap-mapper`.
    pub mapper_type: String,
    /// The type's settings.
    pub config: BTreeMap<String, String>,
}

impl Federation {
    /// The component as Keycloak is to hold it, but for a new secret.
    #[must_use]
    pub fn representation(&self) -> ComponentRepresentation {
        ComponentRepresentation {
            id: Some(self.id.to_string()),
            name: self.name.clone(),
            provider_id: LDAP.into(),
            provider_type: USER_STORAGE.into(),
            parent_id: None,
            sub_type: Some(self.secret.version().map(digest).unwrap_or_default()),
            config: lists(&self.config),
        }
    }
}

impl FederationMapper {
    /// The component as Keycloak is to hold it, in the server with this id.
    #[must_use]
    pub fn representation(&self, parent: &str) -> ComponentRepresentation {
        ComponentRepresentation {
            id: Some(self.id.to_string()),
            name: self.name.clone(),
            provider_id: self.mapper_type.clone(),
            provider_type: LDAP_MAPPER.into(),
            parent_id: Some(parent.to_owned()),
            sub_type: None,
            config: lists(&self.config),
        }
    }
}

/// Settings as components have them: an empty one is none at all, which removes what is there.
fn lists(config: &BTreeMap<String, String>) -> BTreeMap<String, Vec<String>> {
    let list = |value: &String| if value.is_empty() { Vec::new() } else { vec![value.clone()] };
    config.iter().map(|(key, value)| (key.clone(), list(value))).collect()
}
