//! Keycloak behind TLS with a private CA: `spec.trust` is what makes it good, and nothing else does.

use std::sync::Arc;

use keywire::keycloak::{Admin, AdminConfig, ApiError, Credentials, Limits};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::keycloak::Keycloak;

/// A private CA.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// TLS in front of the real Keycloak, with a certificate of this CA for `localhost`.
async fn front(authority: &CertifiedIssuer<'static, KeyPair>, keycloak: &Keycloak) -> Url {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = versions.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let (acceptor, listener) = (TlsAcceptor::from(Arc::new(config)), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let behind = keycloak.url.socket_addrs(|| None).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut inside = acceptor.accept(stream).await.ok()?;
                let mut outside = TcpStream::connect(&*behind).await.ok()?;
                copy_bidirectional(&mut inside, &mut outside).await.ok()
            });
        }
    });
    format!("https://localhost:{port}").parse().unwrap()
}

fn trusting(keycloak: &Keycloak, url: &Url, trust: Option<String>) -> Admin {
    let credentials =
        Credentials::Password { username: keycloak.username.clone(), password: keycloak.password.clone().into() };
    Admin::new(AdminConfig {
        url: url.clone(),
        login_realm: "master".into(),
        credentials,
        trust: trust.map(String::into_bytes),
        limits: Limits::default(),
    })
    .expect("a client")
}

#[tokio::test]
async fn a_private_ca_is_trusted_where_it_is_named_and_only_there() {
    let keycloak = Keycloak::from_env();
    let (ours, another) = (authority(), authority());
    let url = front(&ours, &keycloak).await;
    // A token by this way has the same issuer as any: it is the Admin API over TLS and not a redirect to plain HTTP.
    trusting(&keycloak, &url, Some(ours.pem())).check().await.expect("trusted");
    // The new CA beside the old one, while it is changed.
    trusting(&keycloak, &url, Some(format!("{}{}", another.pem(), ours.pem()))).check().await.expect("trusted");
    for trust in [None, Some(another.pem())] {
        let error = trusting(&keycloak, &url, trust).check().await.unwrap_err();
        assert!(error.is_out_of_reach(), "{error}");
        let message = error.to_string();
        assert!(message.contains("not trusted") && message.contains("CA"), "{message}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let keycloak = Keycloak::from_env();
    let ours = authority();
    let mut url = front(&ours, &keycloak).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    let error: ApiError = trusting(&keycloak, &url, Some(ours.pem())).check().await.unwrap_err();
    assert!(error.to_string().contains("not trusted"), "{error}");
}
