//! The user that stands for a client: its service account.

use reqwest::Method;
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

/// A user, as far as it takes to find the client that it stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserSummary {
    /// The name; of a service account `service-account-` and the client id in lower case.
    pub username: String,
    /// The client id of the client, for a service account that is read by id.
    pub service_account_client_id: Option<String>,
}

/// A user that holds a role.
pub type RoleHolder = UserSummary;

/// How the names of service accounts begin.
const SERVICE_ACCOUNT: &str = "service-account-";

impl UserSummary {
    /// The client that the user stands for; none for a person.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.service_account_client_id.as_deref().or_else(|| self.username.strip_prefix(SERVICE_ACCOUNT))
    }
}

impl RealmAdmin {
    /// The user with this id.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Forbidden` without `view-users`.
    pub async fn get_user(&self, id: &str) -> Result<UserSummary, ApiError> {
        self.get(Area::RoleMappings, &["users", id]).await
    }

    /// The users that hold a client role directly, service accounts included: a page of them.
    ///
    /// # Errors
    /// `NotFound` if there is no such client or role.
    pub async fn list_role_holders(
        &self,
        client: &str,
        role: &str,
        first: usize,
        max: usize,
    ) -> Result<Vec<RoleHolder>, ApiError> {
        let call = self.call(Area::RoleMappings, Method::GET, &["clients", client, "roles", role, "users"]);
        let call = call.query("briefRepresentation", true).query("first", first).query("max", max);
        self.admin().read(call).await
    }

    /// The service account of a client. A client whose service account was off and on again has another one.
    ///
    /// # Errors
    /// `NotFound` if there is no such client, `Invalid` if it has no service account.
    pub async fn get_service_account(&self, client: &str) -> Result<ServiceAccount, ApiError> {
        self.get(Area::ServiceAccounts, &["clients", client, "service-account-user"]).await
    }
}
