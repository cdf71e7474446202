//! `/admin/realms/{realm}/users`, and the user that stands for a client: its service account.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::core::desired::Sealed;
use crate::core::desired::objects::GroupPath;
use crate::core::desired::representation::UserRepresentation;
use crate::core::diff::objects::Profile;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::groups::GroupPlace;
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
    /// Internal id, which is also the `sub` of the user's tokens.
    pub id: Option<String>,
    /// Whether the user can log in.
    pub enabled: bool,
}

/// How the names of service accounts begin.
const SERVICE_ACCOUNT: &str = "service-account-";

impl UserSummary {
    /// The client that the user stands for; none for a person.
    #[must_use]
    pub fn client_id(&self) -> Option<&str> {
        self.service_account_client_id.as_deref().or_else(|| self.username.strip_prefix(SERVICE_ACCOUNT))
    }
}

/// `UPConfig`, as far as it tells which attributes stay.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UserProfile {
    #[serde(default)]
    attributes: Vec<ProfileAttribute>,
    #[serde(default)]
    unmanaged_attribute_policy: Option<String>,
}

#[derive(Deserialize)]
struct ProfileAttribute {
    name: String,
}

impl RealmAdmin {
    /// The user with this id.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Forbidden` without `view-users`.
    pub async fn get_user(&self, id: &str) -> Result<UserSummary, ApiError> {
        self.get(Area::RoleMappings, &["users", id]).await
    }

    /// The users that cannot log in: a page of them, without service accounts.
    ///
    /// # Errors
    /// `Forbidden` without `view-users`.
    pub async fn list_disabled_users(&self, first: usize, max: usize) -> Result<Vec<UserSummary>, ApiError> {
        let call = self.call(Area::RoleMappings, Method::GET, &["users"]).query("enabled", false);
        let call = call.query("briefRepresentation", true).query("first", first).query("max", max);
        self.admin().read(call).await
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
    ) -> Result<Vec<UserSummary>, ApiError> {
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

    /// The user of exactly this name, service accounts included.
    ///
    /// # Errors
    /// `Forbidden` without `manage-users`.
    pub async fn find_user(&self, username: &str) -> Result<Option<UserRepresentation>, ApiError> {
        let call = self.call(Area::Users, Method::GET, &["users"]).query("username", username).query("exact", true);
        let found: Vec<UserRepresentation> = self.admin().read(call.query("briefRepresentation", false)).await?;
        Ok(found.into_iter().find(|user| user.username.eq_ignore_ascii_case(username)))
    }

    /// Creates a user as a member of a group.
    ///
    /// # Errors
    /// `Conflict` if the name or mail address is taken.
    pub async fn create_user(&self, user: &UserRepresentation, group: &GroupPath) -> Result<(), ApiError> {
        let call = self.call(Area::Users, Method::POST, &["users"]);
        let mut body = json!(user);
        body["groups"] = json!([group]);
        self.admin().call(call.body(&body)?).await.map(|_| ())
    }

    /// Replaces a user's fields and attributes.
    ///
    /// # Errors
    /// `NotFound` if there is no such user.
    pub async fn update_user(&self, user: &UserRepresentation) -> Result<(), ApiError> {
        let call = self.call(Area::Users, Method::PUT, &["users", user.id()]).body(user)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes a user; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-users`.
    pub async fn delete_user(&self, id: &str) -> Result<(), ApiError> {
        ApiError::fine_if_missing(self.admin().call(self.call(Area::Users, Method::DELETE, &["users", id])).await)
    }

    /// Sets a password that lasts.
    ///
    /// # Errors
    /// `Invalid` if the realm's password policy refuses it.
    pub async fn set_password(&self, id: &str, password: &Sealed) -> Result<(), ApiError> {
        let body = json!({"type": "password", "temporary": false, "value": password.expose()});
        let call = self.call(Area::Users, Method::PUT, &["users", id, "reset-password"]).body(&body)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// The groups that a user is in.
    ///
    /// # Errors
    /// `NotFound` if there is no such user.
    pub async fn list_groups_of(&self, id: &str) -> Result<Vec<GroupPlace>, ApiError> {
        self.all_pages(|| self.call(Area::Users, Method::GET, &["users", id, "groups"])).await
    }

    /// Puts a user into the group with this id, or takes it out.
    ///
    /// # Errors
    /// `NotFound` if there is no such user or group.
    pub async fn set_membership(&self, user: &str, group: &str, is_member: bool) -> Result<(), ApiError> {
        let method = if is_member { Method::PUT } else { Method::DELETE };
        let call = self.call(Area::Users, method, &["users", user, "groups", group]);
        self.admin().call(call).await.map(|_| ())
    }

    /// Which attributes a user may have.
    ///
    /// # Errors
    /// `Forbidden` without `view-realm` or `manage-users`.
    pub async fn get_profile(&self) -> Result<Profile, ApiError> {
        let profile: UserProfile = self.get(Area::Users, &["users", "profile"]).await?;
        let admits_others = matches!(profile.unmanaged_attribute_policy.as_deref(), Some("ENABLED" | "ADMIN_EDIT"));
        let attributes = profile.attributes.into_iter().map(|attribute| attribute.name).collect();
        Ok(Profile { attributes, admits_others })
    }
}
