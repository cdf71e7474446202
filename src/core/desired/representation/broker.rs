//! `IdentityProviderRepresentation` as far as people log in with it, and `IdentityProviderMapperRepresentation`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::desired::{OWNER_ATTRIBUTE, Owner};

/// What secrets read as, and what keeps them when it is sent back.
pub const MASKED: &str = "**********";

/// An identity provider with the fields that matter to people's logins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerRepresentation {
    /// The alias; fixed once made.
    pub alias: String,
    /// The provider's type, such as `oidc`; fixed once made.
    pub provider_id: String,
    /// The name on the login page.
    pub display_name: String,
    /// Whether it is used at all.
    pub enabled: bool,
    /// Whether the login page leaves it out.
    pub hide_on_login: bool,
    /// Whether mail addresses from there count as verified.
    pub trust_email: bool,
    /// Whether the tokens from there are kept.
    pub store_token: bool,
    /// Whether it can only be linked to accounts that exist.
    pub link_only: bool,
    /// Whether new users may read the kept tokens.
    pub add_read_token_role_on_create: bool,
    /// The flow of a first login; empty is the realm's.
    pub first_broker_login_flow_alias: String,
    /// The flow after each login; empty is none.
    pub post_broker_login_flow_alias: String,
    /// The type's settings; a PUT replaces them as a whole.
    pub config: BTreeMap<String, String>,
}

impl BrokerRepresentation {
    /// The object that made this identity provider; none if that was not Keywire.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.config.get(OWNER_ATTRIBUTE).and_then(|value| Owner::from_attribute(value))
    }
}

/// A mapper of an identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BrokerMapperRepresentation {
    /// Internal id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name, unique in its provider.
    pub name: String,
    /// The provider's alias.
    pub identity_provider_alias: String,
    /// The type. One that Keycloak does not know is stored all the same, and then every login fails.
    pub identity_provider_mapper: String,
    /// The type's settings; a PUT replaces them.
    pub config: BTreeMap<String, String>,
}
