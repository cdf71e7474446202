//! What Keycloak should hold: only the objects, and only the fields, that are Keywire's to decide.
//!
//! The `Desired…` types say what is meant; [`representation`] says how Keycloak stores it. The difference between the
//! two worlds is bridged here and nowhere else, so that a plan, a write and a comparison can never disagree.

mod browser;
mod endpoint;
mod identifier;
mod owner;
pub(crate) mod realm;
mod reference;
pub mod representation;
mod sealed;
mod workload;

pub use browser::{Browser, PEOPLES_SCOPES};
pub use endpoint::{ClientRole, DesiredEndpoint, NO_REALM_ROLE, PermissionScope, PersonRoles, REALM_ROLES_ATTRIBUTE};
pub use endpoint::{including_roles, is_endpoint_client_id, is_permission_scope_name};
pub use identifier::{mapper_id, object_id, permission_scope_id};
pub use owner::{BOOTSTRAP, MANAGED_ATTRIBUTE, OWNER_ATTRIBUTE, Owner};
pub use realm::objects;
pub use realm::{
    ClientPolicies, DesiredRealm, FULL_SCOPE, FullRealm, KEY_PROVIDER, KeyComponent, KeyGenerator, KeyRotation,
    KeyState, Management, Named, RealmSettings, RequiredAction, SMTP_VERSION, Seconds, SmtpServer, UserProfile,
    WorkloadIssuer,
};
pub(crate) use realm::{annotated_owner, signed_owner};
pub use reference::{ClientRef, ScopeRef};
pub use sealed::Sealed;
pub use workload::{Credential, DEFAULT_SCOPES, DesiredWorkload, SecondClient, roles_given};
