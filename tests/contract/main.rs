//! What the code takes for granted of Keycloak, checked on a real one, and our client at work on it.
//!
//! Needs `KEYCLOAK_URL`, `KEYCLOAK_ADMIN_USERNAME` and `KEYCLOAK_ADMIN_PASSWORD`, and for user federation `LDAP_URL` and
//! `LDAP_PASSWORD`. Each test has a realm of its own.

mod apps;
mod bootstrap;
mod brokers;
mod client_policies;
mod client_roles;
mod client_scopes;
mod clients;
mod endpoint;
mod federation;
mod groups;
mod identity_providers;
mod least_privilege;
mod login;
mod on_behalf;
mod other_roles;
mod people;
mod realm;
mod realm_roles;
mod realm_scopes;
mod realm_settings;
mod required_actions;
mod rights;
mod session;
mod sign_in;
mod signing_keys;
mod smtp;
mod tenancy;
mod tls;
mod tokens;
mod trust;
mod user_profile;
mod users;
mod workload;

#[allow(dead_code, reason = "the e2e tests use the rest")]
#[path = "../support/browser.rs"]
mod browser;
#[path = "../support/tls.rs"]
mod front;
#[path = "../support/issuer.rs"]
mod issuer;
#[path = "../support/keycloak.rs"]
mod keycloak;
#[path = "../support/objects.rs"]
mod objects;
