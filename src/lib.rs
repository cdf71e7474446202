//! Keywire: who may call which model, and how the call proves it.

pub mod core;
#[cfg(feature = "keycloak")]
pub mod keycloak;
