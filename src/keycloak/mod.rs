//! The Keycloak Admin API: one login, one limiter, one file per resource; reading what is there and applying plans.
//!
//! [`Admin`] is the handle to a server and [`RealmAdmin`] to one of its realms; both are cheap to clone.

mod admin;
mod admin_events;
mod apply;
mod assertion;
mod bootstrap;
mod breaker;
mod brokers;
mod call;
#[cfg(test)]
mod call_tests;
mod client_policies;
mod client_roles;
mod client_scopes;
mod clients;
mod components;
mod credentials;
mod directory;
mod error;
mod groups;
mod held;
mod identity_providers;
mod issuer;
mod limiter;
mod locks;
mod login_error;
mod objects;
mod observe;
#[cfg(test)]
mod outage_tests;
mod pages;
mod people;
mod realm_roles;
mod realm_scopes;
mod realms;
mod reconcile;
mod required_actions;
mod rights;
mod role_mappings;
mod scope_mappings;
mod server_info;
mod server_types;
mod session;
mod settings;
#[cfg(test)]
mod settings_tests;
mod signing_key;
mod signing_keys;
#[cfg(test)]
mod testing;
mod token;
mod transport;
mod user_profile;
mod users;

pub use admin::{Admin, AdminConfig, Limits, RealmAdmin, SetupError};
pub use admin_events::{AdminEvent, AuthDetails};
pub use apply::ApplyError;
pub use assertion::{AssertionSource, TokenFile};
pub use bootstrap::{
    BootstrapError, BootstrapReport, BootstrapSpec, RealmGrant, Step, bootstrap_operator, ensure_realm,
};
pub use credentials::Credentials;
pub use error::ApiError;
pub use groups::GroupPlace;
pub use issuer::{IssuerStep, ensure_issuer};
pub use login_error::LoginError;
pub use objects::{ObjectFailure, SectionReport};
pub use observe::{EndpointKey, WorkloadKey};
pub use reconcile::{Held, ReconcileError};
pub use role_mappings::{ClientMappings, RoleMappings};
pub use server_info::{ServerCheck, ServerOffers};
pub use settings::{SettingsError, SettingsReport};
pub use signing_key::{SigningKey, SigningKeyError};
pub use token::{TokenAnswer, TokenError, TokenRequest};
pub use users::{ServiceAccount, UserSummary};
