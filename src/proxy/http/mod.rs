//! HTTP as both halves need it: strict on the way in, streaming on the way out.

pub mod answer;
pub mod arrive;
pub mod body;
pub mod collect;
pub mod connect;
pub mod fetch;
pub mod flow;
pub mod gate;
pub mod grpc;
pub mod h2;
pub mod hygiene;
pub mod linger;
pub mod links;
pub mod local;
pub mod messages;
pub mod pool;
pub mod rewind;
pub mod scan;
pub mod serve;
pub mod tls;
pub mod tunnel;
pub mod websocket;
