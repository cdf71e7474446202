//! `/admin/realms/{realm}/client-scopes/{id}/scope-mappings`: the roles without which a scope has no effect, and the same of
//! clients.

use reqwest::Method;

use crate::core::desired::representation::RoleRepresentation;
use crate::core::diff::RoleSource;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;
use super::role_mappings::RoleMappings;

impl RealmAdmin {
    /// The roles that a client scope is mapped to.
    ///
    /// # Errors
    /// `NotFound` if there is no such scope.
    pub async fn list_scope_mappings(&self, scope: &str) -> Result<RoleMappings, ApiError> {
        self.get(Area::ScopeMappings, &["client-scopes", scope, "scope-mappings"]).await
    }

    /// Maps a client scope to roles, of which Keycloak needs the names only.
    ///
    /// # Errors
    /// `NotFound` if there is no such scope, client or role.
    pub async fn add_scope_mappings(
        &self,
        scope: &str,
        source: &RoleSource,
        roles: &[RoleRepresentation],
    ) -> Result<(), ApiError> {
        self.write_scope_mappings(Method::POST, scope, source, roles).await
    }

    /// Takes roles from a client scope; fine if they are not mapped.
    ///
    /// # Errors
    /// `Forbidden` without `manage-clients`.
    pub async fn remove_scope_mappings(
        &self,
        scope: &str,
        source: &RoleSource,
        roles: &[RoleRepresentation],
    ) -> Result<(), ApiError> {
        ApiError::fine_if_missing(self.write_scope_mappings(Method::DELETE, scope, source, roles).await)
    }

    /// The roles that a client itself is bound to (`/clients/{id}/scope-mappings`).
    ///
    /// # Errors
    /// `NotFound` if there is no such client.
    pub async fn list_client_scope_mappings(&self, client: &str) -> Result<RoleMappings, ApiError> {
        self.get(Area::ScopeMappings, &["clients", client, "scope-mappings"]).await
    }

    /// Binds a client to roles of another; each needs id and name.
    ///
    /// # Errors
    /// `NotFound` if there is no such client or role.
    pub async fn bind_client(&self, client: &str, of: &str, roles: &[RoleRepresentation]) -> Result<(), ApiError> {
        self.write_client_scope_mappings(Method::POST, client, of, roles).await
    }

    /// Takes roles of another client from what a client is bound to.
    ///
    /// # Errors
    /// `NotFound` if there is no such client or role.
    pub async fn unbind_client(&self, client: &str, of: &str, roles: &[RoleRepresentation]) -> Result<(), ApiError> {
        self.write_client_scope_mappings(Method::DELETE, client, of, roles).await
    }

    async fn write_client_scope_mappings(
        &self,
        method: Method,
        client: &str,
        of: &str,
        roles: &[RoleRepresentation],
    ) -> Result<(), ApiError> {
        let path = ["clients", client, "scope-mappings", "clients", of];
        let call = self.call(Area::ScopeMappings, method, &path).body(&roles)?;
        self.admin().call(call).await.map(|_| ())
    }

    async fn write_scope_mappings(
        &self,
        method: Method,
        scope: &str,
        source: &RoleSource,
        roles: &[RoleRepresentation],
    ) -> Result<(), ApiError> {
        let path = ["client-scopes", scope, "scope-mappings"];
        let source: &[&str] = match source {
            RoleSource::Realm => &["realm"],
            RoleSource::Client(client) => &["clients", &client.id],
        };
        let call = self.call(Area::ScopeMappings, method, &[&path, source].concat()).body(&roles)?;
        self.admin().call(call).await.map(|_| ())
    }
}
