//! The secret of an application that signs people in itself. Pure.

use serde::{Deserialize, Serialize};

use super::Hidden;
use crate::core::desired::Sealed;

/// All that is kept of it. There is one at a time: Keycloak knows one of each client, and the application reads one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientSecret {
    /// Graphic ASCII.
    pub secret: Hidden,
    /// In seconds since the epoch.
    pub made_at: i64,
    /// The word that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_for: Option<String>,
}

impl ClientSecret {
    /// Its entry in the Secret of credentials. No identity's is called so: its name has no dot.
    #[must_use]
    pub fn entry(app: &str) -> String {
        format!("{app}.app.client-secret")
    }

    /// The entry with the CA certificates of Keycloak's server.
    #[must_use]
    pub fn ca_entry(app: &str) -> String {
        format!("{app}.app.ca.crt")
    }

    /// The entry with the operator's own account of it.
    #[must_use]
    pub fn account(app: &str) -> String {
        format!("{app}.app.client-secret.json")
    }

    /// Whether another one is asked for.
    #[must_use]
    pub fn is_asked_for_another(&self, word: Option<&str>) -> bool {
        word.is_some() && word != self.rotated_for.as_deref()
    }

    /// As Keycloak is to be told.
    #[must_use]
    pub fn sealed(&self) -> Sealed {
        let word = self.rotated_for.as_deref().unwrap_or_default();
        Sealed::new(format!("made at {} {word}", self.made_at), self.secret.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_asks_once() {
        let made = |word: Option<&str>| ClientSecret {
            secret: Hidden::new("s".into()),
            made_at: 0,
            rotated_for: word.map(str::to_owned),
        };
        for (answered, asked, expected) in [
            (None, None, false),
            (None, Some("monday"), true),
            (Some("monday"), Some("monday"), false),
            (Some("monday"), Some("tuesday"), true),
            (Some("monday"), None, false),
        ] {
            assert_eq!(made(answered).is_asked_for_another(asked), expected, "{answered:?} {asked:?}");
        }
        assert!(!format!("{:?}", made(None).sealed()).contains("\"s\""));
    }
}
