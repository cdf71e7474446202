//! The roles that a service account holds on endpoints.

use std::collections::BTreeSet;

use crate::core::desired::ClientRef;
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::error::ApiError;

impl RealmAdmin {
    pub(super) async fn apply_grant(
        &self,
        client: &ClientRef,
        endpoint: &str,
        roles: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
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

    /// The account holds the roles, and the client is bound to them: Keycloak asks for both.
    pub(super) async fn apply_other_roles(
        &self,
        client: &ClientRef,
        of: &str,
        roles: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        let account = self.get_service_account(&client.id).await?;
        for role in roles {
            // Read afresh: a client that is not ours may be another one by now.
            let (id, found) = self.find_client_role(of, role).await?;
            let given = self.map_client_roles(&account.id, &id, std::slice::from_ref(&found)).await;
            given.map_err(|error| not_to_give(error, role))?;
            self.bind_client(&client.id, &id, &[found]).await?;
        }
        Ok(())
    }

    /// The role first: without it the binding is worth nothing.
    pub(super) async fn take_other_roles(
        &self,
        client: &ClientRef,
        of: &str,
        roles: &BTreeSet<String>,
    ) -> Result<(), ApiError> {
        self.apply_revocation(client, of, roles).await?;
        let mut bound = self.list_client_scope_mappings(&client.id).await?.client_mappings;
        let Some(mapping) = bound.remove(of) else { return Ok(()) };
        let surplus: Vec<_> = mapping.mappings.into_iter().filter(|role| roles.contains(&role.name)).collect();
        ApiError::fine_if_missing(self.unbind_client(&client.id, &mapping.id, &surplus).await)
    }

    /// Read afresh and without memory: a revocation that hits nothing must not look like one that worked.
    pub(super) async fn apply_revocation(
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
}

fn not_to_give(error: ApiError, role: &str) -> ApiError {
    match error {
        ApiError::Forbidden { call, missing } => ApiError::NotToGive { call, missing, role: role.to_owned() },
        error => error,
    }
}
