//! From names to the ids that Keycloak wants.

use std::collections::BTreeSet;

use crate::core::desired::representation::RoleRepresentation;
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::error::ApiError;

impl RealmAdmin {
    /// The internal id of an endpoint and its roles with their ids, from memory where possible.
    pub(super) async fn endpoint_roles(
        &self,
        endpoint: &str,
        roles: &BTreeSet<String>,
    ) -> Result<(String, Vec<RoleRepresentation>), ApiError> {
        let id = self.client_id_of(endpoint).await?;
        let mut found = Vec::with_capacity(roles.len());
        for name in roles {
            let role_id = match self.directory().role(&id, name) {
                Some(role_id) => role_id,
                None => {
                    let role_id = self.get_client_role(&id, name).await?.id.unwrap_or_default();
                    self.directory().keep_role(&id, name, &role_id);
                    role_id
                }
            };
            found.push(RoleRepresentation { id: Some(role_id), name: name.clone(), ..Default::default() });
        }
        Ok((id, found))
    }

    pub(super) async fn client_id_of(&self, client_id: &str) -> Result<String, ApiError> {
        if let Some(id) = self.directory().client(client_id) {
            return Ok(id);
        }
        let missing = || ApiError::NotFound { call: format!("client {client_id}") };
        let id = self.find_client(client_id).await?.ok_or_else(missing)?.reference().id;
        self.directory().keep_client(client_id, &id);
        Ok(id)
    }

    /// The id of a scope: remembered, the one that it should have, or found by name.
    pub(super) async fn scope_id(&self, name: &str, expected: Option<&str>) -> Result<String, ApiError> {
        if let Some(id) = self.directory().scope(name) {
            return Ok(id);
        }
        if let Some(id) = expected
            && let Some(scope) = ApiError::none_if_missing(self.get_client_scope(id).await)?
            && scope.settings.name == name
        {
            self.directory().keep_scope(name, id);
            return Ok(id.to_owned());
        }
        for scope in self.list_client_scopes().await? {
            self.directory().keep_scope(&scope.settings.name, &scope.reference().id);
        }
        self.directory().scope(name).ok_or_else(|| ApiError::NotFound { call: format!("client scope {name}") })
    }

    pub(super) async fn built_in_scope(&self, name: &str) -> Result<String, ApiError> {
        let defaults = self.list_realm_default_scopes().await?;
        match defaults.into_iter().find(|scope| scope.settings.name == name) {
            Some(scope) => Ok(scope.reference().id),
            None => self.scope_id(name, None).await,
        }
    }
}
