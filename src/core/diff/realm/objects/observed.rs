//! The objects of a realm as they were read, section by section.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::desired::objects::{GroupPath, RoleSet, ScopeAssignment};
use crate::core::desired::representation::{
    BrokerMapperRepresentation, BrokerRepresentation, ClientScopeRepresentation, ComponentRepresentation,
    GroupRepresentation, RoleRepresentation, UserRepresentation,
};

/// The roles that something has, as they were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleGrants {
    /// Those that are the Realm's to take away.
    pub takeable: RoleSet,
    /// Those that are not: of endpoints, which AccessGrants give and take, and the one that every user has.
    pub fixed: RoleSet,
}

/// The realm roles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedRoles {
    /// All of them, with attributes.
    pub roles: Vec<RoleRepresentation>,
    /// What those that are ours or desired include, and the role that everybody has.
    pub composites: BTreeMap<String, RoleGrants>,
}

/// The groups, as far down as any of them is ours or desired.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedGroups {
    /// The groups, each with its place.
    pub groups: BTreeMap<GroupPath, ObservedGroup>,
    /// The groups that new users are put into.
    pub default_groups: BTreeSet<GroupPath>,
}

/// A group as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedGroup {
    /// The group, with attributes.
    pub group: GroupRepresentation,
    /// The roles of its members; read where the group is ours or desired.
    pub grants: RoleGrants,
    /// Whether anyone is in it; read where the group is ours and no longer desired.
    pub has_members: bool,
}

/// The client scopes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedScopes {
    /// All of them, with mappers.
    pub scopes: Vec<ClientScopeRepresentation>,
    /// What new clients get, by the scope's id.
    pub assigned: BTreeMap<String, ScopeAssignment>,
    /// What the server knows.
    pub types: ServerTypes,
}

/// The identity providers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedBrokers {
    /// All of them, the trust in clusters among them.
    pub providers: Vec<ObservedBroker>,
    /// What the discovery documents gave, by alias.
    pub imported: BTreeMap<String, Imported>,
    /// What the server knows.
    pub types: ServerTypes,
}

/// What came of reading a discovery document: settings, or why there are none.
pub type Imported = Result<BTreeMap<String, String>, String>;

/// An identity provider as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedBroker {
    /// The provider; its secret reads as asterisks.
    pub provider: BrokerRepresentation,
    /// Its mappers; read where the provider is desired.
    pub mappers: Vec<BrokerMapperRepresentation>,
}

/// User federation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedFederation {
    /// All user storage providers.
    pub servers: Vec<ObservedLdap>,
    /// What the server knows.
    pub types: ServerTypes,
}

/// An LDAP server, or another user storage provider, as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedLdap {
    /// The provider; its secret reads as asterisks.
    pub component: ComponentRepresentation,
    /// Its mappers; read where the server is desired.
    pub mappers: Vec<ComponentRepresentation>,
}

/// The users that are listed or ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedUsers {
    /// The group that all of ours are in; none if it does not exist.
    pub ledger: Option<GroupRepresentation>,
    /// The ids of the users in it.
    pub in_ledger: BTreeSet<String>,
    /// The users that are listed or in the ledger.
    pub users: Vec<ObservedUser>,
    /// Which attributes a user may have.
    pub profile: Profile,
}

/// A user as it was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObservedUser {
    /// The user.
    pub user: UserRepresentation,
    /// The groups that the user is in.
    pub groups: BTreeSet<GroupPath>,
    /// The roles that the user has besides those of the groups.
    pub grants: RoleGrants,
}

/// Which attributes a user may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// The names that the user profile lists.
    pub attributes: BTreeSet<String>,
    /// Whether administrators may give users any other.
    pub admits_others: bool,
}

impl Profile {
    /// Whether an attribute stays when an administrator writes it.
    #[must_use]
    pub fn admits(&self, attribute: &str) -> bool {
        self.admits_others || self.attributes.contains(attribute)
    }
}

/// The types that the server knows. Keycloak stores some that it does not know, and fails later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTypes {
    /// Protocol mappers, by protocol.
    pub protocol_mappers: BTreeMap<String, BTreeSet<String>>,
    /// Identity providers.
    pub identity_providers: BTreeSet<String>,
    /// Mappers of identity providers, of whatever provider.
    pub broker_mappers: BTreeSet<String>,
    /// User storage providers.
    pub user_storage: BTreeSet<String>,
    /// Mappers of LDAP servers.
    pub ldap_mappers: BTreeSet<String>,
}
