//! Why a reconcile has to be tried again.

use super::objects::ObjectError;

/// What made a reconcile fail. All of it is in the object's status already,
/// unless the API server itself is the trouble.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Error {
    /// The API server refused or was away.
    #[error("the API server: {0}")]
    Kubernetes(#[from] kube::Error),
    /// An object of ours could not be kept.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// Keycloak does not hold what it should yet; the status says why.
    #[error("Keycloak is not as it should be: {0}")]
    Keycloak(String),
    /// The clean-up is not done; an Event says why.
    #[error("not cleaned up yet: {0}")]
    Cleanup(String),
    /// A pass took longer than [`super::run::LIMIT`].
    #[error("the pass took too long and was given up")]
    TimedOut,
}
