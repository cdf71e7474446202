//! Real model servers behind a guard, called by the clients that people use.
//!
//! `make servers` installs the servers and runs this. Each test starts a server of its own on loopback, a guard in this
//! process before it, and clients as processes of their own.

mod guarded;
mod process;
#[allow(dead_code, reason = "the attacks use the rest")]
#[path = "../support/proxy/mod.rs"]
mod support;

mod a2a;
mod dagster;
mod kserve;
mod litellm;
mod llamacpp;
mod mcp;
mod mlflow;
mod mlserver;
mod mlserver_grpc;
mod prefect;
