//! `/admin/realms/{realm}/authentication/required-actions`.

use reqwest::Method;
use serde_json::json;

use crate::core::desired::RequiredAction;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

impl RealmAdmin {
    /// The required actions that are registered in the realm.
    ///
    /// # Errors
    /// `Forbidden` without `view-realm`.
    pub async fn list_required_actions(&self) -> Result<Vec<RequiredAction>, ApiError> {
        self.get(Area::Realm, &["authentication", "required-actions"]).await
    }

    /// Registers a required action and sets it up. Keycloak registers one under its defaults only, so it takes two calls;
    /// one that was registered meanwhile is set up all the same.
    ///
    /// # Errors
    /// `Invalid` if the server has no provider of this id.
    pub async fn create_required_action(&self, action: &RequiredAction) -> Result<(), ApiError> {
        let name = action.name.as_deref().unwrap_or(&action.alias);
        let body = json!({"providerId": action.alias, "name": name});
        let call = self.call(Area::Realm, Method::POST, &["authentication", "register-required-action"]).body(&body)?;
        match self.admin().call(call).await {
            Err(error) if !error.is_conflict() => return Err(error),
            _ => {}
        }
        let found = self.list_required_actions().await?.into_iter().find(|found| found.alias == action.alias);
        let found = found.unwrap_or_default();
        let action = RequiredAction {
            name: Some(name.to_owned()),
            provider_id: Some(action.alias.clone()),
            priority: action.priority.or(found.priority),
            ..action.clone()
        };
        self.update_required_action(&action).await
    }

    /// Replaces a required action: what is left out is emptied.
    ///
    /// # Errors
    /// `NotFound` if it is not registered.
    pub async fn update_required_action(&self, action: &RequiredAction) -> Result<(), ApiError> {
        let path = ["authentication", "required-actions", &action.alias];
        let call = self.call(Area::Realm, Method::PUT, &path).body(action)?;
        self.admin().call(call).await.map(|_| ())
    }

    /// Takes a required action out of the realm; fine if it is not registered.
    ///
    /// # Errors
    /// `Forbidden` without `manage-realm`.
    pub async fn delete_required_action(&self, alias: &str) -> Result<(), ApiError> {
        let call = self.call(Area::Realm, Method::DELETE, &["authentication", "required-actions", alias]);
        ApiError::fine_if_missing(self.admin().call(call).await)
    }
}
