//! Attacks on a running proxy over real sockets: each fails if its guard is taken out.

#[path = "../support/proxy/mod.rs"]
mod support;

mod binary;
mod calls;
mod conformance;
mod documents;
mod egress;
mod grpc;
mod h2;
mod models;
mod onward;
mod smuggling;
mod tls;
mod tokens;
mod websocket;
