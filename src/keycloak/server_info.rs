//! Whether a server is alive, which version it is, and what it offers.
//!
//! `/admin/serverinfo` is 300 KB: it is read rarely for the version and one feature, and where names are written that
//! Keycloak takes without looking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::Instant;

use super::admin::Admin;
use super::call::Call;
use super::error::ApiError;
use super::rights::Area;
use crate::core::skew::Skew;

/// How long a version is believed. A server that is upgraded goes away for a moment, and then it is asked anew.
const VERSION_AGE: Duration = Duration::from_secs(3600);

/// The feature by which ServiceAccount tokens log in: on by default from 26.6 on, off before.
const FEDERATED_LOGIN: &str = "CLIENT_AUTH_FEDERATED";

/// A server that answers and lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCheck {
    /// The server's version, where the operator's rights suffice to see it (`manage-realm`).
    pub version: Option<String>,
    /// Whether ServiceAccount tokens can log in there; `None` where the server does not say.
    pub federated_login: Option<bool>,
}

/// What a server said of itself last.
#[derive(Debug, Default)]
pub(super) struct LastCheck(Mutex<Option<(ServerCheck, Instant)>>);

impl LastCheck {
    fn get(&self) -> Option<ServerCheck> {
        let (check, at) = self.slot().clone()?;
        (at.elapsed() < VERSION_AGE).then_some(check)
    }

    fn slot(&self) -> MutexGuard<'_, Option<(ServerCheck, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    features: Vec<Feature>,
    themes: BTreeMap<String, Vec<Theme>>,
    providers: BTreeMap<String, Spi>,
    enums: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Feature {
    name: String,
    enabled: bool,
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
    /// Whether the server can be reached and the operator can log in: one small request.
    ///
    /// # Errors
    /// An [`ApiError`] whose message says what to do.
    pub async fn check(&self) -> Result<ServerCheck, ApiError> {
        if let Err(error) = self.check_login().await {
            *self.last_check().slot() = None;
            return Err(error);
        }
        if let Some(check) = self.last_check().get() {
            return Ok(check);
        }
        let check = self.read_server_info().await?;
        *self.last_check().slot() = Some((check.clone(), Instant::now()));
        Ok(check)
    }

    /// How far this machine's clock was from the server's at its last answer; `None`: nobody knows.
    #[must_use]
    pub fn clock_skew(&self) -> Option<Skew> {
        self.transport().skew()
    }

    /// The answer to HEAD has no body, and that to an account without rights says that it is known all the same.
    async fn check_login(&self) -> Result<(), ApiError> {
        let realm = self.login_realm();
        match self.call(Call::new(Area::Realm, Method::HEAD, realm, &["realms", realm])).await {
            Ok(_) | Err(ApiError::Forbidden { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read_server_info(&self) -> Result<ServerCheck, ApiError> {
        let call = Call::new(Area::ServerInfo, Method::GET, self.login_realm(), &["serverinfo"]);
        match self.read::<ServerInfo>(call).await {
            Ok(ServerInfo { system_info, features, .. }) => {
                let federated = features.iter().find(|feature| feature.name == FEDERATED_LOGIN);
                let federated_login = federated.map(|feature| feature.enabled);
                Ok(ServerCheck { version: system_info.version, federated_login })
            }
            // Logged in, but without any right as yet: reachable all the same.
            Err(ApiError::Forbidden { .. }) => Ok(ServerCheck { version: None, federated_login: None }),
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
