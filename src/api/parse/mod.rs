//! From objects as written to the access graph: the one validator that the
//! webhook, the controllers and the command line share.
//!
//! What the CRDs' schemas and CEL rules refuse already is refused here again,
//! for objects older than the rule; nothing after this looks at a raw spec.

mod app;
mod claims;
mod endpoint;
mod grant;
mod native;
mod people;
mod realm;
mod workload;

pub use app::PORT as APP_PORT;
pub use endpoint::ADMIN_PORT;
pub use realm::Secrets;

use kube::ResourceExt;

use crate::core::{
    graph::{Problem, ProblemReason},
    name::Ref,
};

/// What is wrong with an object's own fields.
pub type Problems = Vec<Problem>;

/// The namespace and name of an object.
pub fn name_of<K: ResourceExt>(object: &K) -> Ref {
    Ref::new(object.namespace().unwrap_or_default(), object.name_any())
}

fn invalid(field: &str, message: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemReason::InvalidField, format!("{field}: {message}"))
}
