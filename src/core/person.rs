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
    /// Whoever holds this role of a client: of one that Keywire has not made.
    ClientRole {
        /// Its client id.
        client: String,
        /// The role's name, which has no slash.
        role: String,
    },
}

impl Person {
    /// The role that it is, as [`of_role`](Self::of_role) reads it; none for users and groups.
    #[must_use]
    pub fn as_role(&self) -> Option<String> {
        match self {
            Self::User(_) | Self::Group(_) => None,
            Self::RealmRole(name) => Some(name.clone()),
            Self::ClientRole { client, role } => Some(format!("{client}/{role}")),
        }
    }

    /// A role by its name. A realm's has no slash, a client's has its client id before one.
    #[must_use]
    pub fn of_role(name: &str) -> Self {
        match name.rsplit_once('/') {
            None => Self::RealmRole(name.to_owned()),
            Some((client, role)) => Self::ClientRole { client: client.to_owned(), role: role.to_owned() },
        }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user {name:?}"),
            Self::Group(path) => write!(f, "group {:?}", path.to_string()),
            Self::RealmRole(name) => write!(f, "realm role {name:?}"),
            Self::ClientRole { client, role } => write!(f, "role {role:?} of client {client:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_read_back_from_its_name() {
        let of_client = |client: &str| Person::ClientRole { client: client.into(), role: "admin".into() };
        for person in [Person::RealmRole("annotator".into()), of_client("hub"), of_client("https://hub.example/x")] {
            assert_eq!(Person::of_role(&person.as_role().expect("a role")), person);
        }
        assert_eq!(Person::User("ann".into()).as_role(), None);
    }
}
