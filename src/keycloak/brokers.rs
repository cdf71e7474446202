//! `/admin/realms/{realm}/identity-provider`: providers that people log in with, their mappers, and discovery.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::core::desired::Sealed;
use crate::core::desired::objects::SECRET_ENTRY;
use crate::core::desired::representation::{BrokerMapperRepresentation, BrokerRepresentation};

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// All identity providers with the fields that matter to people's logins; secrets read as asterisks.
    ///
    /// # Errors
    /// `Forbidden` without `manage-identity-providers`.
    pub async fn list_brokers(&self) -> Result<Vec<BrokerRepresentation>, ApiError> {
        let path = ["identity-provider", "instances"];
        self.all_pages(|| self.call(Area::IdentityProviders, Method::GET, &path).query("briefRepresentation", false))
            .await
    }

    /// Creates an identity provider.
    ///
    /// # Errors
    /// `Conflict` if the alias is taken, `Invalid` if the issuer is.
    pub async fn create_broker(
        &self,
        provider: &BrokerRepresentation,
        secret: Option<&Sealed>,
    ) -> Result<(), ApiError> {
        self.write_broker(Method::POST, &["identity-provider", "instances"], provider, secret).await
    }

    /// Replaces an identity provider's fields and config. A secret that reads as asterisks stays when they are sent.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn update_broker(
        &self,
        provider: &BrokerRepresentation,
        secret: Option<&Sealed>,
    ) -> Result<(), ApiError> {
        self.write_broker(Method::PUT, &["identity-provider", "instances", &provider.alias], provider, secret).await
    }

    async fn write_broker(
        &self,
        method: Method,
        path: &[&str],
        provider: &BrokerRepresentation,
        secret: Option<&Sealed>,
    ) -> Result<(), ApiError> {
        let mut body = json!(provider);
        if let Some(secret) = secret {
            body["config"][SECRET_ENTRY] = Value::from(secret.expose());
        }
        self.admin().call(self.call(Area::IdentityProviders, method, path).body(&body)?).await.map(|_| ())
    }

    /// What the discovery document at a URL says, as settings of a provider of this type. Keycloak reads it, not we.
    ///
    /// # Errors
    /// `Invalid` or `Server` if Keycloak cannot read it.
    pub async fn import_broker(&self, provider_id: &str, url: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let body = json!({"providerId": provider_id, "fromUrl": url});
        let path = ["identity-provider", "import-config"];
        self.admin().read(self.call(Area::IdentityProviders, Method::POST, &path).body(&body)?).await
    }

    /// The mappers of an identity provider.
    ///
    /// # Errors
    /// `NotFound` if there is no such provider.
    pub async fn list_broker_mappers(&self, alias: &str) -> Result<Vec<BrokerMapperRepresentation>, ApiError> {
        self.get(Area::IdentityProviders, &["identity-provider", "instances", alias, "mappers"]).await
    }

    /// The mapper types that suit an identity provider.
    ///
    /// # Errors
    /// `NotFound` if there is no such provider.
    pub async fn list_broker_mapper_types(&self, alias: &str) -> Result<BTreeSet<String>, ApiError> {
        let path = ["identity-provider", "instances", alias, "mapper-types"];
        let types: BTreeMap<String, Value> = self.get(Area::IdentityProviders, &path).await?;
        Ok(types.into_keys().collect())
    }

    /// Creates a mapper, of a type that suits its provider: with any other, every login would fail.
    ///
    /// # Errors
    /// `Invalid` if the type does not suit the provider, or the name is taken.
    pub async fn create_broker_mapper(&self, mapper: &BrokerMapperRepresentation) -> Result<(), ApiError> {
        self.check_mapper_type(mapper).await?;
        let path = ["identity-provider", "instances", &mapper.identity_provider_alias, "mappers"];
        let call = self.call(Area::IdentityProviders, Method::POST, &path).body(mapper)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Replaces a mapper, which has to carry its id.
    ///
    /// # Errors
    /// `Invalid` if the type does not suit the provider, `NotFound` if there is no such mapper.
    pub async fn update_broker_mapper(&self, mapper: &BrokerMapperRepresentation) -> Result<(), ApiError> {
        self.check_mapper_type(mapper).await?;
        let id = mapper.id.as_deref().unwrap_or_default();
        let path = ["identity-provider", "instances", &mapper.identity_provider_alias, "mappers", id];
        let call = self.call(Area::IdentityProviders, Method::PUT, &path).body(mapper)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes a mapper; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-identity-providers`.
    pub async fn delete_broker_mapper(&self, mapper: &BrokerMapperRepresentation) -> Result<(), ApiError> {
        let id = mapper.id.as_deref().unwrap_or_default();
        let path = ["identity-provider", "instances", &mapper.identity_provider_alias, "mappers", id];
        ApiError::fine_if_missing(self.admin().call(self.call(Area::IdentityProviders, Method::DELETE, &path)).await)
    }

    async fn check_mapper_type(&self, mapper: &BrokerMapperRepresentation) -> Result<(), ApiError> {
        let (alias, kind) = (&mapper.identity_provider_alias, &mapper.identity_provider_mapper);
        if self.list_broker_mapper_types(alias).await?.contains(kind) {
            return Ok(());
        }
        Err(ApiError::Invalid {
            call: format!("mapper {} of identity provider {alias}", mapper.name),
            message: format!(
                "its type {kind:?} does not suit this kind of provider, and every login would fail with it; correct the type"
            ),
        })
    }
}
