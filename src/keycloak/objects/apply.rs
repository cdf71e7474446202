//! Carrying out one change of an object in a realm.

use reqwest::Method;

use crate::core::desired::Sealed;
use crate::core::desired::objects::{GroupPath, digest, password_entry};
use crate::core::diff::ObjectChange;
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::error::ApiError;

impl RealmAdmin {
    pub(in crate::keycloak) async fn apply_object_change(&self, change: &ObjectChange) -> Result<(), ApiError> {
        match change {
            ObjectChange::CreateRealmRole { role } => self.create_realm_role(role).await,
            ObjectChange::UpdateRealmRole { role, .. } => self.update_realm_role(role).await,
            ObjectChange::DeleteRealmRole { role } => self.delete_realm_role(role).await,
            ObjectChange::AddRoles { holder, roles } => self.write_grants(Method::POST, holder, roles).await,
            ObjectChange::RemoveRoles { holder, roles } => self.write_grants(Method::DELETE, holder, roles).await,
            ObjectChange::CreateGroup { path, attributes } => self.create_group(path, attributes).await,
            ObjectChange::UpdateGroup { path, attributes, .. } => self.update_group(path, attributes).await,
            ObjectChange::DeleteGroup { path } => self.delete_group(path).await,
            ObjectChange::AddDefaultGroup { path } => self.set_default_group(path, true).await,
            ObjectChange::RemoveDefaultGroup { path } => self.set_default_group(path, false).await,
            ObjectChange::AddRealmScope { scope, list } => self.add_realm_scope(*list, &scope.id).await,
            ObjectChange::RemoveRealmScope { scope, list } => self.remove_realm_scope(*list, &scope.id).await,
            ObjectChange::CreateBroker { provider, secret } => self.create_broker(provider, secret.as_ref()).await,
            ObjectChange::UpdateBroker { provider, secret, .. } => self.update_broker(provider, secret.as_ref()).await,
            ObjectChange::DeleteBroker { alias } => self.delete_identity_provider(alias).await,
            ObjectChange::CreateBrokerMapper { mapper } => self.create_broker_mapper(mapper).await,
            ObjectChange::UpdateBrokerMapper { mapper, .. } => self.update_broker_mapper(mapper).await,
            ObjectChange::DeleteBrokerMapper { mapper } => self.delete_broker_mapper(mapper).await,
            ObjectChange::CreateComponent { component, secret } => {
                self.create_component(component, secret.as_ref()).await
            }
            ObjectChange::UpdateComponent { component, secret, .. } => {
                self.update_component(component, secret.as_ref()).await
            }
            ObjectChange::DeleteComponent { component } => self.delete_component(component.id()).await,
            ObjectChange::CreateUser { user, ledger } => self.create_user(user, ledger).await,
            ObjectChange::UpdateUser { user, .. } => self.update_user(user).await,
            ObjectChange::DeleteUser { user } => self.delete_user(user.id()).await,
            ObjectChange::SetPassword { username, password, ledger } => {
                self.apply_password(username, password, ledger).await
            }
            ObjectChange::JoinGroup { username, path } => self.apply_membership(username, path, true).await,
            ObjectChange::LeaveGroup { username, path } => self.apply_membership(username, path, false).await,
        }
    }

    async fn apply_password(&self, username: &str, password: &Sealed, ledger: &GroupPath) -> Result<(), ApiError> {
        self.set_password(&self.user_id(username).await?, password).await?;
        let mut attributes = self.get_group(ledger).await?.attributes;
        attributes.insert(password_entry(username), vec![digest(&password.version)]);
        self.update_group(ledger, &attributes).await
    }

    async fn apply_membership(&self, username: &str, path: &GroupPath, is_member: bool) -> Result<(), ApiError> {
        let user = self.user_id(username).await?;
        let group = self.get_group(path).await?;
        self.set_membership(&user, group.id(), is_member).await
    }
}
