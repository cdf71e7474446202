//! Whether a server is alive, which version it is, and what it offers.
//!
//! `/admin/serverinfo` is 300 KB: it is read rarely for the version, and where names are written that Keycloak takes
//! without looking.

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

/// How long a version is believed. A server that is upgraded goes away for a moment, and then it is asked anew.
const VERSION_AGE: Duration = Duration::from_secs(3600);

/// A server that answers and lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerCheck {
    /// The server's version, where the operator's rights suffice to see it (`manage-realm`).
    pub version: Option<String>,
}

/// The version as it was read last.
#[derive(Debug, Default)]
pub(super) struct LastVersion(Mutex<Option<(Option<String>, Instant)>>);

impl LastVersion {
    fn get(&self) -> Option<Option<String>> {
        let (version, at) = self.slot().clone()?;
        (at.elapsed() < VERSION_AGE).then_some(version)
    }

    fn slot(&self) -> MutexGuard<'_, Option<(Option<String>, Instant)>> {
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
    /// Whether the server can be reached and the operator can log in: one small request.
    ///
    /// # Errors
    /// An [`ApiError`] whose message says what to do.
    pub async fn check(&self) -> Result<ServerCheck, ApiError> {
        let result = self.check_login().await;
        if result.is_err() {
            *self.last_version().slot() = None;
        }
        result?;
        if let Some(version) = self.last_version().get() {
            return Ok(ServerCheck { version });
        }
        let version = self.read_version().await?;
        *self.last_version().slot() = Some((version.clone(), Instant::now()));
        Ok(ServerCheck { version })
    }

    /// The answer to HEAD has no body, and that to an account without rights says that it is known all the same.
    async fn check_login(&self) -> Result<(), ApiError> {
        let realm = self.login_realm();
        match self.call(Call::new(Area::Realm, Method::HEAD, realm, &["realms", realm])).await {
            Ok(_) | Err(ApiError::Forbidden { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn read_version(&self) -> Result<Option<String>, ApiError> {
        let call = Call::new(Area::ServerInfo, Method::GET, self.login_realm(), &["serverinfo"]);
        match self.read::<ServerInfo>(call).await {
            Ok(info) => Ok(info.system_info.version),
            // Logged in, but without any right as yet: reachable all the same.
            Err(ApiError::Forbidden { .. }) => Ok(None),
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
