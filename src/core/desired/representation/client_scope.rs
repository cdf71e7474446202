//! `ClientScopeRepresentation` and `ProtocolMapperRepresentation`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::desired::{OWNER_ATTRIBUTE, Owner, ScopeRef};

/// A client scope as it is created and read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientScopeRepresentation {
    /// Internal id; Keycloak takes ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The fields that a PUT changes.
    #[serde(flatten)]
    pub settings: ClientScopeSettings,
    /// Read, and written at creation; a PUT ignores them.
    #[serde(default)]
    pub protocol_mappers: Vec<ProtocolMapperRepresentation>,
}

/// The fields of a client scope that Keywire decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientScopeSettings {
    /// The name, as it appears in a token's `scope`.
    pub name: String,
    /// One sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// `openid-connect`, or `saml` for a scope that a Realm lists.
    pub protocol: String,
    /// Flags and free attributes; a PUT merges them.
    pub attributes: BTreeMap<String, String>,
}

/// A protocol mapper of a client scope.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProtocolMapperRepresentation {
    /// Internal id; Keycloak takes ours, and a PUT without it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name, unique in its scope.
    pub name: String,
    /// Always `openid-connect`.
    pub protocol: String,
    /// The mapper's type, such as `oidc-audience-mapper`.
    pub protocol_mapper: String,
    /// The type's settings; a PUT replaces them.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
}

impl ClientScopeRepresentation {
    /// The object that made this scope; none if that was not Keywire.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.settings.attributes.get(OWNER_ATTRIBUTE).and_then(|value| Owner::from_attribute(value))
    }

    /// How changes refer to this scope.
    #[must_use]
    pub fn reference(&self) -> ScopeRef {
        ScopeRef { name: self.settings.name.clone(), id: self.id.clone().unwrap_or_default() }
    }
}
