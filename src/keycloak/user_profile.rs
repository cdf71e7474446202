//! `/admin/realms/{realm}/users/profile`.

use reqwest::Method;
use serde_json::Value;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// What the realm knows of a person (`UPConfig`).
    ///
    /// # Errors
    /// `Forbidden` without `view-realm`.
    pub async fn get_user_profile(&self) -> Result<Value, ApiError> {
        self.get(Area::Realm, &["users", "profile"]).await
    }

    /// Replaces the profile as a whole.
    ///
    /// # Errors
    /// `Invalid` for a validator that the server does not have, and for a profile without `username`.
    pub async fn put_user_profile(&self, profile: &Value) -> Result<(), ApiError> {
        let call = self.call(Area::Realm, Method::PUT, &["users", "profile"]).body(profile)?;
        self.admin().call(call).await.map(|_| ())
    }
}
