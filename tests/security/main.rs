//! Attacks on a running proxy over real sockets: each fails if its guard is taken out.

#[path = "../support/proxy/mod.rs"]
mod support;

mod binary;
mod calls;
mod conformance;
mod corpus;
mod documents;
mod egress;
mod models;
mod smuggling;
mod tokens;
