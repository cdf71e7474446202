//! Carrying out a plan, one change after the other.

mod grants;
mod lookup;
mod scopes;

use std::collections::BTreeSet;

use serde_json::json;

use crate::core::desired::representation::RoleRepresentation;
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

    pub(super) async fn apply_change(&self, change: &Change) -> Result<(), ApiError> {
        if !self.writes(change) {
            return Ok(());
        }
        match change {
            Change::CreateRealm { realm } => self.create_realm(realm).await,
            Change::UpdateRealm { fields, .. } => self.update_realm(fields).await,
            Change::DeleteRealm { .. } => self.delete_realm().await,
            Change::UpdateSmtp { server, .. } => self.update_smtp(server).await,
            Change::UpdateUserProfile { profile, .. } => self.put_user_profile(profile).await,
            Change::UpdateClientProfiles { profiles, .. } => self.put_client_profiles(profiles).await,
            Change::UpdateClientPolicies { policies, .. } => self.put_client_policies(policies).await,
            Change::CreateRequiredAction { action } => self.create_required_action(action).await,
            Change::UpdateRequiredAction { action, .. } => self.update_required_action(action).await,
            Change::DeleteRequiredAction { alias } => self.delete_required_action(alias).await,
            Change::CreateSigningKey { key } => self.create_key_provider(key).await,
            Change::UpdateSigningKey { key, .. } => self.update_key_provider(key).await,
            Change::DeleteSigningKey { id, .. } => self.delete_key_provider(id).await,
            Change::CreateIdentityProvider { identity_provider } => {
                self.create_identity_provider(identity_provider).await
            }
            Change::UpdateIdentityProvider { identity_provider, .. } => {
                self.update_identity_provider(identity_provider).await
            }
            Change::DeleteIdentityProvider { alias } => self.delete_identity_provider(alias).await,
            Change::CreateClient { client, optional_scopes } => self.apply_new_client(client, optional_scopes).await,
            Change::UpdateClient { client, fields } => {
                self.update_client(&client.id, &FieldChange::to_body(fields)).await
            }
            Change::DeleteClient { client } => {
                self.directory().forget_client(&client.client_id);
                self.delete_client(&client.id).await
            }
            Change::SetClientSecret { client, secret, web_origins } => {
                let body = json!({ "secret": secret.expose(), "webOrigins": web_origins });
                self.update_client(&client.id, &body).await
            }
            Change::CreateClientRole { client, role } => self.create_client_role(&client.id, role).await,
            Change::UpdateClientRole { client, role, .. } => self.update_client_role(&client.id, role).await,
            Change::DeleteClientRole { client, role } => {
                self.directory().forget_client(&client.client_id);
                self.delete_client_role(&client.id, role).await
            }
            Change::CreateScope { scope } => self.create_client_scope(scope).await,
            Change::UpdateScope { scope, fields } => {
                self.directory().forget_scope(&scope.name);
                self.update_client_scope(scope, fields).await
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
            Change::MapOtherRoles { client, of, roles } => self.apply_other_roles(client, of, roles).await,
            Change::UnmapOtherRoles { client, of, roles } => self.take_other_roles(client, of, roles).await,
            Change::MapPerson { client, person, roles } => self.map_person(client, person, roles).await,
            Change::UnmapPerson { client, person, roles } => self.unmap_person(client, person, roles).await,
            Change::Object(change) => self.apply_object_change(change).await,
        }
    }
}

fn by_name(roles: &BTreeSet<String>) -> Vec<RoleRepresentation> {
    roles.iter().map(|name| RoleRepresentation { name: name.clone(), ..Default::default() }).collect()
}
