//! HTTP as both halves need it: strict on the way in, streaming on the way out.

pub mod answer;
pub mod body;
pub mod collect;
pub mod connect;
pub mod fetch;
pub mod flow;
pub mod gate;
pub mod hygiene;
pub mod pool;
pub mod scan;
pub mod serve;
pub mod tls;
