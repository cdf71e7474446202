//! What Keycloak was found to hold. The Admin client fills these in, by targeted reads or from a bulk snapshot.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::desired::representation::{
    ClientRepresentation, ClientScopeRepresentation, IdentityProviderRepresentation, RealmRepresentation,
    RoleRepresentation,
};

use super::change::RoleSource;
use crate::core::person::Person;

/// A realm as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedRealm {
    /// The realm; none if Keycloak said that it does not exist.
    pub realm: Option<RealmRepresentation>,
    /// All identity providers.
    pub identity_providers: Vec<IdentityProviderRepresentation>,
}

/// What belongs to one endpoint, as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedEndpoint {
    /// The client with the endpoint's id, else the one with its client id.
    pub client: Option<ClientRepresentation>,
    /// The client's roles, with attributes.
    pub roles: Vec<RoleRepresentation>,
    /// The scopes of the permissions that are desired or that the client has a role for.
    pub scopes: Vec<ObservedScope>,
    /// Who of the realm holds which of the roles. Looked for only where a grant is for people, or was.
    pub people: BTreeMap<Person, BTreeSet<String>>,
    /// Those who should hold any and whom the realm does not have.
    pub absent: BTreeSet<Person>,
}

/// A client scope as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedScope {
    /// The scope, with its mappers.
    pub scope: ClientScopeRepresentation,
    /// The roles without which the scope has no effect.
    pub mappings: Vec<ObservedScopeMapping>,
}

/// The roles of one source that a client scope is mapped to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedScopeMapping {
    /// Whose roles they are.
    pub source: RoleSource,
    /// The roles' names.
    pub roles: BTreeSet<String>,
}

/// What belongs to one workload, as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedWorkload {
    /// The client with the workload's id, else the one with its client id.
    pub client: Option<ClientRepresentation>,
    /// The client roles that its service account holds directly.
    pub role_mappings: Vec<ObservedRoleMapping>,
    /// The client roles that the client itself is bound to, by client id: looked at where some were given by us.
    pub bound_to: BTreeMap<String, BTreeSet<String>>,
    /// The client with which it takes turns; `None`: there is none, or nobody looked.
    pub second: Option<Box<ObservedWorkload>>,
}

/// The roles of one client that a service account holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedRoleMapping {
    /// The OAuth client id of the client whose roles they are.
    pub client_id: String,
    /// Whether that client is an endpoint made by Keywire. Roles of other clients are never taken away.
    pub is_endpoint: bool,
    /// The roles' names.
    pub roles: BTreeSet<String>,
}
