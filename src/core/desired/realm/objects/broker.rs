//! Identity providers that people log in with.

use std::collections::BTreeMap;

use serde::Serialize;

use super::secret::Secret;
use crate::core::desired::owner::{OWNER_ATTRIBUTE, Owner};
use crate::core::desired::representation::{BrokerMapperRepresentation, BrokerRepresentation, MASKED};

/// The config entry that tells a provider for people from the trust in a cluster's tokens, both being the Realm's.
pub const BROKER_MARK: &str = "keywire.dev/sign-in";
/// The config entry that holds the version of the client secret, by which a new one is noticed.
pub const SECRET_VERSION: &str = "keywire.dev/secret-version";
/// The config entry of the client secret, which reads as asterisks.
pub const SECRET_ENTRY: &str = "clientSecret";

/// An identity provider that people log in with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Broker {
    /// The alias; fixed once made, and a part of the URL that the other side redirects to.
    pub alias: String,
    /// The provider's type, such as `oidc`.
    pub provider_id: String,
    /// The name on the login page, possibly empty.
    pub display_name: String,
    /// Whether it is used at all.
    pub enabled: bool,
    /// Whether the login page leaves it out.
    pub hidden: bool,
    /// Whether mail addresses from there count as verified.
    pub trust_email: bool,
    /// Whether the tokens from there are kept.
    pub store_token: bool,
    /// Whether it can only be linked to accounts that exist.
    pub link_only: bool,
    /// The flow of a first login; empty is the realm's.
    pub first_login_flow: String,
    /// The flow after each login; empty is none.
    pub post_login_flow: String,
    /// The type's settings, without secrets.
    pub config: BTreeMap<String, String>,
    /// Where the type's settings are read from, under those in `config`.
    pub discovery: Option<String>,
    /// Our secret there.
    pub secret: Secret,
    /// The mappers.
    pub mappers: Vec<BrokerMapper>,
}

/// A mapper of an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BrokerMapper {
    /// The name, unique in its provider.
    pub name: String,
    /// The type, such as `oidc-advanced-role-idp-mapper`.
    pub mapper_type: String,
    /// The type's settings.
    pub config: BTreeMap<String, String>,
}

impl Broker {
    /// The provider as Keycloak is to hold it, but for a new secret; `imported` is what the discovery gave.
    #[must_use]
    pub fn representation(&self, owner: &Owner, imported: &BTreeMap<String, String>) -> BrokerRepresentation {
        BrokerRepresentation {
            alias: self.alias.clone(),
            provider_id: self.provider_id.clone(),
            display_name: self.display_name.clone(),
            enabled: self.enabled,
            hide_on_login: self.hidden,
            trust_email: self.trust_email,
            store_token: self.store_token,
            link_only: self.link_only,
            add_read_token_role_on_create: false,
            first_broker_login_flow_alias: self.first_login_flow.clone(),
            post_broker_login_flow_alias: self.post_login_flow.clone(),
            config: self.full_config(owner, imported),
        }
    }

    fn full_config(&self, owner: &Owner, imported: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut config = imported.clone();
        config.extend(self.config.clone());
        config.insert(OWNER_ATTRIBUTE.into(), owner.to_attribute());
        config.insert(BROKER_MARK.into(), "true".into());
        if let Some(version) = self.secret.version() {
            config.insert(SECRET_VERSION.into(), version.into());
            // Keeps what is there; the real one is put in its place where it is new.
            config.insert(SECRET_ENTRY.into(), MASKED.into());
        }
        config.retain(|_, value| !value.is_empty());
        config
    }
}

impl BrokerMapper {
    /// The mapper as Keycloak is to hold it.
    #[must_use]
    pub fn representation(&self, alias: &str) -> BrokerMapperRepresentation {
        BrokerMapperRepresentation {
            id: None,
            name: self.name.clone(),
            identity_provider_alias: alias.to_owned(),
            identity_provider_mapper: self.mapper_type.clone(),
            config: self.config.clone(),
        }
    }
}
