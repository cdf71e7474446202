//! The objects in a realm: roles, groups, client scopes, identity providers, user federation, users.
//!
//! They are ours one by one, also in a realm whose settings are someone else's. Each kind of object is a [`Section`]
//! that is read, compared and written by itself: what goes wrong in one is no reason to leave the others undone.

mod broker;
mod federation;
mod group;
mod role;
mod scope;
mod secret;
mod user;

use serde::Serialize;
use uuid::Uuid;

use crate::core::desired::owner::Owner;

pub use broker::{BROKER_MARK, Broker, BrokerMapper, SECRET_ENTRY, SECRET_VERSION};
pub use federation::{Federation, FederationMapper};
pub use group::{Group, GroupPath};
pub use role::{RealmRole, RoleHolder, RoleSet, default_role_name};
pub use scope::{RealmScope, ScopeAssignment, ScopeMapper};
pub use secret::{Secret, digest};
pub use user::{LEDGER_MARK, User, ledger_name, password_entry};

/// A kind of object in a realm. In the order in which they depend on each other.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    strum::IntoStaticStr,
    strum::Display,
    strum::VariantArray,
)]
pub enum Section {
    /// Realm roles, and which of them everybody has.
    Roles,
    /// Groups, and which of them everybody is in.
    Groups,
    /// Client scopes, and which of them new clients get.
    ClientScopes,
    /// Identity providers that people log in with.
    IdentityProviders,
    /// LDAP servers.
    UserFederation,
    /// Users for development.
    Users,
}

/// What a realm should hold, but for its settings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredObjects {
    /// The realm's name in Keycloak.
    pub realm: String,
    /// The object that they are made from.
    pub owner: Owner,
    /// Whether objects of the same names that are not ours are taken over instead of being a conflict.
    pub adopt: bool,
    /// Realm roles.
    pub roles: Vec<RealmRole>,
    /// Groups. The parent of each is one of them.
    pub groups: Vec<Group>,
    /// Client scopes.
    pub client_scopes: Vec<RealmScope>,
    /// Identity providers.
    pub identity_providers: Vec<Broker>,
    /// LDAP servers.
    pub user_federation: Vec<Federation>,
    /// Users for development.
    pub users: Vec<User>,
}

impl DesiredObjects {
    /// Nothing at all: what is left of `owner`'s is to go.
    #[must_use]
    pub fn none(realm: &str, owner: Owner) -> Self {
        Self {
            realm: realm.to_owned(),
            owner,
            adopt: false,
            roles: Vec::new(),
            groups: Vec::new(),
            client_scopes: Vec::new(),
            identity_providers: Vec::new(),
            user_federation: Vec::new(),
            users: Vec::new(),
        }
    }

    /// Whether the section has anything in it.
    #[must_use]
    pub fn has(&self, section: Section) -> bool {
        match section {
            Section::Roles => !self.roles.is_empty(),
            Section::Groups => !self.groups.is_empty(),
            Section::ClientScopes => !self.client_scopes.is_empty(),
            Section::IdentityProviders => !self.identity_providers.is_empty(),
            Section::UserFederation => !self.user_federation.is_empty(),
            Section::Users => !self.users.is_empty(),
        }
    }

    /// The id of an object that Keycloak lets us choose the id of; `kind` is a word of ours.
    fn id_of(&self, kind: &str, name: &str) -> Uuid {
        let realm = super::super::object_id(&self.owner.cluster, &self.realm, &self.owner.kind, "", &self.owner.name);
        Uuid::new_v5(&realm, format!("{kind}/{name}").as_bytes())
    }

    /// The id of a client scope.
    #[must_use]
    pub fn scope_id(&self, name: &str) -> Uuid {
        self.id_of("client-scope", name)
    }

    /// The id of an LDAP server.
    #[must_use]
    pub fn federation_id(&self, name: &str) -> Uuid {
        self.id_of("user-federation", name)
    }

    /// The id of a mapper of an LDAP server.
    #[must_use]
    pub fn federation_mapper_id(&self, server: &str, mapper: &str) -> Uuid {
        super::super::mapper_id(self.federation_id(server), mapper)
    }
}
