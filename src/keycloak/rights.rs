//! Which role of the operator's service account each call needs, to name the one that is missing.

use std::fmt;

use reqwest::Method;

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Area {
    AdminEvents,
    ServerInfo,
    NewRealm,
    Realm,
    RealmRoles,
    Clients,
    ClientRoles,
    ClientScopes,
    ScopeMappings,
    ServiceAccounts,
    RoleMappings,
    IdentityProviders,
}

/// The role to give, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingRole {
    /// The role's name, such as `manage-clients`.
    pub role: &'static str,
    /// The realm that the call was about.
    pub realm: String,
}

impl Area {
    /// The role that a call needs. Reading clients would take `view-clients` only, but that shows every secret in the
    /// realm, so it is never what to ask for.
    pub fn required_role(self, method: &Method) -> &'static str {
        match self {
            Self::NewRealm => "create-realm",
            Self::AdminEvents => "view-events",
            Self::ServerInfo => "any role",
            Self::Realm | Self::RealmRoles if method == Method::GET => "view-realm",
            Self::Realm | Self::RealmRoles => "manage-realm",
            Self::RoleMappings => "manage-users",
            Self::IdentityProviders => "manage-identity-providers",
            Self::Clients | Self::ClientRoles | Self::ClientScopes | Self::ScopeMappings | Self::ServiceAccounts => {
                "manage-clients"
            }
        }
    }
}

impl fmt::Display for MissingRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, realm } = self;
        match *role {
            "create-realm" => write!(f, "role create-realm of realm master"),
            _ => write!(f, "role {role} (of client realm-management in realm {realm}, or of {realm}-realm in master)"),
        }
    }
}
