//! Where a body names its models: read as strictly as the loosest server behind the guard would read it. Pure.

pub mod agent_card;
pub mod graphql;
pub mod grpc;
pub mod json;
pub mod listing;
pub mod model;
pub mod multipart;
pub mod protobuf;
pub mod realtime;
pub mod rpc;
pub mod rpc_listing;
pub mod websocket;
