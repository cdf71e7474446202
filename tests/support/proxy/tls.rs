//! TLS in front of an application: a server outside the cluster.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// Passes on everything that comes over TLS. Ends with the runtime in which it was started.
pub struct Front {
    pub address: SocketAddr,
    /// Its certificate, which is its own CA.
    pub ca: String,
    /// The names that clients asked for.
    names: Arc<Mutex<Vec<String>>>,
}

impl Front {
    /// Listens with a certificate for `name`, and speaks `protocols` where clients offer some.
    pub async fn start(name: &str, protocols: &[&[u8]], behind: SocketAddr) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let versions =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS");
        let mut config = versions.with_no_client_auth().with_single_cert(chain, key).expect("a pair");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let (acceptor, names) = (TlsAcceptor::from(Arc::new(config)), Arc::<Mutex<Vec<String>>>::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let front =
            Self { address: listener.local_addr().expect("address"), ca: made.cert.pem(), names: names.clone() };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, names) = (acceptor.clone(), Arc::clone(&names));
                tokio::spawn(async move {
                    let mut inside = acceptor.accept(stream).await.ok()?;
                    let asked = inside.get_ref().1.server_name().unwrap_or_default().to_owned();
                    names.lock().expect("lock").push(asked);
                    let mut outside = TcpStream::connect(behind).await.ok()?;
                    copy_bidirectional(&mut inside, &mut outside).await.ok()
                });
            }
        });
        front
    }

    /// The names that clients asked for, in order.
    pub fn names(&self) -> Vec<String> {
        self.names.lock().expect("lock").clone()
    }
}
