//! Attacks on a running proxy over real sockets: each fails if its guard is taken out.

#[path = "../support/proxy/mod.rs"]
mod support;

mod binary;
mod calls;
mod conformance;
mod cors;
mod documents;
mod egress;
mod introspection;
mod limits;
mod metadata;
mod models;
mod outside;
mod smuggling;
mod standalone;
mod tokens;
