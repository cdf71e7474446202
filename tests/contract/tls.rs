//! Keycloak behind TLS with a private CA: `spec.trust` is what makes it good, and nothing else does.

use std::net::{IpAddr, Ipv4Addr};

use keywire::keycloak::{Admin, AdminConfig, ApiError, Credentials, Limits};
use url::Url;

use crate::front::{Authority, Front, authority};
use crate::keycloak::Keycloak;

async fn front(authority: &Authority, keycloak: &Keycloak) -> Url {
    Front::start(authority, "localhost", IpAddr::V4(Ipv4Addr::LOCALHOST), &keycloak.url).await.url
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
