//! `/admin/realms/{realm}/components` of type key provider.

use reqwest::Method;

use crate::core::desired::{KEY_PROVIDER, KeyComponent};

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// All key providers of the realm. Private keys are not shown.
    ///
    /// # Errors
    /// `Forbidden` without `view-realm`.
    pub async fn list_key_providers(&self) -> Result<Vec<KeyComponent>, ApiError> {
        let call = self.call(Area::Realm, Method::GET, &["components"]).query("type", KEY_PROVIDER);
        self.admin().read(call).await
    }

    /// Creates a key. It is in the realm's key set at once, whether or not it signs.
    ///
    /// # Errors
    /// `Conflict` if the id is taken.
    pub async fn create_key_provider(&self, key: &KeyComponent) -> Result<(), ApiError> {
        let call = self.call(Area::Realm, Method::POST, &["components"]).body(key)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Changes name and settings of a key; settings that are left out stay, the key itself too.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub async fn update_key_provider(&self, key: &KeyComponent) -> Result<(), ApiError> {
        let call = self.call(Area::Realm, Method::PUT, &["components", &key.id]).body(key)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Deletes a key: what it signed is good no longer. Fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-realm`.
    pub async fn delete_key_provider(&self, id: &str) -> Result<(), ApiError> {
        let call = self.call(Area::Realm, Method::DELETE, &["components", id]);
        ApiError::fine_if_missing(self.admin().call(call).await)
    }
}
