//! The inbound half: who may do what, then on to the application.

pub mod admit;
pub mod audit;
pub mod content;
pub mod cors;
pub mod counters;
pub mod forward;
pub mod graphql;
pub mod grpc;
pub mod identity;
pub mod introspection;
pub mod limits;
pub mod mcp;
pub mod metadata;
pub mod read;
pub mod recognise;
pub mod refuse;
pub mod serve;
mod session;
pub mod state;
pub mod trace;
pub mod travel;
pub mod websocket;
