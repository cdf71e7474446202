//! Attacks on a running proxy over real sockets: each fails if its guard is taken out.

#[path = "../support/proxy/mod.rs"]
mod support;

mod binary;
mod calls;
mod claims;
mod conformance;
mod corpus;
mod cors;
mod documents;
mod egress;
mod external;
mod forms;
mod graphql;
mod grpc;
mod h2;
mod introspection;
mod limits;
mod mcp;
mod metadata;
mod models;
mod on_behalf;
mod onward;
mod outside;
mod people;
mod rules;
mod session;
mod sign_in;
mod smuggling;
mod standalone;
mod tables;
mod tls;
mod tokens;
mod websocket;
