//! How a change names the object that it is about: Keycloak's internal id for the call, the name for the reader.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A client, by internal id and client id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientRef {
    /// Keycloak's internal id. Not always a UUID: an adopted client keeps the id it was made with.
    pub id: String,
    /// The OAuth `client_id`.
    pub client_id: String,
}

impl ClientRef {
    /// A client that Keywire makes, or made.
    #[must_use]
    pub fn new(id: Uuid, client_id: impl Into<String>) -> Self {
        Self { id: id.to_string(), client_id: client_id.into() }
    }
}

impl fmt::Display for ClientRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.client_id)
    }
}

/// A client scope, by internal id and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ScopeRef {
    /// The name, as it appears in a token's `scope`.
    pub name: String,
    /// Keycloak's internal id; empty: not known yet.
    pub id: String,
}

impl ScopeRef {
    /// A scope that somebody else made, or a Realm's list.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), id: String::new() }
    }

    /// The id, where it is known before Keycloak is asked.
    #[must_use]
    pub fn expected_id(&self) -> Option<&str> {
        Some(self.id.as_str()).filter(|id| !id.is_empty())
    }

    /// A scope that Keywire makes, or made.
    #[must_use]
    pub fn new(id: Uuid, name: impl Into<String>) -> Self {
        Self { name: name.into(), id: id.to_string() }
    }
}

impl fmt::Display for ScopeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
