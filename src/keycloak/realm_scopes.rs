//! `/admin/realms/{realm}/default-{default,optional}-client-scopes`: what new clients get.

use reqwest::Method;

use crate::core::desired::objects::ScopeAssignment;
use crate::core::desired::representation::ClientScopeRepresentation;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// The client scopes that new clients get in this way.
    ///
    /// # Errors
    /// `Forbidden` without `manage-clients`.
    pub async fn list_realm_scopes(&self, list: ScopeAssignment) -> Result<Vec<ClientScopeRepresentation>, ApiError> {
        match segment(list) {
            Some(segment) => self.get(Area::ClientScopes, &[segment]).await,
            None => Ok(Vec::new()),
        }
    }

    /// Gives new clients a scope. It must not be in the other list: Keycloak would say yes and do nothing.
    ///
    /// # Errors
    /// `NotFound` if there is no such scope.
    pub async fn add_realm_scope(&self, list: ScopeAssignment, scope: &str) -> Result<(), ApiError> {
        let Some(segment) = segment(list) else { return Ok(()) };
        self.admin().call(self.call(Area::RealmScopes, Method::PUT, &[segment, scope])).await.map(|_| ())
    }

    /// Stops giving new clients a scope; fine if they do not get it.
    ///
    /// # Errors
    /// `Forbidden` without `manage-realm`.
    pub async fn remove_realm_scope(&self, list: ScopeAssignment, scope: &str) -> Result<(), ApiError> {
        let Some(segment) = segment(list) else { return Ok(()) };
        let call = self.call(Area::RealmScopes, Method::DELETE, &[segment, scope]);
        ApiError::fine_if_missing(self.admin().call(call).await)
    }
}

fn segment(list: ScopeAssignment) -> Option<&'static str> {
    match list {
        ScopeAssignment::Default => Some("default-default-client-scopes"),
        ScopeAssignment::Optional => Some("default-optional-client-scopes"),
        ScopeAssignment::Unassigned => None,
    }
}
