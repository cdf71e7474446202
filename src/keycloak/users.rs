//! The user that stands for a client: its service account.

use serde::Deserialize;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

/// A service account, as far as role mappings need it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ServiceAccount {
    /// The user's id, which is also the `sub` of the client's tokens.
    pub id: String,
}

impl RealmAdmin {
    /// The service account of a client. A client whose service account was off and on again has another one.
    ///
    /// # Errors
    /// `NotFound` if there is no such client, `Invalid` if it has no service account.
    pub async fn get_service_account(&self, client: &str) -> Result<ServiceAccount, ApiError> {
        self.get(Area::ServiceAccounts, &["clients", client, "service-account-user"]).await
    }
}
