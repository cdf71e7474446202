//! Client scopes of a realm, with their protocol mappers.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use crate::core::desired::endpoint::text_map;
use crate::core::desired::mapper_id;
use crate::core::desired::owner::{OWNER_ATTRIBUTE, Owner};
use crate::core::desired::representation::{
    ClientScopeRepresentation, ClientScopeSettings, ProtocolMapperRepresentation,
};

/// A client scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RealmScope {
    /// Internal id, derived from the name.
    pub id: Uuid,
    /// The name in a token's `scope`. At most 255 characters.
    pub name: String,
    /// One sentence for people, possibly empty.
    pub description: String,
    /// `openid-connect` or `saml`.
    pub protocol: String,
    /// Whether the name is in the `scope` of tokens.
    pub in_token_scope: bool,
    /// What people are asked to consent to; none where they are not asked.
    pub consent_text: Option<String>,
    /// The mappers.
    pub mappers: Vec<ScopeMapper>,
    /// Which new clients get it; none where that is not ours to decide.
    pub assignment: Option<ScopeAssignment>,
}

/// Which new clients of the realm get a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ScopeAssignment {
    /// None by itself.
    Unassigned,
    /// All, in every token.
    Default,
    /// All, for the asking.
    Optional,
}

/// A protocol mapper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScopeMapper {
    /// The name, unique in its scope.
    pub name: String,
    /// The type, such as `oidc-usermodel-attribute-mapper`.
    pub mapper_type: String,
    /// The type's settings.
    pub config: BTreeMap<String, String>,
}

impl RealmScope {
    /// The scope as Keycloak is to create it.
    #[must_use]
    pub fn representation(&self, owner: &Owner) -> ClientScopeRepresentation {
        let flag = |value: bool| if value { "true" } else { "false" };
        let attributes = text_map([
            ("include.in.token.scope", flag(self.in_token_scope)),
            ("display.on.consent.screen", flag(self.consent_text.is_some())),
            ("consent.screen.text", self.consent_text.as_deref().unwrap_or_default()),
            (OWNER_ATTRIBUTE, owner.to_attribute().as_str()),
        ]);
        ClientScopeRepresentation {
            id: Some(self.id.to_string()),
            settings: ClientScopeSettings {
                name: self.name.clone(),
                description: Some(self.description.clone()),
                protocol: self.protocol.clone(),
                attributes,
            },
            protocol_mappers: self.mappers.iter().map(|mapper| self.mapper(mapper)).collect(),
        }
    }

    fn mapper(&self, mapper: &ScopeMapper) -> ProtocolMapperRepresentation {
        ProtocolMapperRepresentation {
            id: Some(mapper_id(self.id, &mapper.name).to_string()),
            name: mapper.name.clone(),
            protocol: self.protocol.clone(),
            protocol_mapper: mapper.mapper_type.clone(),
            config: mapper.config.clone(),
        }
    }
}
