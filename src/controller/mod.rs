//! The controllers: one folder per kind, each a driver that names its steps.

mod cleanup;
mod condition;
mod context;
mod documents;
mod endpoint;
mod error;
mod finalizer;
mod grant;
mod identity;
mod leader;
mod metrics;
mod objects;
mod pace;
pub mod realm;
mod run;
pub mod secrets;
mod server;
mod servers;
mod service_account;
mod start;
mod status;
mod sync;
mod watch;

pub use start::{Args, Error, run};
