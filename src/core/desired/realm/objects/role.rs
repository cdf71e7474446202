//! Realm roles, and sets of roles as they are included in roles and given to groups and users.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::group::GroupPath;
use crate::core::desired::owner::{OWNER_ATTRIBUTE, Owner};
use crate::core::desired::representation::RoleRepresentation;

/// A realm role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RealmRole {
    /// The role's name. At most 255 characters.
    pub name: String,
    /// One sentence for people, possibly empty. At most 255 characters.
    pub description: String,
    /// The roles that it includes.
    pub composites: RoleSet,
    /// Free attributes.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// Whether every user of the realm has it; none where that is not ours to decide.
    pub is_default: Option<bool>,
}

impl RealmRole {
    /// The role as Keycloak is to hold it, without its composites.
    #[must_use]
    pub fn representation(&self, owner: &Owner) -> RoleRepresentation {
        let mut attributes = self.attributes.clone();
        attributes.insert(OWNER_ATTRIBUTE.to_owned(), vec![owner.to_attribute()]);
        RoleRepresentation { attributes, ..RoleRepresentation::owned(&self.name, &self.description, owner) }
    }
}

/// Roles of the realm and of its clients, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RoleSet {
    /// Realm roles.
    pub realm: BTreeSet<String>,
    /// Client roles, by the OAuth client id of their client.
    pub clients: BTreeMap<String, BTreeSet<String>>,
}

impl RoleSet {
    /// A set of realm roles.
    #[must_use]
    pub fn of_realm<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        Self { realm: names.into_iter().map(Into::into).collect(), clients: BTreeMap::new() }
    }

    /// Whether there is no role in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.realm.is_empty() && self.clients.values().all(BTreeSet::is_empty)
    }

    /// The roles that are not in the other set.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let none = BTreeSet::new();
        let clients = self.clients.iter().map(|(client, roles)| {
            let rest = roles - other.clients.get(client).unwrap_or(&none);
            (client.clone(), rest)
        });
        Self { realm: &self.realm - &other.realm, clients: clients.filter(|(_, roles)| !roles.is_empty()).collect() }
    }

    /// Adds the roles of another set.
    pub fn extend(&mut self, other: Self) {
        self.realm.extend(other.realm);
        for (client, roles) in other.clients {
            self.clients.entry(client).or_default().extend(roles);
        }
    }
}

impl fmt::Display for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_clients = self.clients.iter().flat_map(|(client, roles)| roles.iter().map(move |role| (client, role)));
        let all = self.realm.iter().cloned().chain(of_clients.map(|(client, role)| format!("{role} of {client}")));
        f.write_str(&all.collect::<Vec<_>>().join(", "))
    }
}

/// Who has roles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RoleHolder {
    /// A realm role, which includes them.
    Role(String),
    /// A group, for its members.
    Group(GroupPath),
    /// A user, by name.
    User(String),
}

impl fmt::Display for RoleHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Role(name) => write!(f, "realm role {name}"),
            Self::Group(path) => write!(f, "group {path}"),
            Self::User(name) => write!(f, "user {name}"),
        }
    }
}

/// The name of the realm role that every user has, and whose composites are therefore everybody's.
#[must_use]
pub fn default_role_name(realm: &str) -> String {
    format!("default-roles-{}", realm.to_lowercase())
}
