//! `/admin/realms`.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::core::desired::representation::RealmRepresentation;
use crate::core::desired::{SMTP_VERSION, SmtpServer};
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
        let body = self.completed(FieldChange::to_body(fields)).await?;
        let call = self.call(Area::Realm, Method::PUT, &[]).body(&body)?;
        self.admin().call(call.timeout(REALM_TIMEOUT)).await.map(|_| ())
    }

    /// Gives the realm a mail server, and notes beside it which version of the password it has now.
    ///
    /// # Errors
    /// `Invalid` for an address that is none.
    pub async fn update_smtp(&self, server: &SmtpServer) -> Result<(), ApiError> {
        let version = json!({SMTP_VERSION: server.version()});
        let body = self.completed(json!({"smtpServer": server.expose(), "attributes": version})).await?;
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

    /// A PUT merges most fields. These it does not, so what stays is read now and sent along:
    /// all attributes are replaced by those that are sent; a few settings fall back to their defaults in every PUT that
    /// leaves them, or the attributes that hold them, out; and a policy for one-time passwords or WebAuthn is taken over
    /// as a whole or, where its main field is left out, not at all.
    async fn completed(&self, mut body: Value) -> Result<Value, ApiError> {
        let RealmRepresentation { settings, attributes, .. } = self.get_realm().await?;
        let Some(members) = body.as_object_mut() else { return Ok(body) };
        let mut all = json!(attributes);
        if let (Some(all), Some(changed)) = (all.as_object_mut(), members.get("attributes").and_then(Value::as_object))
        {
            all.extend(changed.clone());
        }
        members.insert("attributes".to_owned(), all);
        let policies: Vec<_> = members.keys().filter_map(|name| policy_of(name)).collect();
        for (name, value) in settings.iter() {
            let is_lost =
                FALL_BACK.contains(&name.as_str()) || policy_of(name).is_some_and(|of| policies.contains(&of));
            if is_lost && !members.contains_key(name) {
                members.insert(name.clone(), value.clone());
            }
        }
        Ok(body)
    }
}

/// The fields that fall back to their defaults in a PUT without them.
const FALL_BACK: [&str; 2] = ["oauth2DeviceCodeLifespan", "oauth2DevicePollingInterval"];
/// The policies that are taken over as a whole, by the beginning of their fields' names; the longer one first.
const POLICIES: [&str; 3] = ["otpPolicy", "webAuthnPolicyPasswordless", "webAuthnPolicy"];

fn policy_of(field: &str) -> Option<&'static str> {
    POLICIES.into_iter().find(|policy| field.starts_with(policy))
}
