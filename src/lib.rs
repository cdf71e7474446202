//! Keywire: who may call which model, and how the call proves it.
//!
//! One package, three binaries: `keywire-operator` (controllers, admission,
//! policy stream), `keywire-proxy` (the sidecar) and `keywire` (the command
//! line). `ARCHITECTURE.md` tells what lies where.

#[cfg(feature = "operator")]
pub mod admission;
#[cfg(feature = "kube")]
pub mod api;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "kube")]
pub mod cluster;
#[cfg(feature = "operator")]
pub mod controller;
pub mod core;
#[cfg(feature = "keycloak")]
pub mod keycloak;
#[cfg(feature = "operator")]
pub mod policy;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(any(feature = "operator", feature = "proxy"))]
pub mod server;
pub mod telemetry;
