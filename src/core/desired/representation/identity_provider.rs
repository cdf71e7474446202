//! `IdentityProviderRepresentation`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::desired::realm::canonical_jwks;
use crate::core::desired::{OWNER_ATTRIBUTE, Owner};

/// The config entry that holds pushed keys, as JSON in a string.
pub const PUSHED_KEYS: &str = "publicKeySignatureVerifier";

/// An identity provider. It has no attributes, so the owner is an entry of its config, which Keycloak keeps as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IdentityProviderRepresentation {
    /// The alias; fixed once made.
    pub alias: String,
    /// The provider's type, such as `oidc`.
    pub provider_id: String,
    /// Whether it is used at all.
    pub enabled: bool,
    /// Whether the login page leaves it out.
    pub hide_on_login: bool,
    /// The type's settings; a PUT replaces them as a whole.
    pub config: BTreeMap<String, String>,
}

impl IdentityProviderRepresentation {
    /// The object that made this identity provider; none if that was not Keywire.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.config.get(OWNER_ATTRIBUTE).and_then(|value| Owner::from_attribute(value))
    }

    /// The `iss` of the tokens that it vouches for.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.config.get("issuer").map(String::as_str)
    }

    /// The same provider with its pushed keys written as Keywire writes them, so that only other keys are a difference.
    #[must_use]
    pub fn with_canonical_keys(&self) -> Self {
        let mut provider = self.clone();
        if let Some(keys) = provider.config.get_mut(PUSHED_KEYS)
            && let Ok(parsed) = serde_json::from_str(keys)
        {
            *keys = canonical_jwks(&parsed);
        }
        provider
    }
}
