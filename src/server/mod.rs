//! What the webhook and the policy stream share: a TLS listener whose certificate
//! is replaced while it runs, the plain-HTTP admin port, readiness and shutdown.
//! The guard shares the certificate.

mod certificate;
pub use certificate::{CertificateError, Certificates};

#[cfg(feature = "operator")]
mod admin;
#[cfg(feature = "operator")]
mod error;
#[cfg(feature = "operator")]
mod follow;
#[cfg(feature = "operator")]
mod ready;
#[cfg(feature = "operator")]
mod shutdown;
#[cfg(feature = "operator")]
mod tls;

#[cfg(feature = "operator")]
pub(crate) use admin::probes;
#[cfg(feature = "operator")]
pub use {
    admin::serve_admin,
    error::Error,
    follow::follow_secret,
    ready::{Pending, Readiness},
    shutdown::Shutdown,
    tls::{TlsServer, bind},
};
