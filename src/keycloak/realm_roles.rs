//! `/admin/realms/{realm}/roles`.

use reqwest::Method;

use crate::core::desired::representation::RoleRepresentation;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// All realm roles, with their attributes.
    ///
    /// # Errors
    /// `Forbidden` if this account may not see them.
    pub async fn list_realm_roles(&self) -> Result<Vec<RoleRepresentation>, ApiError> {
        self.all_pages(|| self.call(Area::RealmRoles, Method::GET, &["roles"]).query("briefRepresentation", false))
            .await
    }

    /// One realm role.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn get_realm_role(&self, role: &str) -> Result<RoleRepresentation, ApiError> {
        self.get(Area::RealmRoles, &["roles", role]).await
    }

    /// Creates a realm role.
    ///
    /// # Errors
    /// `Conflict` if there is one of this name.
    pub async fn create_realm_role(&self, role: &RoleRepresentation) -> Result<(), ApiError> {
        let call = self.call(Area::RealmRoles, Method::POST, &["roles"]).body(role)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Replaces a role's description and attributes.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn update_realm_role(&self, role: &RoleRepresentation) -> Result<(), ApiError> {
        let call = self.call(Area::RealmRoles, Method::PUT, &["roles", &role.name]).body(role)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes a realm role; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-realm`.
    pub async fn delete_realm_role(&self, role: &str) -> Result<(), ApiError> {
        let call = self.call(Area::RealmRoles, Method::DELETE, &["roles", role]);
        ApiError::fine_if_missing(self.admin().call(call).await)
    }
}
