//! Reading roles, client scopes, identity providers and user federation.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::desired::Owner;
use crate::core::desired::objects::{Broker, DesiredObjects, ScopeAssignment, default_role_name};
use crate::core::desired::representation::{LDAP_MAPPER, USER_STORAGE};
use crate::core::diff::objects::{
    Imported, ObservedBroker, ObservedBrokers, ObservedFederation, ObservedLdap, ObservedRoles, ObservedScopes,
    ServerTypes,
};
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::error::ApiError;

impl RealmAdmin {
    /// The realm roles, and what those include that are listed, ours, or everybody's.
    ///
    /// # Errors
    /// An [`ApiError`] if any part cannot be read.
    pub async fn observe_roles(&self, desired: &DesiredObjects) -> Result<ObservedRoles, ApiError> {
        let mut observed = ObservedRoles { roles: self.list_realm_roles().await?, composites: BTreeMap::new() };
        let default = default_role_name(self.name());
        for role in observed.roles.iter().filter(|role| role.composite) {
            let is_listed = desired.roles.iter().any(|wanted| wanted.name == role.name);
            if is_listed || role.name == default {
                observed.composites.insert(role.name.clone(), self.list_included(&role.name).await?);
            }
        }
        Ok(observed)
    }

    /// The client scopes, and which of them new clients get.
    ///
    /// # Errors
    /// An [`ApiError`] if any part cannot be read.
    pub async fn observe_scopes_of_realm(&self, desired: &DesiredObjects) -> Result<ObservedScopes, ApiError> {
        let scopes = self.list_client_scopes().await?;
        let mut assigned = BTreeMap::new();
        if !desired.client_scopes.is_empty() {
            for list in [ScopeAssignment::Default, ScopeAssignment::Optional] {
                let found = self.list_realm_scopes(list).await?;
                assigned.extend(found.into_iter().map(|scope| (scope.reference().id, list)));
            }
        }
        let types = self.types_for(desired.client_scopes.iter().any(|scope| !scope.mappers.is_empty())).await?;
        Ok(ObservedScopes { scopes, assigned, types: (*types).clone() })
    }

    /// The identity providers, and what their discovery documents say now.
    ///
    /// # Errors
    /// An [`ApiError`] if any part cannot be read; a discovery document that Keycloak cannot read is no error.
    pub async fn observe_brokers(&self, desired: &DesiredObjects) -> Result<ObservedBrokers, ApiError> {
        let types = self.types_for(!desired.identity_providers.is_empty()).await?;
        let mut observed = ObservedBrokers { types: (*types).clone(), ..ObservedBrokers::default() };
        for provider in self.list_brokers().await? {
            let is_listed = desired.identity_providers.iter().any(|wanted| wanted.alias == provider.alias);
            let mappers = if is_listed { self.list_broker_mappers(&provider.alias).await? } else { Vec::new() };
            observed.providers.push(ObservedBroker { provider, mappers });
        }
        for broker in &desired.identity_providers {
            if let Some(url) = &broker.discovery {
                observed.imported.insert(broker.alias.clone(), self.discover(broker, url).await?);
            }
        }
        Ok(observed)
    }

    /// Keycloak's failure to read the document is one thing, ours to ask Keycloak another.
    async fn discover(&self, broker: &Broker, url: &str) -> Result<Imported, ApiError> {
        match self.import_broker(&broker.provider_id, url).await {
            Ok(imported) => Ok(Ok(imported)),
            Err(ApiError::Invalid { message, .. }) => Ok(Err(message)),
            Err(ApiError::Server { status, message, .. }) => Ok(Err(format!("status {status}: {message}"))),
            Err(ApiError::Timeout { .. }) => Ok(Err("it did not answer in time".to_owned())),
            Err(ApiError::Unreadable { .. }) => Ok(Err("it is no discovery document".to_owned())),
            Err(error) => Err(error),
        }
    }

    /// User federation, and the mappers of what is listed.
    ///
    /// # Errors
    /// An [`ApiError`] if any part cannot be read.
    pub async fn observe_federation(&self, desired: &DesiredObjects) -> Result<ObservedFederation, ApiError> {
        let types = self.types_for(!desired.user_federation.is_empty()).await?;
        let mut observed = ObservedFederation { servers: Vec::new(), types: (*types).clone() };
        for component in self.list_components(USER_STORAGE, None).await? {
            let is_listed = desired.user_federation.iter().any(|wanted| wanted.name == component.name);
            let parent = Some(component.id());
            let mappers = if is_listed { self.list_components(LDAP_MAPPER, parent).await? } else { Vec::new() };
            observed.servers.push(ObservedLdap { component, mappers });
        }
        Ok(observed)
    }

    /// The types that the server knows, where any is to be checked.
    async fn types_for(&self, is_needed: bool) -> Result<Arc<ServerTypes>, ApiError> {
        if is_needed { self.admin().server_types().await } else { Ok(Arc::default()) }
    }
}

pub(super) fn is_of(owner: Option<Owner>, desired: &DesiredObjects) -> bool {
    owner.is_some_and(|owner| owner.is_same_object(&desired.owner))
}
