//! The pure heart: no Kubernetes client, no HTTP and no clock of its own.

pub mod desired;
pub mod diff;
