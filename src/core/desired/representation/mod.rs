//! Keycloak's own representations, reduced to the fields that Keywire reads or decides.
//!
//! Unknown fields are ignored when reading. When writing, every flag is spelled out: Keycloak's defaults depend on
//! which other fields are present.

mod broker;
mod client;
mod client_scope;
mod component;
mod group;
mod identity_provider;
mod realm;
mod role;
mod user;

pub use broker::{BrokerMapperRepresentation, BrokerRepresentation, MASKED};
pub(super) use client::audience_config;
pub use client::{ClientMapper, ClientRepresentation, ClientSettings};
pub use client_scope::{ClientScopeRepresentation, ClientScopeSettings, ProtocolMapperRepresentation};
pub use component::{ComponentRepresentation, LDAP, LDAP_MAPPER, USER_STORAGE};
pub use group::GroupRepresentation;
pub use identity_provider::{IdentityProviderRepresentation, PUSHED_KEYS};
pub use realm::RealmRepresentation;
pub use role::RoleRepresentation;
pub use user::UserRepresentation;
