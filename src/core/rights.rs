//! Which administrative roles of a realm the operator needs for what it is to do there, and how that compares with what
//! it holds. Found on Keycloak 26.5.0 and 26.7.3; the contract tests try each role.

use std::collections::BTreeSet;

/// What the operator is to do in a realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duties {
    /// The realm itself is ours: settings, realm roles, keys, user federation, brokering.
    pub manages_realm: bool,
    /// The realm is told of this cluster's keys.
    pub tells_keys: bool,
    /// Realm roles are kept although the realm is someone else's.
    pub keeps_realm_roles: bool,
}

impl Duties {
    /// The roles (of client `realm-management`, or of `<realm>-realm` in master), and not one more.
    ///
    /// `view-clients` is never among them: it shows every client's secret.
    #[must_use]
    pub fn roles(self) -> BTreeSet<&'static str> {
        // Clients with their roles and scopes; role mappings of service accounts; the feed that tells of drift.
        let mut roles = BTreeSet::from(["manage-clients", "manage-users", "view-events"]);
        if self.manages_realm || self.keeps_realm_roles {
            roles.insert("manage-realm");
        }
        if self.manages_realm || self.tells_keys {
            roles.insert("manage-identity-providers");
        }
        roles
    }

    /// Compares the roles that these duties need with those that are held.
    #[must_use]
    pub fn weigh(self, held: &BTreeSet<String>) -> Weighed {
        let needed: BTreeSet<String> = self.roles().into_iter().map(ToOwned::to_owned).collect();
        Weighed {
            missing: needed.difference(held).cloned().collect(),
            surplus: held.difference(&needed).cloned().collect(),
        }
    }
}

/// How the roles that are held compare with those that are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Weighed {
    /// Needed and not held.
    pub missing: BTreeSet<String>,
    /// Held and not needed.
    pub surplus: BTreeSet<String>,
}

/// Whether a role on a client of this name is one of administration: of `realm-management`, or, from master, of any
/// realm's own client there.
#[must_use]
pub fn is_administrative(login_realm: &str, client_id: &str) -> bool {
    match login_realm {
        "master" => client_id.ends_with("-realm"),
        _ => client_id == "realm-management",
    }
}

/// The client whose roles are rights in `realm` for an account of `login_realm`; none where there can be none.
#[must_use]
pub fn container(login_realm: &str, realm: &str) -> Option<String> {
    match login_realm {
        "master" => Some(format!("{realm}-realm")),
        login_realm if login_realm == realm => Some("realm-management".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENTS_ONLY: Duties = Duties { manages_realm: false, tells_keys: false, keeps_realm_roles: false };

    #[test]
    fn each_duty_has_its_roles_and_no_more() {
        let names = |duties: Duties| duties.roles().into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(names(CLIENTS_ONLY), "manage-clients manage-users view-events");
        let telling = Duties { tells_keys: true, ..CLIENTS_ONLY };
        assert_eq!(names(telling), "manage-clients manage-identity-providers manage-users view-events");
        let roles = Duties { keeps_realm_roles: true, ..CLIENTS_ONLY };
        assert_eq!(names(roles), "manage-clients manage-realm manage-users view-events");
        let full = Duties { manages_realm: true, ..CLIENTS_ONLY };
        assert_eq!(names(full), "manage-clients manage-identity-providers manage-realm manage-users view-events");
    }

    #[test]
    fn too_few_and_too_many_are_named() {
        let held = ["manage-clients", "view-events", "view-clients", "realm-admin"].map(ToOwned::to_owned).into();
        let Weighed { missing, surplus } = CLIENTS_ONLY.weigh(&held);
        assert_eq!(missing, ["manage-users".to_owned()].into());
        assert_eq!(surplus, ["realm-admin".to_owned(), "view-clients".to_owned()].into());
    }

    #[test]
    fn rights_reach_as_far_as_the_login_realm_does() {
        assert_eq!(container("master", "ml").as_deref(), Some("ml-realm"));
        assert_eq!(container("master", "master").as_deref(), Some("master-realm"));
        assert_eq!(container("ml", "ml").as_deref(), Some("realm-management"));
        assert_eq!(container("ml", "other"), None);
        assert!(is_administrative("master", "ml-realm") && is_administrative("ml", "realm-management"));
        assert!(!is_administrative("ml", "ml-realm") && !is_administrative("master", "account"));
    }
}
