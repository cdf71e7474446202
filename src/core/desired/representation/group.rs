//! `GroupRepresentation`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::desired::{OWNER_ATTRIBUTE, Owner};

/// A group. Keycloak chooses its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GroupRepresentation {
    /// Internal id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name, unique in its parent.
    pub name: String,
    /// Free attributes; a PUT that has any replaces all of them.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// How many groups are in it. Read only.
    #[serde(skip_serializing)]
    pub sub_group_count: u64,
}

impl GroupRepresentation {
    /// The object that made this group; none if that was not Keywire.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.attributes.get(OWNER_ATTRIBUTE)?.first().and_then(|value| Owner::from_attribute(value))
    }

    /// The id, which every group that was read has.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}
