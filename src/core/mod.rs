//! The pure part: what should be, never how it gets there.
//!
//! Nothing in here links kube or HTTP, reads a clock or does I/O. Time is an
//! argument, the world is a value. The same functions serve the controllers,
//! the admission webhook, the proxy and the command line.

pub mod app_probe;
pub mod body;
pub mod build;
pub mod claims;
pub mod client_env;
pub mod credential;
pub mod desired;
pub mod diff;
pub mod fingerprint;
pub mod graph;
pub mod name;
pub mod native;
pub mod path;
pub mod percent;
pub mod permission;
pub mod person;
pub mod policy;
pub mod protocol;
pub mod query;
pub mod rights;
pub mod signin;
pub mod skew;
