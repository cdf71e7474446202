//! `/admin/serverinfo`: 300 KB, so only for the check of a server.

use reqwest::Method;
use serde::Deserialize;

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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServerInfo {
    system_info: SystemInfo,
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
}
