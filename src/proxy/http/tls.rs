//! TLS towards Keycloak, the policy stream and https upstreams: aws-lc-rs only.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// Why no TLS configuration could be made.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TlsError {
    /// The PEM text holds no certificate, or a broken one.
    #[error("the CA holds no usable certificate")]
    InvalidCa,
    /// No CA was given and the system has none.
    #[error("no CA was given and this image has no system certificates")]
    NoSystemRoots,
    /// The crypto library refused its own defaults.
    #[error("TLS could not be configured")]
    Configuration,
}

/// A client that trusts the certificates in `ca` (PEM) and none other; without
/// one, the system's.
pub fn client(ca: Option<&str>) -> Result<Arc<ClientConfig>, TlsError> {
    let roots = match ca {
        Some(pem) => given(pem)?,
        None => system()?,
    };
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|_| TlsError::Configuration)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn given(pem: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| TlsError::InvalidCa)?;
        roots.add(certificate).map_err(|_| TlsError::InvalidCa)?;
    }
    if roots.is_empty() { Err(TlsError::InvalidCa) } else { Ok(roots) }
}

fn system() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoSystemRoots) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_ca_must_hold_a_certificate() {
        for pem in ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert!(matches!(client(Some(pem)), Err(TlsError::InvalidCa)), "{pem:?}");
        }
        let Ok(made) = rcgen::generate_simple_self_signed(["a".to_owned()]) else { panic!("rcgen") };
        assert!(client(Some(&made.cert.pem())).is_ok());
    }
}
