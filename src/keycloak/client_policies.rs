//! `/admin/realms/{realm}/client-policies`: profiles and policies, each list replaced as a whole.

use reqwest::Method;
use serde_json::Value;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// The realm's own client profiles, under `profiles`; the server's global ones are not among them.
    ///
    /// # Errors
    /// `Forbidden` without `view-realm`.
    pub async fn get_client_profiles(&self) -> Result<Value, ApiError> {
        self.get(Area::Realm, &["client-policies", "profiles"]).await
    }

    /// Replaces the realm's client profiles.
    ///
    /// # Errors
    /// `Invalid` for an executor that the server does not have; an executor without `configuration` is a server error.
    pub async fn put_client_profiles(&self, profiles: &Value) -> Result<(), ApiError> {
        let call = self.call(Area::Realm, Method::PUT, &["client-policies", "profiles"]).body(profiles)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// The realm's client policies, under `policies`.
    ///
    /// # Errors
    /// `Forbidden` without `view-realm`.
    pub async fn get_client_policies(&self) -> Result<Value, ApiError> {
        self.get(Area::Realm, &["client-policies", "policies"]).await
    }

    /// Replaces the realm's client policies.
    ///
    /// # Errors
    /// `Invalid` for a condition or a profile that is not there.
    pub async fn put_client_policies(&self, policies: &Value) -> Result<(), ApiError> {
        let call = self.call(Area::Realm, Method::PUT, &["client-policies", "policies"]).body(policies)?;
        self.admin().call(call).await.map(|_| ())
    }
}
