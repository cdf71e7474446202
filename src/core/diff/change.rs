//! One call to the Admin API.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::core::desired::representation::{
    ClientRepresentation, ClientScopeRepresentation, IdentityProviderRepresentation, ProtocolMapperRepresentation,
    RealmRepresentation, RoleRepresentation,
};
use crate::core::desired::{ClientRef, KeyComponent, RequiredAction, ScopeRef, Sealed, SmtpServer};

use super::fields::FieldChange;
use super::object_change::ObjectChange;
use crate::core::person::Person;

/// Whose roles are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RoleSource {
    /// The realm's.
    Realm,
    /// A client's.
    Client(ClientRef),
}

/// One call to the Admin API, complete but for ids that only Keycloak knows. Holds no secrets, and can be shown.
#[derive(Clone, Debug, PartialEq, Serialize, strum::IntoStaticStr)]
#[serde(tag = "change", rename_all = "snake_case", rename_all_fields = "camelCase")]
#[strum(serialize_all = "snake_case")]
#[expect(
    missing_docs,
    reason = "the variants and their fields are the Admin API's own words; `describe` has the prose"
)]
pub enum Change {
    CreateRealm {
        realm: Box<RealmRepresentation>,
    },
    UpdateRealm {
        realm: String,
        fields: Vec<FieldChange>,
    },
    DeleteRealm {
        realm: String,
    },

    /// The password is sealed: neither shown nor compared.
    UpdateSmtp {
        realm: String,
        server: SmtpServer,
        fields: Vec<FieldChange>,
    },
    UpdateUserProfile {
        profile: Value,
        fields: Vec<FieldChange>,
    },
    UpdateClientProfiles {
        profiles: Value,
        fields: Vec<FieldChange>,
    },
    UpdateClientPolicies {
        policies: Value,
        fields: Vec<FieldChange>,
    },
    CreateRequiredAction {
        action: RequiredAction,
    },
    UpdateRequiredAction {
        action: RequiredAction,
        fields: Vec<FieldChange>,
    },
    DeleteRequiredAction {
        alias: String,
    },
    CreateSigningKey {
        key: KeyComponent,
    },
    UpdateSigningKey {
        key: KeyComponent,
        fields: Vec<FieldChange>,
    },
    DeleteSigningKey {
        id: String,
        name: String,
    },

    CreateIdentityProvider {
        identity_provider: IdentityProviderRepresentation,
    },
    UpdateIdentityProvider {
        identity_provider: IdentityProviderRepresentation,
        fields: Vec<FieldChange>,
    },
    DeleteIdentityProvider {
        alias: String,
    },

    /// Keycloak drops optional scopes that it does not know, so their ids come along to make sure of them first.
    CreateClient {
        client: Box<ClientRepresentation>,
        optional_scopes: BTreeSet<ScopeRef>,
    },
    UpdateClient {
        client: ClientRef,
        fields: Vec<FieldChange>,
    },
    DeleteClient {
        client: ClientRef,
    },
    /// The secret is sealed: never shown. Keycloak would make web origins of redirect URIs, so the right ones go along.
    SetClientSecret {
        client: ClientRef,
        secret: Sealed,
        web_origins: BTreeSet<String>,
    },

    CreateClientRole {
        client: ClientRef,
        role: RoleRepresentation,
    },
    UpdateClientRole {
        client: ClientRef,
        role: RoleRepresentation,
        fields: Vec<FieldChange>,
    },
    DeleteClientRole {
        client: ClientRef,
        role: String,
    },

    CreateScope {
        scope: ClientScopeRepresentation,
    },
    UpdateScope {
        scope: ScopeRef,
        fields: Vec<FieldChange>,
    },
    DeleteScope {
        scope: ScopeRef,
    },
    CreateScopeMapper {
        scope: ScopeRef,
        mapper: ProtocolMapperRepresentation,
    },
    UpdateScopeMapper {
        scope: ScopeRef,
        mapper: ProtocolMapperRepresentation,
        fields: Vec<FieldChange>,
    },
    DeleteScopeMapper {
        scope: ScopeRef,
        mapper: ProtocolMapperRepresentation,
    },
    AddScopeMapping {
        scope: ScopeRef,
        source: RoleSource,
        roles: BTreeSet<String>,
    },
    RemoveScopeMapping {
        scope: ScopeRef,
        source: RoleSource,
        roles: BTreeSet<String>,
    },

    AddDefaultScope {
        client: ClientRef,
        scope: String,
    },
    RemoveDefaultScope {
        client: ClientRef,
        scope: String,
    },
    AddOptionalScope {
        client: ClientRef,
        scope: ScopeRef,
    },
    RemoveOptionalScope {
        client: ClientRef,
        scope: String,
    },

    /// Gives the service account of `client` roles of the endpoint with this client id.
    MapRoles {
        client: ClientRef,
        endpoint: String,
        roles: BTreeSet<String>,
    },
    /// Takes from the service account of `client` roles of the endpoint with this client id.
    UnmapRoles {
        client: ClientRef,
        endpoint: String,
        roles: BTreeSet<String>,
    },

    /// Gives the service account of `client` roles of another client that is not ours, and binds `client` to them.
    MapOtherRoles {
        client: ClientRef,
        of: String,
        roles: BTreeSet<String>,
    },
    /// Takes both.
    UnmapOtherRoles {
        client: ClientRef,
        of: String,
        roles: BTreeSet<String>,
    },

    /// Gives people roles of an endpoint's client.
    MapPerson {
        client: ClientRef,
        person: Person,
        roles: BTreeSet<String>,
    },
    /// Takes roles of an endpoint's client from people.
    UnmapPerson {
        client: ClientRef,
        person: Person,
        roles: BTreeSet<String>,
    },

    /// About an object in a realm that a Realm lists.
    #[serde(untagged)]
    #[strum(transparent)]
    Object(ObjectChange),
}

impl Change {
    /// The kind of change in snake_case, for metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// Whether access is taken away or an object removed.
    #[must_use]
    pub fn is_removal(&self) -> bool {
        ["delete_", "remove_", "unmap_", "leave_"].iter().any(|prefix| self.kind().starts_with(prefix))
    }

    /// Whether time asks for it, not a difference that anybody made.
    #[must_use]
    pub fn is_due(&self) -> bool {
        matches!(self, Self::CreateSigningKey { .. } | Self::UpdateSigningKey { .. } | Self::DeleteSigningKey { .. })
    }

    /// The fields that an update changes; empty for everything else.
    #[must_use]
    pub fn fields(&self) -> &[FieldChange] {
        match self {
            Self::UpdateRealm { fields, .. }
            | Self::UpdateSmtp { fields, .. }
            | Self::UpdateUserProfile { fields, .. }
            | Self::UpdateClientProfiles { fields, .. }
            | Self::UpdateClientPolicies { fields, .. }
            | Self::UpdateRequiredAction { fields, .. }
            | Self::UpdateSigningKey { fields, .. }
            | Self::UpdateIdentityProvider { fields, .. }
            | Self::UpdateClient { fields, .. }
            | Self::UpdateClientRole { fields, .. }
            | Self::UpdateScope { fields, .. }
            | Self::UpdateScopeMapper { fields, .. } => fields,
            Self::Object(change) => change.fields(),
            _ => &[],
        }
    }
}
