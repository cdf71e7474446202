//! The certificate of a listener, replaced while connections come in.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::CertifiedKey,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// Why a pair of certificate and key was not taken. Never holds a part of the key.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CertificateError {
    /// No certificate in the PEM.
    #[error("tls.crt holds no certificate (PEM)")]
    NoCertificate,
    /// No private key in the PEM.
    #[error("tls.key holds no private key (PEM)")]
    NoKey,
    /// The pair is unusable, or key and certificate are not of one pair.
    #[error("tls.crt and tls.key are no usable pair: {0}")]
    Pair(#[from] rustls::Error),
}

/// The pair that new connections are served with: the last good one.
#[derive(Debug, Default)]
pub struct Certificates {
    current: ArcSwapOption<CertifiedKey>,
}

impl Certificates {
    /// Takes a new pair. On an error the pair before stays.
    pub fn replace(&self, chain: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| CertificateError::NoCertificate)?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
        // `from_der` refuses a key that is not the certificate's.
        let pair = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?;
        self.current.store(Some(Arc::new(pair)));
        Ok(())
    }

    /// Whether there is a pair yet.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.current.load().is_some()
    }

    /// TLS 1.2 and 1.3 with this certificate, HTTP/2 and HTTP/1.1.
    pub fn server_config(self: Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self);
        // Streams last for an hour: what a client could resume with costs more memory than handshakes cost time.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // `None` refuses the handshake: there is no certificate yet.
        self.current.load_full()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Vec<u8>, Vec<u8>) {
        let pair = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
        (pair.cert.pem().into_bytes(), pair.signing_key.serialize_pem().into_bytes())
    }

    #[test]
    fn the_last_good_pair_stays() {
        let certificates = Certificates::default();
        let ((chain, key), (_, other)) = (pair(), pair());
        assert!(certificates.current.load().is_none());
        certificates.replace(&chain, &key).unwrap();
        let kept = certificates.current.load_full().unwrap();
        let bad = [
            certificates.replace(b"", &key),
            certificates.replace(b"-----BEGIN CERTIFICATE-----", &key),
            certificates.replace(&chain, b"no key"),
            certificates.replace(&chain, &other),
        ];
        let reasons: Vec<&str> = bad.into_iter().map(|result| result.unwrap_err().into()).collect();
        assert_eq!(reasons, ["no_certificate", "no_certificate", "no_key", "pair"]);
        assert!(Arc::ptr_eq(&kept, &certificates.current.load_full().unwrap()));
    }
}
