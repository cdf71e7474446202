//! Keywire as a user meets it: real pods, a real Keycloak, `kubectl`.
//!
//! Needs a running test environment with Keywire installed (`make e2e` starts
//! it). Each test has namespaces, a realm and a KeycloakServer of its own, and
//! removes them whatever the outcome, so tests run side by side.

mod cluster;
mod drift;
mod eventually;
mod keycloak;
mod objects;
mod pods;
mod stage;

mod accounts;
mod admission;
mod apps;
mod brokers;
mod cert_manager;
mod claims;
mod credentials;
mod custody;
mod examples;
mod external;
mod introspection;
mod isolation;
mod journey;
mod lifetime;
mod logins;
mod native;
mod on_behalf;
mod operator;
mod other_roles;
mod outages;
mod ownership;
mod people;
mod predating;
mod references;
mod revocation;
mod rotation;
mod servers;
mod trouble;
mod walks;
mod workloads;

#[allow(dead_code, reason = "the contract tests use the rest")]
#[path = "../support/browser.rs"]
mod browser;
#[path = "../support/tls.rs"]
mod front;
