//! The scopes that a client has.

use std::collections::BTreeSet;

use crate::core::desired::representation::ClientRepresentation;
use crate::core::desired::{ClientRef, ScopeRef};
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::clients::ScopeList;
use crate::keycloak::error::ApiError;

impl RealmAdmin {
    /// Keycloak drops scopes that it does not know without a word, so each is made sure of first.
    pub(super) async fn apply_new_client(
        &self,
        client: &ClientRepresentation,
        optional_scopes: &BTreeSet<ScopeRef>,
    ) -> Result<(), ApiError> {
        for scope in optional_scopes {
            self.scope_id(&scope.name, scope.expected_id()).await?;
        }
        self.create_client(client).await
    }

    pub(super) async fn apply_optional_scope(&self, client: &ClientRef, scope: &ScopeRef) -> Result<(), ApiError> {
        let id = self.scope_id(&scope.name, scope.expected_id()).await?;
        let result = self.add_scope_to_client(&client.id, ScopeList::Optional, &id).await;
        if result.as_ref().is_err_and(ApiError::is_not_found) {
            self.directory().forget_scope(&scope.name);
        }
        result
    }

    pub(super) async fn remove_scope_named(
        &self,
        client: &ClientRef,
        list: ScopeList,
        name: &str,
    ) -> Result<(), ApiError> {
        let scopes = self.list_scopes_of_client(&client.id, list).await?;
        let Some(scope) = scopes.iter().find(|scope| scope.settings.name == name) else { return Ok(()) };
        self.remove_scope_from_client(&client.id, list, &scope.reference().id).await
    }
}
