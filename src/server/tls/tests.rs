use axum::routing::get;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::*;

fn pair(certificates: &Certificates) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
    certificates.replace(pair.cert.pem().as_bytes(), pair.signing_key.serialize_pem().as_bytes()).unwrap();
    pair.cert.der().clone()
}

/// One request on a connection of its own, trusting only `root`.
async fn request(address: SocketAddr, root: &CertificateDer<'static>) -> Result<String, std::io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("a.test").unwrap();
    let mut tls = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    tls.write_all(b"GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    tls.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn new_connections_get_the_new_certificate() {
    let certificates = Arc::new(Certificates::default());
    let router = Router::new().route("/", get(async || "hello"));
    let server = TlsServer::new(router, Arc::clone(&certificates), 2).unwrap();
    let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, shutdown) = Shutdown::channel();
    let serving = tokio::spawn(server.serve(listener, shutdown));

    let stranger = Certificates::default();
    assert!(request(address, &pair(&stranger)).await.is_err(), "no certificate yet: no handshake");
    let first = pair(&certificates);
    for _ in 0..5 {
        let answer = request(address, &first).await.unwrap();
        assert!(answer.ends_with("hello"), "connections that ended make room for others: {answer}");
    }
    let second = pair(&certificates);
    assert!(request(address, &second).await.unwrap().ends_with("hello"));
    assert!(request(address, &first).await.is_err(), "the one before is served no longer");

    stop.send(true).unwrap();
    serving.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
