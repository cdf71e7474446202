//! TLS in front of the real Keycloak, with a private CA that can be changed.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use url::Url;

/// A private CA.
pub type Authority = CertifiedIssuer<'static, KeyPair>;

/// A new one.
pub fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

/// Passes on everything that comes over TLS. Ends with the runtime in which it was started.
pub struct Front {
    /// Where it listens, by the name that its certificate is for.
    pub url: Url,
    name: String,
    config: watch::Sender<Arc<ServerConfig>>,
}

impl Front {
    /// Listens at an address, with a certificate of this CA for `name`.
    pub async fn start(authority: &Authority, name: &str, address: IpAddr, keycloak: &Url) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let behind = keycloak.socket_addrs(|| None).expect("Keycloak's address");
        let (config, current) = watch::channel(config(authority, name));
        tokio::spawn(accept(listener, current, behind));
        Self { url: format!("https://{name}:{port}").parse().expect("a URL"), name: name.to_owned(), config }
    }

    /// A certificate of another CA from here on. Connections that there are end.
    #[allow(dead_code, reason = "for who has a Keycloak that is renewed")]
    pub fn change(&self, authority: &Authority) {
        self.config.send_replace(config(authority, &self.name));
    }
}

fn config(authority: &Authority, name: &str) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
    Arc::new(versions.with_no_client_auth().with_single_cert(chain, key).expect("a certificate and its key"))
}

async fn accept(listener: TcpListener, current: watch::Receiver<Arc<ServerConfig>>, behind: Vec<SocketAddr>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (mut current, behind) = (current.clone(), behind.clone());
        tokio::spawn(async move {
            let acceptor = TlsAcceptor::from(Arc::clone(&current.borrow_and_update()));
            let mut inside = acceptor.accept(stream).await.ok()?;
            let mut outside = TcpStream::connect(&*behind).await.ok()?;
            tokio::select! {
                passed = copy_bidirectional(&mut inside, &mut outside) => passed.ok().map(drop),
                // A front that nobody changes any more serves on.
                Ok(()) = current.changed() => None,
            }
        });
    }
}
