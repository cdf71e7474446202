//! Reading what belongs to one object, with few calls. «Not found» is told from «not visible»: absence is not deletion.

use std::collections::{BTreeMap, BTreeSet};

use tokio::task::JoinSet;
use uuid::Uuid;

use crate::core::desired::representation::{
    ClientRepresentation, ClientScopeRepresentation, IdentityProviderRepresentation, RoleRepresentation,
};
use crate::core::desired::{
    ClientRef, DesiredEndpoint, DesiredWorkload, is_endpoint_client_id, permission_scope_id, roles_given,
};
use crate::core::diff::{
    ObservedEndpoint, ObservedRealm, ObservedRoleMapping, ObservedScope, ObservedScopeMapping, ObservedWorkload,
    RoleSource,
};

use crate::core::desired::including_roles;
use crate::core::{name::is_grant_role, person::Person};

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::role_mappings::{ClientMappings, RoleMappings};

/// Where to look for an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointKey {
    /// The internal id that we would give to its client.
    pub id: Uuid,
    /// Its client id.
    pub client_id: String,
    /// Permissions whose scopes to look for, besides those that the client has a role for.
    pub permissions: BTreeSet<String>,
    /// Names of scopes to look for under any id: those to be adopted. Lists all scopes of the realm.
    pub scope_names: BTreeSet<String>,
    /// Who should hold any of its roles.
    pub people: BTreeSet<Person>,
}

/// Where to look for a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkloadKey {
    /// The internal id that we would give to its client.
    pub id: Uuid,
    /// Its client id.
    pub client_id: String,
    /// The same of the client with which it takes turns, where there may be one.
    pub second: Option<(Uuid, String)>,
}

impl From<&DesiredEndpoint> for EndpointKey {
    fn from(desired: &DesiredEndpoint) -> Self {
        let names = desired.scopes.iter().filter(|_| desired.adopt).map(|scope| scope.name.clone());
        Self {
            id: desired.id,
            client_id: desired.client_id.clone(),
            permissions: desired.scopes.iter().map(|scope| scope.role.clone()).collect(),
            scope_names: names.collect(),
            people: desired.people.iter().map(|held| held.person.clone()).collect(),
        }
    }
}

impl From<&DesiredWorkload> for WorkloadKey {
    fn from(desired: &DesiredWorkload) -> Self {
        let second = desired.second.place().map(|(id, client_id)| (id, client_id.to_owned()));
        Self { id: desired.id, client_id: desired.client_id.clone(), second }
    }
}

impl RealmAdmin {
    /// The realm and its identity providers.
    ///
    /// # Errors
    /// An [`ApiError`] if any part cannot be read; a realm that does not exist is no error.
    pub async fn observe_realm(&self) -> Result<ObservedRealm, ApiError> {
        let Some(realm) = ApiError::none_if_missing(self.get_realm().await)? else {
            return Ok(ObservedRealm::default());
        };
        let identity_providers = self.visible_identity_providers().await?;
        Ok(ObservedRealm { realm: Some(realm), identity_providers })
    }

    /// The client of an endpoint, its roles, and the scopes of its permissions.
    ///
    /// # Errors
    /// An [`ApiError`] if any part cannot be read; an endpoint that does not exist is no error.
    pub async fn observe_endpoint(&self, key: &EndpointKey) -> Result<ObservedEndpoint, ApiError> {
        let client = self.locate_client(key.id, &key.client_id).await?;
        let roles = match client.as_ref().and_then(|client| client.id.as_deref()) {
            Some(id) => self.list_client_roles(id).await?,
            None => Vec::new(),
        };
        self.remember(client.as_ref(), &roles);
        let of_roles = roles.iter().map(|role| role.name.clone()).filter(|role| !is_grant_role(role));
        let permissions = key.permissions.iter().cloned().chain(of_roles);
        let ids: BTreeSet<_> = permissions.map(|name| permission_scope_id(key.id, &name).to_string()).collect();
        let mut scopes = self.observe_scopes(ids).await?;
        if !key.scope_names.is_empty() {
            scopes.extend(self.scopes_to_adopt(key, &scopes).await?);
        }
        let people = self.observe_people(key, client.as_ref(), &roles).await?;
        let absent = self.observe_absent(key, &people).await?;
        Ok(ObservedEndpoint { client, roles, scopes, people, absent })
    }

    /// Where no grant is for people, and none was, nobody is asked: a role of a grant goes after all that was given with it.
    async fn observe_people(
        &self,
        key: &EndpointKey,
        client: Option<&ClientRepresentation>,
        roles: &[RoleRepresentation],
    ) -> Result<BTreeMap<Person, BTreeSet<String>>, ApiError> {
        let is_for_people = !key.people.is_empty() || roles.iter().any(|role| is_grant_role(&role.name));
        let Some(id) = client.and_then(|client| client.id.as_deref()).filter(|_| is_for_people) else {
            return Ok(BTreeMap::new());
        };
        let named = key.people.iter().filter(|person| person.as_role().is_some()).cloned();
        let including = roles.iter().flat_map(including_roles).chain(named).collect();
        self.people_with(id, roles, &including).await
    }

    /// Whoever holds a role is there; of the others the realm is asked.
    async fn observe_absent(
        &self,
        key: &EndpointKey,
        held: &BTreeMap<Person, BTreeSet<String>>,
    ) -> Result<BTreeSet<Person>, ApiError> {
        let mut absent = BTreeSet::new();
        for person in key.people.iter().filter(|person| !held.contains_key(*person)) {
            if !self.has_person(person).await? {
                absent.insert(person.clone());
            }
        }
        self.directory().set_absent(&key.client_id, absent.clone());
        Ok(absent)
    }

    /// The client of a workload and the roles of its service account.
    ///
    /// # Errors
    /// An [`ApiError`] if any part cannot be read; a workload that does not exist is no error.
    pub async fn observe_workload(&self, key: &WorkloadKey) -> Result<ObservedWorkload, ApiError> {
        let mut observed = self.observe_client(key.id, &key.client_id).await?;
        if let Some((id, client_id)) = &key.second {
            observed.second = Some(Box::new(self.observe_client(*id, client_id).await?));
        }
        Ok(observed)
    }

    /// One client with a service account.
    async fn observe_client(&self, id: Uuid, client_id: &str) -> Result<ObservedWorkload, ApiError> {
        let Some(client) = self.locate_client(id, client_id).await? else {
            return Ok(ObservedWorkload::default());
        };
        let mut observed = ObservedWorkload { client: Some(client.clone()), ..ObservedWorkload::default() };
        if !client.settings.service_accounts_enabled {
            return Ok(observed);
        }
        let account = self.get_service_account(&client.reference().id).await?;
        let RoleMappings { client_mappings, .. } = self.list_role_mappings(&account.id).await?;
        for mapping in client_mappings.into_values() {
            let is_endpoint = self.is_endpoint(&mapping).await?;
            let roles = names(&mapping.mappings);
            observed.role_mappings.push(ObservedRoleMapping { client_id: mapping.client, is_endpoint, roles });
        }
        if !roles_given(&client.settings).is_empty() {
            let bound = self.list_client_scope_mappings(&client.reference().id).await?.client_mappings;
            let bound = bound.into_values().map(|mapping| (mapping.client, names(&mapping.mappings)));
            observed.bound_to = bound.collect();
        }
        Ok(observed)
    }

    /// The client with our id, else the one that has its client id: to be adopted, or in the way.
    async fn locate_client(&self, id: Uuid, client_id: &str) -> Result<Option<ClientRepresentation>, ApiError> {
        match ApiError::none_if_missing(self.get_client(&id.to_string()).await)? {
            Some(client) => Ok(Some(client)),
            None => self.find_client(client_id).await,
        }
    }

    /// Where none is wanted, an account that may not see them need not; where one is, its creation names the right.
    async fn visible_identity_providers(&self) -> Result<Vec<IdentityProviderRepresentation>, ApiError> {
        match self.list_identity_providers().await {
            Err(ApiError::Forbidden { .. }) => Ok(Vec::new()),
            result => result,
        }
    }

    /// An endpoint with a URL as client id cannot be told by its name, but its id is one that we derive.
    pub(super) async fn is_endpoint(&self, mapping: &ClientMappings) -> Result<bool, ApiError> {
        if is_endpoint_client_id(&mapping.client) {
            return Ok(true);
        }
        let is_derived = Uuid::parse_str(&mapping.id).is_ok_and(|id| id.get_version_num() == 5);
        if !is_derived {
            return Ok(false);
        }
        let client = ApiError::none_if_missing(self.get_client(&mapping.id).await)?;
        Ok(client.is_some_and(|client| client.owner().is_some()))
    }

    async fn observe_scopes(&self, ids: BTreeSet<String>) -> Result<Vec<ObservedScope>, ApiError> {
        let mut reads = JoinSet::new();
        for id in ids {
            let realm = self.clone();
            reads.spawn(async move {
                let Some(scope) = ApiError::none_if_missing(realm.get_client_scope(&id).await)? else {
                    return Ok(None);
                };
                realm.observe_scope(scope).await.map(Some)
            });
        }
        let mut found = BTreeMap::new();
        // A read that was cancelled with the runtime has no result, and nobody waits for this one either.
        while let Some(Ok(read)) = reads.join_next().await {
            if let Some(observed) = read? {
                found.insert(observed.scope.settings.name.clone(), observed);
            }
        }
        Ok(found.into_values().collect())
    }

    async fn observe_scope(&self, scope: ClientScopeRepresentation) -> Result<ObservedScope, ApiError> {
        let reference = scope.reference();
        self.directory().keep_scope(&reference.name, &reference.id);
        let RoleMappings { realm_mappings, client_mappings } = self.list_scope_mappings(&reference.id).await?;
        let clients = client_mappings.into_values().map(|mapping| ObservedScopeMapping {
            source: RoleSource::Client(ClientRef { id: mapping.id, client_id: mapping.client }),
            roles: names(&mapping.mappings),
        });
        let realm = ObservedScopeMapping { source: RoleSource::Realm, roles: names(&realm_mappings) };
        let mappings = clients.chain([realm]).filter(|mapping| !mapping.roles.is_empty()).collect();
        Ok(ObservedScope { scope, mappings })
    }

    async fn scopes_to_adopt(
        &self,
        key: &EndpointKey,
        found: &[ObservedScope],
    ) -> Result<Vec<ObservedScope>, ApiError> {
        let mut adopted = Vec::new();
        for scope in self.list_client_scopes().await? {
            let name = &scope.settings.name;
            let is_known = found.iter().any(|found| &found.scope.settings.name == name);
            if key.scope_names.contains(name) && !is_known {
                adopted.push(self.observe_scope(scope).await?);
            }
        }
        Ok(adopted)
    }

    fn remember(&self, client: Option<&ClientRepresentation>, roles: &[RoleRepresentation]) {
        let Some(client) = client.map(ClientRepresentation::reference) else { return };
        self.directory().keep_client(&client.client_id, &client.id);
        for role in roles {
            self.directory().keep_role(&client.id, &role.name, role.id.as_deref().unwrap_or_default());
        }
    }
}

fn names(roles: &[RoleRepresentation]) -> BTreeSet<String> {
    roles.iter().map(|role| role.name.clone()).collect()
}
