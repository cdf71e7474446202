//! The roles that something has: a role includes them, a group gives them to its members, a user has them.

use std::collections::BTreeSet;

use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::core::desired::objects::{RoleHolder, RoleSet, default_role_name};
use crate::core::desired::representation::RoleRepresentation;
use crate::core::diff::objects::RoleGrants;
use crate::keycloak::admin::RealmAdmin;
use crate::keycloak::error::ApiError;
use crate::keycloak::rights::Area;
use crate::keycloak::role_mappings::{ClientMappings, RoleMappings};

/// A role that another includes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Included {
    name: String,
    #[serde(default)]
    client_role: bool,
    /// Of a client role, the client's internal id.
    #[serde(default)]
    container_id: Option<String>,
}

/// Roles with the ids that Keycloak wants, by where they are from.
struct Found {
    realm: Vec<RoleRepresentation>,
    /// With the internal id of their client.
    clients: Vec<(String, Vec<RoleRepresentation>)>,
}

impl RealmAdmin {
    /// The roles that a realm role includes.
    ///
    /// # Errors
    /// `NotFound` if there is no such role.
    pub async fn list_included(&self, role: &str) -> Result<RoleGrants, ApiError> {
        let all: Vec<Included> = self.get(Area::RealmRoles, &["roles", role, "composites"]).await?;
        let mut grants = RoleGrants::default();
        for included in all {
            match included.container_id.filter(|_| included.client_role) {
                None => drop(grants.takeable.realm.insert(included.name)),
                Some(client) => self.add_included(&client, included.name, &mut grants).await?,
            }
        }
        Ok(grants)
    }

    async fn add_included(&self, client: &str, role: String, grants: &mut RoleGrants) -> Result<(), ApiError> {
        let client_id = self.get_client(client).await?.settings.client_id;
        let mapping = ClientMappings { id: client.to_owned(), client: client_id.clone(), mappings: Vec::new() };
        let is_endpoint = self.is_endpoint(&mapping).await?;
        let set = if is_endpoint { &mut grants.fixed } else { &mut grants.takeable };
        set.clients.entry(client_id).or_default().insert(role);
        Ok(())
    }

    /// The roles that a group or a user has, by id.
    pub(super) async fn list_grants(&self, place: [&str; 2]) -> Result<RoleGrants, ApiError> {
        let path = [place[0], place[1], "role-mappings"];
        let RoleMappings { realm_mappings, client_mappings } = self.get(Area::RoleMappings, &path).await?;
        let mut grants = RoleGrants::default();
        let default = default_role_name(self.name());
        for role in realm_mappings {
            let set = if role.name == default { &mut grants.fixed } else { &mut grants.takeable };
            set.realm.insert(role.name);
        }
        for mapping in client_mappings.into_values() {
            let set = if self.is_endpoint(&mapping).await? { &mut grants.fixed } else { &mut grants.takeable };
            let roles: BTreeSet<_> = mapping.mappings.into_iter().map(|role| role.name).collect();
            set.clients.insert(mapping.client, roles);
        }
        Ok(grants)
    }

    pub(super) async fn write_grants(
        &self,
        method: Method,
        holder: &RoleHolder,
        roles: &RoleSet,
    ) -> Result<(), ApiError> {
        let is_removal = method == Method::DELETE;
        let found = self.find_roles(roles, is_removal).await?;
        let place = match holder {
            RoleHolder::Role(name) => return self.write_included(method, name, found).await,
            RoleHolder::Group(path) => ["groups".to_owned(), self.get_group(path).await?.id().to_owned()],
            RoleHolder::User(name) => ["users".to_owned(), self.user_id(name).await?],
        };
        let base = [place[0].as_str(), place[1].as_str(), "role-mappings"];
        let realm = (vec!["realm"], found.realm);
        let clients = found.clients.iter().map(|(id, roles)| (vec!["clients", id.as_str()], roles.clone()));
        for (source, roles) in [realm].into_iter().chain(clients).filter(|(_, roles)| !roles.is_empty()) {
            let path = [&base[..], &source].concat();
            self.admin().call(self.call(Area::RoleMappings, method.clone(), &path).body(&roles)?).await?;
        }
        Ok(())
    }

    async fn write_included(&self, method: Method, role: &str, found: Found) -> Result<(), ApiError> {
        let all: Vec<_> =
            found.realm.into_iter().chain(found.clients.into_iter().flat_map(|(_, roles)| roles)).collect();
        if all.is_empty() {
            return Ok(());
        }
        let call = self.call(Area::RealmRoles, method, &["roles", role, "composites"]).body(&all)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// What is to be taken away and does not exist is fine.
    async fn find_roles(&self, roles: &RoleSet, is_removal: bool) -> Result<Found, ApiError> {
        let mut found = Found { realm: Vec::new(), clients: Vec::new() };
        for name in &roles.realm {
            match self.get_realm_role(name).await {
                Err(error) if is_removal && error.is_not_found() => {}
                role => found.realm.push(bare(role?)),
            }
        }
        for (client, names) in &roles.clients {
            for name in names {
                match self.find_client_role(client, name).await {
                    Err(error) if is_removal && error.is_not_found() => {}
                    role => found.clients.push(role.map(|(id, role)| (id, vec![role]))?),
                }
            }
        }
        Ok(found)
    }

    /// The id of a client that is not ours, and one of its roles, both as they are now.
    pub(in crate::keycloak) async fn find_client_role(
        &self,
        client: &str,
        role: &str,
    ) -> Result<(String, RoleRepresentation), ApiError> {
        let missing = || ApiError::NotFound { call: format!("role {role} of client {client}") };
        let id = self.find_client(client).await?.ok_or_else(missing)?.reference().id;
        let role = ApiError::none_if_missing(self.get_client_role(&id, role).await)?.ok_or_else(missing)?;
        Ok((id, bare(role)))
    }
}

fn bare(role: RoleRepresentation) -> RoleRepresentation {
    RoleRepresentation { id: role.id, name: role.name, ..RoleRepresentation::default() }
}
