//! The sidecar: the guard in front of an endpoint, the egress half behind a
//! workload's loopback ports.
//!
//! Threads: one for control (files, stream, keys, admin port, accepting), and a
//! few workers that each own their connections, token cache and upstream pools,
//! so that a request crosses no lock. A connection stays with its worker.

pub mod admin;
pub mod app_probes;
pub mod args;
pub mod auditlog;
pub mod certificate;
pub mod clock;
pub mod config;
pub mod control;
pub mod documents;
pub mod egress;
pub mod guard;
pub mod handles;
pub mod http;
pub mod listen;
pub mod metrics;
pub mod run;
pub mod signin;
pub mod tokens;
pub mod usage;
pub mod worker;
