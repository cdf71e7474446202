//! The certificates of webhook and policy stream: made, renewed and published by
//! the controller's leader, so that an installation needs no other tool.
//!
//! A private CA lies in the Secret [`CA_SECRET`], which only the controller may
//! read; the pair that the servers use in [`TLS_SECRET`]. A new CA is published
//! beside the old one before anything is signed with it, and the old one goes only
//! when nothing is left that it signed.

mod due;
mod issue;
mod keeper;
mod publish;
mod stored;

pub use due::{Action, Certificate, Material, due};
pub use issue::{IssueError, Pair, inspect, new_ca, new_leaf};
pub use keeper::{CaBundle, CertificateKeeper};

/// The Secret with the pair that webhook and policy stream serve with, and the CA bundle.
pub const TLS_SECRET: &str = "keywire-tls";
/// The Secret with the CA: the controller's alone.
pub const CA_SECRET: &str = "keywire-ca";
/// The MutatingWebhookConfiguration whose `caBundle` is ours.
pub const WEBHOOK_CONFIGURATION: &str = "keywire";
/// The field manager of everything that is written here.
pub const FIELD_MANAGER: &str = "keywire-certificates";

/// Why the certificates could not be kept.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Error {
    /// The API server refused.
    #[error("{what}: {source}")]
    Kube {
        /// What was tried.
        what: &'static str,
        /// What the API server said.
        source: kube::Error,
    },
    /// A Secret was written by somebody else since it was read.
    #[error("Secret {0} was changed by somebody else meanwhile")]
    Conflict(String),
    /// A certificate could not be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

/// The DNS names of the servers in this namespace.
pub fn server_names(namespace: &str) -> Vec<String> {
    let services = ["keywire-webhook", "keywire-policy"];
    let names = services
        .iter()
        .flat_map(|service| [format!("{service}.{namespace}.svc"), format!("{service}.{namespace}.svc.cluster.local")]);
    names.collect()
}
