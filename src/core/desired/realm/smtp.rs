//! The mail server of a realm.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::core::desired::Sealed;

/// The realm attribute that tells which version of the password Keycloak holds.
pub const SMTP_VERSION: &str = "keywire.dev/smtp-password";

/// A realm's mail server as a whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SmtpServer {
    /// Everything but the password, in Keycloak's words.
    pub settings: BTreeMap<String, String>,
    /// The password, where the server asks for one.
    pub password: Option<Sealed>,
}

impl SmtpServer {
    /// What tells the password from an earlier one; empty where there is none.
    #[must_use]
    pub fn version(&self) -> &str {
        self.password.as_ref().map_or("", |password| &password.version)
    }

    /// The body of a request, password and all. For that and nothing else.
    #[must_use]
    pub fn expose(&self) -> Value {
        let mut body: Map<_, _> =
            self.settings.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        if let Some(password) = &self.password {
            body.insert("password".to_owned(), password.expose().into());
        }
        Value::Object(body)
    }
}
