//! `/admin/realms/{realm}/components`, and the test of an LDAP server.

use reqwest::Method;
use serde_json::{Value, json};

use crate::core::desired::Sealed;
use crate::core::desired::representation::{ComponentRepresentation, MASKED};

use super::admin::RealmAdmin;
use super::error::ApiError;
use super::rights::Area;

/// The setting that holds the password of an LDAP server.
const PASSWORD: &str = "bindCredential";

impl RealmAdmin {
    /// The components of a type, in the component with this id or anywhere; secrets read as asterisks.
    ///
    /// # Errors
    /// `Forbidden` without `view-realm`.
    pub async fn list_components(
        &self,
        kind: &str,
        parent: Option<&str>,
    ) -> Result<Vec<ComponentRepresentation>, ApiError> {
        let mut call = self.call(Area::Components, Method::GET, &["components"]).query("type", kind);
        if let Some(parent) = parent {
            call = call.query("parent", parent);
        }
        self.admin().read(call).await
    }

    /// Creates a component under the id that it brings.
    ///
    /// # Errors
    /// `Conflict` if the id is taken, `Invalid` if Keycloak finds fault with the settings.
    pub async fn create_component(
        &self,
        component: &ComponentRepresentation,
        secret: Option<&Sealed>,
    ) -> Result<(), ApiError> {
        self.write_component(Method::POST, &["components"], component, secret).await
    }

    /// Changes a component's settings; those that are left out stay.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Invalid` if Keycloak finds fault with the settings.
    pub async fn update_component(
        &self,
        component: &ComponentRepresentation,
        secret: Option<&Sealed>,
    ) -> Result<(), ApiError> {
        self.write_component(Method::PUT, &["components", component.id()], component, secret).await
    }

    async fn write_component(
        &self,
        method: Method,
        path: &[&str],
        component: &ComponentRepresentation,
        secret: Option<&Sealed>,
    ) -> Result<(), ApiError> {
        let mut body = json!(component);
        if let Some(secret) = secret {
            body["config"][PASSWORD] = json!([secret.expose()]);
        }
        self.admin().call(self.call(Area::Components, method, path).body(&body)?).await.map(|_| ())
    }

    /// Deletes a component with those in it; fine if it does not exist.
    ///
    /// # Errors
    /// `Forbidden` without `manage-realm`.
    pub async fn delete_component(&self, id: &str) -> Result<(), ApiError> {
        let call = self.call(Area::Components, Method::DELETE, &["components", id]);
        ApiError::fine_if_missing(self.admin().call(call).await)
    }

    /// Whether Keycloak reaches an LDAP server and, where it has an account there, can log in with it.
    ///
    /// # Errors
    /// `Invalid` with Keycloak's words if not.
    pub async fn test_ldap(&self, component: &ComponentRepresentation) -> Result<(), ApiError> {
        let text = |key: &str| component.config.get(key).and_then(|values| values.first()).cloned();
        let has_account = text("authType").is_some_and(|kind| kind != "none");
        let mut body = json!({
            "action": if has_account { "testAuthentication" } else { "testConnection" },
            "componentId": component.id(),
            // Keycloak puts the password that it has in the place of this.
            "bindCredential": MASKED,
        });
        for key in ["connectionUrl", "bindDn", "useTruststoreSpi", "connectionTimeout", "startTls", "authType"] {
            body[key] = text(key).map_or(Value::Null, Value::from);
        }
        let call = self.call(Area::Components, Method::POST, &["testLDAPConnection"]).body(&body)?;
        self.admin().call(call).await.map(|_| ())
    }
}
