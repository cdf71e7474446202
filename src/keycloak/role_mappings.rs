//! `/admin/realms/{realm}/users/{id}/role-mappings`: the roles that an account holds directly.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;

use crate::core::desired::representation::RoleRepresentation;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

/// `MappingsRepresentation`: roles by where they come from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RoleMappings {
    /// Roles of the realm.
    pub realm_mappings: Vec<RoleRepresentation>,
    /// Roles of clients, by client id.
    pub client_mappings: BTreeMap<String, ClientMappings>,
}

/// `ClientMappingsRepresentation`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientMappings {
    /// The client's internal id.
    pub id: String,
    /// The OAuth client id.
    pub client: String,
    /// The roles.
    pub mappings: Vec<RoleRepresentation>,
}

impl RealmAdmin {
    /// The roles that an account holds directly.
    ///
    /// # Errors
    /// `NotFound` if there is no such account.
    pub async fn list_role_mappings(&self, user: &str) -> Result<RoleMappings, ApiError> {
        self.get(Area::RoleMappings, &["users", user, "role-mappings"]).await
    }

    /// Gives an account roles of a client; each role needs id and name.
    ///
    /// # Errors
    /// `NotFound` if there is no such account, client or role.
    pub async fn map_client_roles(
        &self,
        user: &str,
        client: &str,
        roles: &[RoleRepresentation],
    ) -> Result<(), ApiError> {
        self.write_role_mappings(Method::POST, user, &["clients", client], roles).await
    }

    /// Takes roles of a client from an account.
    ///
    /// # Errors
    /// `NotFound` if there is no such account, client or role.
    pub async fn unmap_client_roles(
        &self,
        user: &str,
        client: &str,
        roles: &[RoleRepresentation],
    ) -> Result<(), ApiError> {
        self.write_role_mappings(Method::DELETE, user, &["clients", client], roles).await
    }

    /// Gives an account realm roles; each role needs id and name.
    ///
    /// # Errors
    /// `NotFound` if there is no such account or role.
    pub async fn map_realm_roles(&self, user: &str, roles: &[RoleRepresentation]) -> Result<(), ApiError> {
        self.write_role_mappings(Method::POST, user, &["realm"], roles).await
    }

    async fn write_role_mappings(
        &self,
        method: Method,
        user: &str,
        source: &[&str],
        roles: &[RoleRepresentation],
    ) -> Result<(), ApiError> {
        let path = ["users", user, "role-mappings"];
        let call = self.call(Area::RoleMappings, method, &[&path, source].concat()).body(&roles)?;
        self.admin().call(call).await.map(|_| ())
    }
}
