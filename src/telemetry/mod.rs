//! What the binaries tell the outside: logs and metrics. No kube in here.

pub mod logging;
#[cfg(feature = "server")]
pub mod metrics;
