//! `/admin/realms/{realm}/client-scopes`, and their protocol mappers.

use reqwest::Method;

use crate::core::desired::ScopeRef;
use crate::core::desired::representation::{ClientScopeRepresentation, ProtocolMapperRepresentation};
use crate::core::diff::FieldChange;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// The client scope with this id.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn get_client_scope(&self, id: &str) -> Result<ClientScopeRepresentation, ApiError> {
        self.get(Area::ClientScopes, &["client-scopes", id]).await
    }

    /// All client scopes of the realm. Keycloak has no pages for them: not for the regular path.
    ///
    /// # Errors
    /// `Forbidden` without `manage-clients`.
    pub async fn list_client_scopes(&self) -> Result<Vec<ClientScopeRepresentation>, ApiError> {
        self.get(Area::ClientScopes, &["client-scopes"]).await
    }

    /// The scopes that new clients get into every token: few, and the built-in ones among them.
    pub(super) async fn list_realm_default_scopes(&self) -> Result<Vec<ClientScopeRepresentation>, ApiError> {
        self.get(Area::ClientScopes, &["default-default-client-scopes"]).await
    }

    /// Creates a client scope, with its mappers, under the id that it brings.
    ///
    /// # Errors
    /// `Conflict` if the id or the name is taken.
    pub async fn create_client_scope(&self, scope: &ClientScopeRepresentation) -> Result<(), ApiError> {
        let call = self.call(Area::ClientScopes, Method::POST, &["client-scopes"]).body(scope)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Changes fields of a client scope; attributes are merged.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn update_client_scope(&self, scope: &ScopeRef, fields: &[FieldChange]) -> Result<(), ApiError> {
        let mut body = FieldChange::to_body(fields);
        if !FieldChange::touches(fields, "name") {
            // Keycloak fails (500) without the name.
            body["name"] = scope.name.clone().into();
        }
        let call = self.call(Area::ClientScopes, Method::PUT, &["client-scopes", &scope.id]).body(&body)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes a client scope and takes it from every client; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-clients`.
    pub async fn delete_client_scope(&self, id: &str) -> Result<(), ApiError> {
        let call = self.call(Area::ClientScopes, Method::DELETE, &["client-scopes", id]);
        ApiError::fine_if_missing(self.admin().call(call).await)
    }

    /// Creates a mapper in a client scope.
    ///
    /// # Errors
    /// `Conflict` if the scope has one of this name.
    pub async fn create_mapper(&self, scope: &str, mapper: &ProtocolMapperRepresentation) -> Result<(), ApiError> {
        let path = ["client-scopes", scope, "protocol-mappers", "models"];
        let call = self.call(Area::ClientScopes, Method::POST, &path).body(mapper)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Replaces a mapper, which has to carry its id: without it Keycloak fails.
    ///
    /// # Errors
    /// `NotFound` if there is no such scope or mapper.
    pub async fn update_mapper(&self, scope: &str, mapper: &ProtocolMapperRepresentation) -> Result<(), ApiError> {
        let id = mapper.id.as_deref().unwrap_or_default();
        let path = ["client-scopes", scope, "protocol-mappers", "models", id];
        let call = self.call(Area::ClientScopes, Method::PUT, &path).body(mapper)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes a mapper; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-clients`.
    pub async fn delete_mapper(&self, scope: &str, id: &str) -> Result<(), ApiError> {
        let path = ["client-scopes", scope, "protocol-mappers", "models", id];
        ApiError::fine_if_missing(self.admin().call(self.call(Area::ClientScopes, Method::DELETE, &path)).await)
    }
}
