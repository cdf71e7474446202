//! `/admin/realms/{realm}/clients`, and the scopes of a client.

use reqwest::Method;
use serde_json::Value;

use crate::core::desired::representation::{ClientRepresentation, ClientScopeRepresentation};

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

/// The two lists of scopes that a client has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScopeList {
    Default,
    Optional,
}

impl ScopeList {
    fn path(self) -> &'static str {
        match self {
            Self::Default => "default-client-scopes",
            Self::Optional => "optional-client-scopes",
        }
    }
}

impl RealmAdmin {
    /// The client with this internal id.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Forbidden` if there may be one that this account does not see.
    pub async fn get_client(&self, id: &str) -> Result<ClientRepresentation, ApiError> {
        self.get(Area::Clients, &["clients", id]).await
    }

    /// The client with exactly this client id.
    ///
    /// # Errors
    /// `Forbidden` if this account sees no clients at all: Keycloak then says that there is none.
    pub async fn find_client(&self, client_id: &str) -> Result<Option<ClientRepresentation>, ApiError> {
        let call = self.call(Area::Clients, Method::GET, &["clients"]).query("clientId", client_id);
        let found: Vec<ClientRepresentation> = self.admin().read(call).await?;
        let client = found.into_iter().find(|client| client.settings.client_id == client_id);
        if client.is_none() {
            self.check_sight_of_clients().await?;
        }
        Ok(client)
    }

    /// A page of clients, in Keycloak's order.
    ///
    /// # Errors
    /// As every read.
    pub async fn list_clients(&self, first: usize, max: usize) -> Result<Vec<ClientRepresentation>, ApiError> {
        let call = self.call(Area::Clients, Method::GET, &["clients"]).query("first", first).query("max", max);
        self.admin().read(call).await
    }

    /// Creates a client under the id that it brings. Scopes that do not exist are dropped without a word.
    ///
    /// # Errors
    /// `Conflict` if the id or the client id is taken.
    pub async fn create_client(&self, client: &ClientRepresentation) -> Result<(), ApiError> {
        let call = self.call(Area::Clients, Method::POST, &["clients"]).body(client)?;
        let id = client.id.as_deref().unwrap_or_default();
        let _alone = self.admin().locks().lock(self.name(), id).await;
        self.admin().call(call).await.map(|_| ())
    }

    /// Changes the fields of a client that `body` has; attributes are merged, lists replaced.
    ///
    /// # Errors
    /// `NotFound` if there is no such client.
    pub async fn update_client(&self, id: &str, body: &Value) -> Result<(), ApiError> {
        let call = self.call(Area::Clients, Method::PUT, &["clients", id]).body(body)?;
        let _alone = self.admin().locks().lock(self.name(), id).await;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes a client with its roles and its service account; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-clients`.
    pub async fn delete_client(&self, id: &str) -> Result<(), ApiError> {
        let call = self.call(Area::Clients, Method::DELETE, &["clients", id]);
        let _alone = self.admin().locks().lock(self.name(), id).await;
        ApiError::fine_if_missing(self.admin().call(call).await)
    }

    pub(super) async fn list_scopes_of_client(
        &self,
        client: &str,
        list: ScopeList,
    ) -> Result<Vec<ClientScopeRepresentation>, ApiError> {
        self.get(Area::Clients, &["clients", client, list.path()]).await
    }

    pub(super) async fn add_scope_to_client(&self, client: &str, list: ScopeList, scope: &str) -> Result<(), ApiError> {
        self.write_scope_of_client(Method::PUT, client, list, scope).await
    }

    pub(super) async fn remove_scope_from_client(
        &self,
        client: &str,
        list: ScopeList,
        scope: &str,
    ) -> Result<(), ApiError> {
        ApiError::fine_if_missing(self.write_scope_of_client(Method::DELETE, client, list, scope).await)
    }

    async fn write_scope_of_client(
        &self,
        method: Method,
        client: &str,
        list: ScopeList,
        scope: &str,
    ) -> Result<(), ApiError> {
        let call = self.call(Area::Clients, method, &["clients", client, list.path(), scope]);
        let _alone = self.admin().locks().lock(self.name(), client).await;
        self.admin().call(call).await.map(|_| ())
    }

    /// An account with only `query-clients` is told of no client. Every realm has some, so an empty list gives it away.
    async fn check_sight_of_clients(&self) -> Result<(), ApiError> {
        if self.directory().sees_clients() {
            return Ok(());
        }
        if self.list_clients(0, 1).await?.is_empty() {
            return Err(self.forbidden(Area::Clients, &Method::GET, "clients"));
        }
        self.directory().note_clients_seen();
        Ok(())
    }
}
