//! What the webhook and the policy stream share: a TLS listener whose certificate
//! is replaced while it runs, the plain-HTTP admin port, readiness and shutdown.

mod admin;
mod certificate;
mod error;
mod follow;
mod ready;
mod shutdown;
mod tls;

pub(crate) use admin::probes;
pub use admin::serve_admin;
pub use certificate::{CertificateError, Certificates};
pub use error::Error;
pub use follow::follow_secret;
pub use ready::{Pending, Readiness};
pub use shutdown::Shutdown;
pub use tls::{TlsServer, bind};
