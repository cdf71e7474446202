//! The certificates of webhook and policy stream: made, renewed and published by
//! the controller's leader, so that an installation needs no other tool.
//!
//! A private CA lies in the Secret [`CA_SECRET`], which only the controller may
//! read; the pair that the servers use in [`TLS_SECRET`]. A new CA is published
//! beside the old one before anything is signed with it, and the old one goes only
//! when nothing is left that it signed.
//!
//! Where cert-manager keeps them, its Certificates write the same two Secrets, and its injector `caBundle`: then all of
//! this only follows what proxies have to trust.

mod due;
mod external;
mod issue;
mod keeper;
mod publish;
mod stored;

pub use due::{Action, Certificate, Material, due};
pub use external::ExternalCertificates;
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

/// Who keeps the certificates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Custody {
    /// The controller itself.
    #[default]
    Own,
    /// Somebody else, who writes the Secret `keywire-tls` with `tls.crt`, `tls.key` and `ca.crt`, and the webhook's `caBundle`.
    External,
}

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
