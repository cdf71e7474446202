//! `UserRepresentation`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A user. A PUT that has attributes wipes mail address and names where they are left out, so all of it is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserRepresentation {
    /// Internal id, which is also the `sub` of the user's tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name to log in with.
    pub username: String,
    /// Mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the mail address counts as verified.
    pub email_verified: bool,
    /// First name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// Whether the user can log in.
    pub enabled: bool,
    /// Attributes that the user profile admits; all others vanish without a word.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// The client whose service account this is.
    #[serde(skip_serializing)]
    pub service_account_client_id: Option<String>,
    /// The LDAP server that this user comes from.
    #[serde(skip_serializing)]
    pub federation_link: Option<String>,
}

impl UserRepresentation {
    /// The id, which every user that was read has.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_deref().unwrap_or_default()
    }
}
