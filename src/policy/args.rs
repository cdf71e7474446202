//! The flags of `keywire-operator policy`.

use std::net::SocketAddr;

/// The flags of the policy stream.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where the policy stream listens (TLS).
    #[arg(long, default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,
    /// Where probes and metrics are served (plain HTTP).
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub admin: SocketAddr,
    /// The operator's own namespace, where the certificate's Secret lies.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: String,
}
