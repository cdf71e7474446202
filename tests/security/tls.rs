//! TLS on the guard's port.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{
    app::App,
    client, h2,
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy, Setup, policy},
    until,
};

struct Scene {
    proxy: Proxy,
    token: String,
    _others: (Issuer, App),
}

/// A certificate and its key, in PEM.
pub fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["iris.vision.svc".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// A guard that is to serve with this certificate.
async fn scene(certificate: &str, key: &str) -> Scene {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut proxy = Proxy::prepare();
    proxy.write("guard/guard.json", &proxy.with_ports(&policy(&issuer, &app)).to_string());
    proxy.write("tls/tls.crt", certificate);
    proxy.write("tls/tls.key", key);
    proxy.start(&Setup { guard: true, tls: true, ..Setup::default() });
    let token = issuer.token(ENDPOINT, LABELER, &["read"], proxy.now());
    Scene { proxy, token, _others: (issuer, app) }
}

impl Scene {
    async fn connect(&self, root: &str, protocols: &[&[u8]]) -> io::Result<TlsStream<TcpStream>> {
        self.connect_with(root, protocols, &[&version::TLS13]).await
    }

    async fn connect_with(
        &self,
        root: &str,
        protocols: &[&[u8]],
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<TlsStream<TcpStream>> {
        connect(self.proxy.guard_address(), root, protocols, versions).await
    }

    fn request(&self) -> String {
        format!("GET /v2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n", self.token)
    }
}

/// A connection to a guard that shows a certificate under `root`, with these protocols in its offer.
pub async fn connect(
    address: SocketAddr,
    root: &str,
    protocols: &[&[u8]],
    versions: &[&'static SupportedProtocolVersion],
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(root.as_bytes()).expect("PEM")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).expect("versions");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("iris.vision.svc").expect("a name");
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn both_versions_of_http_are_served() {
    let (certificate, key) = pair();
    let scene = scene(&certificate, &key).await;
    scene.proxy.until_ready().await;
    for protocols in [&[][..], &[b"http/1.1".as_slice()]] {
        for version in [&version::TLS12, &version::TLS13] {
            let stream = scene.connect_with(&certificate, protocols, &[version]).await;
            let (mut stream, mut text) = (stream.expect("a connection"), String::new());
            stream.write_all(scene.request().as_bytes()).await.expect("sends");
            let _ = stream.read_to_string(&mut text).await;
            assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        }
    }
    let stream = scene.connect(&certificate, &[b"h2", b"http/1.1"]).await.expect("a connection");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut connection = h2::Connection::over(stream).await;
    let answer = connection.call("GET", "/v2", Some(&scene.token), "").await.expect("an answer");
    assert_eq!(answer.status, 200);
    let answer = connection.call("GET", "/v2", None, "").await.expect("an answer");
    assert_eq!((answer.status, answer.reason().as_str()), (401, "token_missing"));
}

#[tokio::test]
async fn plain_http_is_not_served_beside_it() {
    let (certificate, key) = pair();
    let scene = scene(&certificate, &key).await;
    scene.proxy.until_ready().await;
    let answer = client::raw(scene.proxy.guard_address(), scene.request()).await;
    assert!(answer.is_none(), "{answer:?}");
}

/// What was agreed on counts: a preface of HTTP/2 is no request of HTTP/1.1.
#[tokio::test]
async fn what_was_agreed_on_is_what_is_spoken() {
    let (certificate, key) = pair();
    let scene = scene(&certificate, &key).await;
    scene.proxy.until_ready().await;
    let mut stream = scene.connect(&certificate, &[b"http/1.1"]).await.expect("a connection");
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.expect("sends");
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 4"), "{bytes:?}");
    // And the other way round.
    let mut stream = scene.connect(&certificate, &[b"h2"]).await.expect("a connection");
    stream.write_all(scene.request().as_bytes()).await.expect("sends");
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    assert!(!bytes.starts_with(b"HTTP/1.1"), "{bytes:?}");
    // No protocol of both: no connection.
    assert!(scene.connect(&certificate, &[b"spdy/3"]).await.is_err());
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let ((first, first_key), (second, second_key)) = (pair(), pair());
    let scene = scene(&first, &first_key).await;
    scene.proxy.until_ready().await;
    assert!(scene.connect(&first, &[]).await.is_ok());
    let results = |result: &'static str| {
        let name = format!("keywire_certificates_total{{half=\"guard\",result=\"{result}\"}}");
        let proxy = &scene.proxy;
        async move { proxy.metric(&name).await }
    };
    for (file, text, result) in [
        ("tls/tls.crt", "nonsense", "no_certificate"),
        // Another one's key.
        ("tls/tls.crt", second.as_str(), "pair"),
    ] {
        scene.proxy.write(file, text);
        until("the broken pair", || async { results(result).await >= 1.0 }).await;
        assert!(scene.connect(&first, &[]).await.is_ok(), "the last good one stays");
    }
    scene.proxy.write("tls/tls.key", &second_key);
    until("the new pair", || async { results("taken").await >= 2.0 }).await;
    assert!(scene.connect(&second, &[]).await.is_ok());
    assert!(scene.connect(&first, &[]).await.is_err(), "the one before is served no longer");
}

#[tokio::test]
async fn without_a_certificate_nobody_is_served_and_the_guard_is_not_ready() {
    let (certificate, key) = pair();
    let scene = scene("", "").await;
    until("the reason", || async {
        let answer = scene.proxy.admin("/readyz").await;
        answer.status == 503 && answer.body == "waiting for: guard TLS certificate\n"
    })
    .await;
    assert!(scene.connect(&certificate, &[]).await.is_err());
    scene.proxy.write("tls/tls.crt", &certificate);
    scene.proxy.write("tls/tls.key", &key);
    scene.proxy.until_ready().await;
    assert!(scene.connect(&certificate, &[]).await.is_ok());
}
