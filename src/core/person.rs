//! People, as grants name them: by what a realm knows them by. Pure.

use std::fmt;

use serde::Serialize;

use super::desired::objects::GroupPath;

/// Somebody, or several, of a realm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Person {
    /// The user of this name, in lower case as Keycloak keeps it.
    User(String),
    /// Whoever is in the group at this path, or in one within it.
    Group(GroupPath),
    /// Whoever holds this role of the realm.
    RealmRole(String),
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name:?}"),
            Self::Group(path) => write!(f, "group {:?}", path.to_string()),
            Self::RealmRole(name) => write!(f, "realm role {name:?}"),
        }
    }
}
