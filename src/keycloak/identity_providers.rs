//! `/admin/realms/{realm}/identity-provider/instances`.

use reqwest::Method;

use crate::core::desired::representation::IdentityProviderRepresentation;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// All identity providers; secrets read as asterisks.
    ///
    /// # Errors
    /// `Forbidden` without `manage-identity-providers`.
    pub async fn list_identity_providers(&self) -> Result<Vec<IdentityProviderRepresentation>, ApiError> {
        let path = ["identity-provider", "instances"];
        self.all_pages(|| self.call(Area::IdentityProviders, Method::GET, &path).query("briefRepresentation", false))
            .await
    }

    /// Creates an identity provider.
    ///
    /// # Errors
    /// `Conflict` if the alias is taken, `Invalid` if the issuer is.
    pub async fn create_identity_provider(&self, provider: &IdentityProviderRepresentation) -> Result<(), ApiError> {
        let call =
            self.call(Area::IdentityProviders, Method::POST, &["identity-provider", "instances"]).body(provider)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Replaces an identity provider's config. Pushed keys take effect, and those taken away lose it, at once.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn update_identity_provider(&self, provider: &IdentityProviderRepresentation) -> Result<(), ApiError> {
        let path = ["identity-provider", "instances", &provider.alias];
        let call = self.call(Area::IdentityProviders, Method::PUT, &path).body(provider)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes an identity provider with all links of users to it; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-identity-providers`.
    pub async fn delete_identity_provider(&self, alias: &str) -> Result<(), ApiError> {
        let call = self.call(Area::IdentityProviders, Method::DELETE, &["identity-provider", "instances", alias]);
        ApiError::fine_if_missing(self.admin().call(call).await)
    }
}
