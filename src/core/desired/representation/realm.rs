//! `RealmRepresentation`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::desired::{OWNER_ATTRIBUTE, Owner, RealmSettings};

/// A realm's own settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RealmRepresentation {
    /// The realm's name.
    pub realm: String,
    /// Free attributes; a PUT that has any replaces all of them.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// The settings: everything else. All present when reading with sufficient rights.
    #[serde(flatten)]
    pub settings: RealmSettings,
}

impl RealmRepresentation {
    /// The object that made this realm; none if that was not Keywire.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.attributes.get(OWNER_ATTRIBUTE).and_then(|value| Owner::from_attribute(value))
    }

    /// Whether Keycloak showed only the few fields that an account without rights in this realm sees.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.settings.has("accessTokenLifespan")
    }
}
