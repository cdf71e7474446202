//! `/admin/realms`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::core::desired::representation::RealmRepresentation;
use crate::core::diff::FieldChange;

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

/// Creating a realm generates keys, and deleting one with thousands of clients takes half a minute.
const REALM_TIMEOUT: Duration = Duration::from_secs(90);

impl RealmAdmin {
    /// The realm; an account with few rights in it sees a few fields only.
    ///
    /// # Errors
    /// `NotFound` if there is no such realm.
    pub async fn get_realm(&self) -> Result<RealmRepresentation, ApiError> {
        self.get(Area::Realm, &[]).await
    }

    /// Creates the realm. The creator gets all rights in it at once.
    ///
    /// # Errors
    /// `Conflict` if it exists.
    pub async fn create_realm(&self, realm: &RealmRepresentation) -> Result<(), ApiError> {
        let call = super::call::Call::new(Area::NewRealm, Method::POST, self.name(), &["realms"]);
        self.admin().call(call.body(realm)?.timeout(REALM_TIMEOUT)).await?;
        // Keycloak 26.5 looks at the roles in the token, and this one is from before the realm.
        self.admin().session().forget();
        Ok(())
    }

    /// Changes fields of the realm.
    ///
    /// # Errors
    /// `Forbidden` without `manage-realm`.
    pub async fn update_realm(&self, fields: &[FieldChange]) -> Result<(), ApiError> {
        let mut body = FieldChange::to_body(fields);
        if FieldChange::touches(fields, "attributes") {
            self.complete_attributes(&mut body).await?;
        }
        let call = self.call(Area::Realm, Method::PUT, &[]).body(&body)?;
        self.admin().call(call.timeout(REALM_TIMEOUT)).await.map(|_| ())
    }

    /// Deletes the realm with all that is in it; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-realm`.
    pub async fn delete_realm(&self) -> Result<(), ApiError> {
        let call = self.call(Area::Realm, Method::DELETE, &[]).timeout(REALM_TIMEOUT);
        ApiError::fine_if_missing(self.admin().call(call).await)
    }

    /// A PUT replaces all attributes, so those that stay are read now and sent along.
    async fn complete_attributes(&self, body: &mut Value) -> Result<(), ApiError> {
        let mut attributes = json!(self.get_realm().await?.attributes);
        if let (Some(all), Some(changed)) =
            (attributes.as_object_mut(), body.get("attributes").and_then(Value::as_object))
        {
            all.extend(changed.clone());
        }
        body["attributes"] = attributes;
        Ok(())
    }
}
