//! `/admin/realms/{realm}/clients/{id}/roles`.

use reqwest::Method;

use crate::core::desired::representation::RoleRepresentation;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// All roles of a client, with their attributes.
    ///
    /// # Errors
    /// `NotFound` if there is no such client.
    pub async fn list_client_roles(&self, client: &str) -> Result<Vec<RoleRepresentation>, ApiError> {
        let path = ["clients", client, "roles"];
        self.all_pages(|| self.call(Area::ClientRoles, Method::GET, &path).query("briefRepresentation", false)).await
    }

    /// One role of a client.
    ///
    /// # Errors
    /// `NotFound` if there is no such client or role.
    pub async fn get_client_role(&self, client: &str, role: &str) -> Result<RoleRepresentation, ApiError> {
        self.get(Area::ClientRoles, &["clients", client, "roles", role]).await
    }

    /// Creates a role of a client.
    ///
    /// # Errors
    /// `Conflict` if the client has one of this name.
    pub async fn create_client_role(&self, client: &str, role: &RoleRepresentation) -> Result<(), ApiError> {
        let call = self.call(Area::ClientRoles, Method::POST, &["clients", client, "roles"]).body(role)?;
        let _alone = self.admin().locks().lock(self.name(), client).await;
        self.admin().call(call).await.map(|_| ())
    }

    /// Replaces a role's description and attributes.
    ///
    /// # Errors
    /// `NotFound` if there is no such client or role.
    pub async fn update_client_role(&self, client: &str, role: &RoleRepresentation) -> Result<(), ApiError> {
        let call = self.call(Area::ClientRoles, Method::PUT, &["clients", client, "roles", &role.name]).body(role)?;
        let _alone = self.admin().locks().lock(self.name(), client).await;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes a role, and with it every mapping of it; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-clients`.
    pub async fn delete_client_role(&self, client: &str, role: &str) -> Result<(), ApiError> {
        let call = self.call(Area::ClientRoles, Method::DELETE, &["clients", client, "roles", role]);
        let _alone = self.admin().locks().lock(self.name(), client).await;
        ApiError::fine_if_missing(self.admin().call(call).await)
    }
}
