//! Where a body names its models: read as strictly as the loosest server behind the guard would read it. Pure.

pub mod grpc;
pub mod json;
pub mod listing;
pub mod model;
pub mod protobuf;
