//! The controllers: one folder per kind, each a driver that names its steps.

mod app;
mod children;
mod cleanup;
mod condition;
mod context;
mod credentials_secret;
mod documents;
mod drift;
mod endpoint;
mod error;
mod finalizer;
mod grant;
mod identity;
mod injected;
mod isolation;
mod leader;
mod ledger;
mod login;
mod metrics;
mod objects;
mod pace;
pub mod realm;
mod run;
pub mod secrets;
mod server;
mod servers;
mod service_account;
mod shut_out;
mod start;
mod status;
mod sync;
mod trust;
mod watch;

pub use start::{Args, Error, run};
