//! `/admin/serverinfo`: 300 KB, so only for the check of a server, and where names are written that Keycloak takes
//! without looking.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::admin::Admin;
use super::call::Call;
use super::error::ApiError;
use super::rights::Area;

/// A server that answers and lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCheck {
    /// The server's version, where the operator's rights suffice to see it (`manage-realm`).
    pub version: Option<String>,
}

/// The names that settings of a realm can have. Keycloak stores others just so, and fails later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerOffers {
    /// Themes by type, such as `login`.
    pub themes: BTreeMap<String, BTreeSet<String>>,
    /// Event listeners.
    pub listeners: BTreeSet<String>,
    /// Types of user events.
    pub event_types: BTreeSet<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServerInfo {
    system_info: SystemInfo,
    themes: BTreeMap<String, Vec<Theme>>,
    providers: BTreeMap<String, Spi>,
    enums: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Theme {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spi {
    providers: BTreeMap<String, IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SystemInfo {
    version: Option<String>,
}

impl Admin {
    /// Whether the server can be reached and the operator can log in.
    ///
    /// # Errors
    /// An [`ApiError`] whose message says what to do.
    pub async fn check(&self) -> Result<ServerCheck, ApiError> {
        let call = Call::new(Area::ServerInfo, Method::GET, "master", &["serverinfo"]);
        match self.read::<ServerInfo>(call).await {
            Ok(info) => Ok(ServerCheck { version: info.system_info.version }),
            // Logged in, but without any right as yet: reachable all the same.
            Err(ApiError::Forbidden { .. }) => Ok(ServerCheck { version: None }),
            Err(error) => Err(error),
        }
    }

    /// The names that the server knows.
    ///
    /// # Errors
    /// `Forbidden` for an account without any right.
    pub async fn offers(&self) -> Result<ServerOffers, ApiError> {
        let call = Call::new(Area::ServerInfo, Method::GET, "master", &["serverinfo"]);
        let ServerInfo { themes, mut providers, mut enums, .. } = self.read(call).await?;
        let names = |themes: Vec<Theme>| themes.into_iter().map(|theme| theme.name).collect();
        Ok(ServerOffers {
            themes: themes.into_iter().map(|(kind, themes)| (kind, names(themes))).collect(),
            listeners: providers.remove("eventsListener").unwrap_or_default().providers.into_keys().collect(),
            event_types: enums.remove("eventType").unwrap_or_default(),
        })
    }
}
