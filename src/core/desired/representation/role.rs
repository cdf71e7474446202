//! `RoleRepresentation`, for realm roles and client roles alike.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::desired::{OWNER_ATTRIBUTE, Owner};

/// A role. Keycloak chooses its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleRepresentation {
    /// Internal id, chosen by Keycloak; role mappings need it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name.
    pub name: String,
    /// One sentence for people; a PUT without it removes it.
    #[serde(default)]
    pub description: String,
    /// Whether the role includes others. Read only.
    #[serde(default, skip_serializing)]
    pub composite: bool,
    /// Free attributes, present only where the full representation was asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Vec<String>>,
}

impl RoleRepresentation {
    /// A role that carries its owner.
    #[must_use]
    pub fn owned(name: &str, description: &str, owner: &Owner) -> Self {
        Self {
            name: name.to_owned(),
            description: description.to_owned(),
            attributes: BTreeMap::from([(OWNER_ATTRIBUTE.to_owned(), vec![owner.to_attribute()])]),
            ..Self::default()
        }
    }

    /// The object that made this role; none if that was not Keywire.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.attributes.get(OWNER_ATTRIBUTE)?.first().and_then(|value| Owner::from_attribute(value))
    }
}
