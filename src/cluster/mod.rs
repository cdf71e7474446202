//! What the API server tells of the cluster itself.

mod issuer;

pub use issuer::{IssuerError, workload_issuer};
