//! Users for development: with a password from a Secret, so never for people.
//!
//! A user's attributes are subject to the realm's user profile, which may drop any of them, so they cannot say whose the
//! user is. A group can: all users of a Realm object are in one group of its own, the ledger, which also holds the
//! version of each password.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use uuid::Uuid;

use super::group::GroupPath;
use super::role::RoleSet;
use super::secret::Secret;

/// The attribute that tells the ledger from other groups of the same owner.
pub const LEDGER_MARK: &str = "keywire.dev/ledger";

/// A user for development.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct User {
    /// The name to log in with, in lower case as Keycloak keeps it.
    pub username: String,
    /// Mail address; none leaves it as it is.
    pub email: Option<String>,
    /// Whether the mail address counts as verified.
    pub email_verified: bool,
    /// First name; none leaves it as it is.
    pub first_name: Option<String>,
    /// Last name; none leaves it as it is.
    pub last_name: Option<String>,
    /// Whether the user can log in.
    pub enabled: bool,
    /// The password, set once for each version.
    pub password: Secret,
    /// Attributes, as far as the user profile admits them.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// The groups of this Realm object that the user is in.
    pub groups: BTreeSet<GroupPath>,
    /// The roles that the user has besides those of the groups.
    pub roles: RoleSet,
}

/// The name of the group that holds all users of the Realm object of this name.
#[must_use]
pub fn ledger_name(realm_object: &str) -> String {
    format!("keywire-users-{realm_object}")
}

/// The ledger's entry for the password of a user.
#[must_use]
pub fn password_entry(username: &str) -> String {
    // A fixed length, whatever the name is.
    format!("keywire.dev/password-{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, username.as_bytes()))
}
