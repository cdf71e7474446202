//! Carrying out a plan, one change after the other.

use std::collections::BTreeSet;

use crate::core::desired::representation::{ClientRepresentation, RoleRepresentation};
use crate::core::desired::{ClientRef, ScopeRef};
use crate::core::diff::{Change, FieldChange, Plan};

use super::admin::RealmAdmin;
use super::clients::ScopeList;
use super::error::ApiError;

/// A plan that was carried out in part. What is done stays done; observing again tells what is left.
#[derive(Debug, thiserror::Error)]
#[error("cannot {failed}: {source}")]
pub struct ApplyError {
    /// The changes before it, which were made.
    pub done: Vec<Change>,
    /// The change that failed.
    pub failed: Box<Change>,
    /// Why.
    pub source: ApiError,
}

impl RealmAdmin {
    /// Carries out a plan. Every change can be repeated but for the creation of what exists, which is a `Conflict`:
    /// [`reconcile_endpoint`](Self::reconcile_endpoint) and its like then look again.
    ///
    /// # Errors
    /// [`ApplyError`] at the first change that fails.
    pub async fn apply(&self, plan: Plan) -> Result<Vec<Change>, ApplyError> {
        let mut done = Vec::with_capacity(plan.changes.len());
        for change in plan.changes {
            match self.apply_change(&change).await {
                Ok(()) => done.push(change),
                Err(source) => return Err(ApplyError { done, failed: Box::new(change), source }),
            }
        }
        Ok(done)
    }

    async fn apply_change(&self, change: &Change) -> Result<(), ApiError> {
        match change {
            Change::CreateRealm { realm } => self.create_realm(realm).await,
            Change::UpdateRealm { fields, .. } => self.update_realm(fields).await,
            Change::DeleteRealm { .. } => self.delete_realm().await,
            Change::CreateRealmRole { role } => self.create_realm_role(role).await,
            Change::UpdateRealmRole { role, .. } => self.update_realm_role(role).await,
            Change::DeleteRealmRole { role } => self.delete_realm_role(role).await,
            Change::AddComposites { role, composites } => {
                let composites = self.realm_roles_named(composites).await?;
                self.add_composites(role, &composites).await
            }
            Change::RemoveComposites { role, composites } => {
                let composites = self.realm_roles_named(composites).await?;
                self.remove_composites(role, &composites).await
            }
            Change::CreateIdentityProvider { identity_provider } => {
                self.create_identity_provider(identity_provider).await
            }
            Change::UpdateIdentityProvider { identity_provider, .. } => {
                self.update_identity_provider(identity_provider).await
            }
            Change::DeleteIdentityProvider { alias } => self.delete_identity_provider(alias).await,
            Change::CreateClient { client } => self.apply_new_client(client).await,
            Change::UpdateClient { client, fields } => {
                self.update_client(&client.id, &FieldChange::to_body(fields)).await
            }
            Change::DeleteClient { client } => {
                self.directory().forget_client(&client.client_id);
                self.delete_client(&client.id).await
            }
            Change::CreateClientRole { client, role } => self.create_client_role(&client.id, role).await,
            Change::UpdateClientRole { client, role, .. } => self.update_client_role(&client.id, role).await,
            Change::DeleteClientRole { client, role } => {
                self.directory().forget_client(&client.client_id);
                self.delete_client_role(&client.id, role).await
            }
            _ => self.apply_scope_change(change).await,
        }
    }

    async fn apply_scope_change(&self, change: &Change) -> Result<(), ApiError> {
        match change {
            Change::CreateScope { scope } => self.create_client_scope(scope).await,
            Change::UpdateScope { scope, fields } => {
                self.directory().forget_scope(&scope.name);
                self.update_client_scope(&scope.id, &FieldChange::to_body(fields)).await
            }
            Change::DeleteScope { scope } => {
                self.directory().forget_scope(&scope.name);
                self.delete_client_scope(&scope.id).await
            }
            Change::CreateScopeMapper { scope, mapper } => self.create_mapper(&scope.id, mapper).await,
            Change::UpdateScopeMapper { scope, mapper, .. } => self.update_mapper(&scope.id, mapper).await,
            Change::DeleteScopeMapper { scope, mapper } => {
                self.delete_mapper(&scope.id, mapper.id.as_deref().unwrap_or_default()).await
            }
            Change::AddScopeMapping { scope, source, roles } => {
                self.add_scope_mappings(&scope.id, source, &by_name(roles)).await
            }
            Change::RemoveScopeMapping { scope, source, roles } => {
                self.remove_scope_mappings(&scope.id, source, &by_name(roles)).await
            }
            _ => self.apply_client_scope_change(change).await,
        }
    }

    async fn apply_client_scope_change(&self, change: &Change) -> Result<(), ApiError> {
        match change {
            Change::AddDefaultScope { client, scope } => {
                let id = self.built_in_scope(scope).await?;
                self.add_scope_to_client(&client.id, ScopeList::Default, &id).await
            }
            Change::RemoveDefaultScope { client, scope } => {
                self.remove_scope_named(client, ScopeList::Default, scope).await
            }
            Change::AddOptionalScope { client, scope } => self.apply_optional_scope(client, scope).await,
            Change::RemoveOptionalScope { client, scope } => {
                self.remove_scope_named(client, ScopeList::Optional, scope).await
            }
            Change::MapRoles { client, endpoint, roles } => self.apply_grant(client, endpoint, roles).await,
            Change::UnmapRoles { client, endpoint, roles } => self.apply_revocation(client, endpoint, roles).await,
            // Every other change is one of the two functions above.
            _ => Ok(()),
        }
    }

    /// Keycloak drops scopes that it does not know without a word, so each is made sure of first.
    async fn apply_new_client(&self, client: &ClientRepresentation) -> Result<(), ApiError> {
        for name in client.optional_client_scopes.iter().flatten() {
            self.scope_id(name, None).await?;
        }
        self.create_client(client).await
    }

    async fn apply_optional_scope(&self, client: &ClientRef, scope: &ScopeRef) -> Result<(), ApiError> {
        let id = self.scope_id(&scope.name, Some(&scope.id)).await?;
        let result = self.add_scope_to_client(&client.id, ScopeList::Optional, &id).await;
        if result.as_ref().is_err_and(ApiError::is_not_found) {
            self.directory().forget_scope(&scope.name);
        }
        result
    }

    async fn remove_scope_named(&self, client: &ClientRef, list: ScopeList, name: &str) -> Result<(), ApiError> {
        let scopes = self.list_scopes_of_client(&client.id, list).await?;
        let Some(scope) = scopes.iter().find(|scope| scope.settings.name == name) else { return Ok(()) };
        self.remove_scope_from_client(&client.id, list, &scope.reference().id).await
    }

    async fn apply_grant(&self, client: &ClientRef, endpoint: &str, roles: &BTreeSet<String>) -> Result<(), ApiError> {
        let account = self.get_service_account(&client.id).await?;
        let (endpoint_id, found) = self.endpoint_roles(endpoint, roles).await?;
        let result = self.map_client_roles(&account.id, &endpoint_id, &found).await;
        if !result.as_ref().is_err_and(ApiError::is_not_found) {
            return result;
        }
        // What we remember of the endpoint may be of one that was deleted and made again.
        self.directory().forget_client(endpoint);
        let (endpoint_id, found) = self.endpoint_roles(endpoint, roles).await?;
        self.map_client_roles(&account.id, &endpoint_id, &found).await
    }

    /// Read afresh and without memory: a revocation that hits nothing must not look like one that worked.
    async fn apply_revocation(
        &self,
        client: &ClientRef,
        endpoint: &str,
        roles: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        let account = self.get_service_account(&client.id).await?;
        let mut held = self.list_role_mappings(&account.id).await?.client_mappings;
        let Some(mapping) = held.remove(endpoint) else { return Ok(()) };
        let surplus: Vec<_> = mapping.mappings.into_iter().filter(|role| roles.contains(&role.name)).collect();
        if surplus.is_empty() {
            return Ok(());
        }
        ApiError::fine_if_missing(self.unmap_client_roles(&account.id, &mapping.id, &surplus).await)
    }

    /// The internal id of an endpoint and its roles with their ids, from memory where possible.
    async fn endpoint_roles(
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

    async fn client_id_of(&self, client_id: &str) -> Result<String, ApiError> {
        if let Some(id) = self.directory().client(client_id) {
            return Ok(id);
        }
        let missing = || ApiError::NotFound { call: format!("client {client_id}") };
        let id = self.find_client(client_id).await?.ok_or_else(missing)?.reference().id;
        self.directory().keep_client(client_id, &id);
        Ok(id)
    }

    /// The id of a scope: remembered, the one that it should have, or found by name.
    async fn scope_id(&self, name: &str, expected: Option<&str>) -> Result<String, ApiError> {
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

    async fn built_in_scope(&self, name: &str) -> Result<String, ApiError> {
        let defaults = self.list_realm_default_scopes().await?;
        match defaults.into_iter().find(|scope| scope.settings.name == name) {
            Some(scope) => Ok(scope.reference().id),
            None => self.scope_id(name, None).await,
        }
    }

    async fn realm_roles_named(&self, names: &BTreeSet<String>) -> Result<Vec<RoleRepresentation>, ApiError> {
        let mut roles = Vec::with_capacity(names.len());
        for name in names {
            roles.push(self.get_realm_role(name).await?);
        }
        Ok(roles)
    }
}

fn by_name(roles: &BTreeSet<String>) -> Vec<RoleRepresentation> {
    roles.iter().map(|name| RoleRepresentation { name: name.clone(), ..Default::default() }).collect()
}
