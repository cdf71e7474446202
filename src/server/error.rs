//! Why a listener failed.

use std::{io, net::SocketAddr};

/// Why a listener failed. The discriminant in snake case is the metric label.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Error {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS library refused its own configuration.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A signal handler could not be installed.
    #[error("cannot listen for termination signals: {0}")]
    Signal(io::Error),
    /// The admin port ended.
    #[error("the admin port failed: {0}")]
    Admin(io::Error),
}
