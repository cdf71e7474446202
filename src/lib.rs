//! Keywire: who may call which model, and how the call proves it.
//!
//! One package, three binaries: `keywire-operator` (controllers, admission,
//! policy stream), `keywire-proxy` (the sidecar) and `keywire` (the command
//! line). `ARCHITECTURE.md` tells what lies where.

pub mod core;
#[cfg(feature = "proxy")]
pub mod proxy;
pub mod telemetry;
