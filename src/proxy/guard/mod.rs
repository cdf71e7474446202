//! The inbound half: who may do what, then on to the application.

pub mod admit;
pub mod audit;
pub mod content;
pub mod forward;
pub mod grpc;
pub mod identity;
pub mod read;
pub mod recognise;
pub mod refuse;
pub mod serve;
pub mod state;
pub mod travel;
pub mod websocket;
