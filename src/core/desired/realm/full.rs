//! What a realm is to be whose settings are ours.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ClientPolicies, KeyRotation, RealmSettings, RequiredAction, SmtpServer, UserProfile};

/// Everything that Keywire decides of a realm of its own, as of one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FullRealm {
    /// The fields of the realm itself.
    pub settings: RealmSettings,
    /// Settings that Keycloak keeps as attributes of the realm. Attributes of others stay.
    pub attributes: BTreeMap<String, String>,
    /// The mail server as a whole. None: as it is.
    pub smtp: Option<SmtpServer>,
    /// What the realm knows of a person.
    pub user_profile: UserProfile,
    /// What people may have to do when they sign in.
    pub required_actions: Vec<RequiredAction>,
    /// Rules for clients.
    pub client_policies: ClientPolicies,
    /// One rotation per algorithm.
    pub keys: Vec<KeyRotation>,
    /// The moment for which all this is meant, in seconds since 1970: keys come and go with time.
    pub at: u64,
}

impl From<RealmSettings> for FullRealm {
    fn from(settings: RealmSettings) -> Self {
        Self { settings, ..Self::default() }
    }
}
