//! Logging in, and what is said when that fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keywire::keycloak::{ApiError, Credentials, LoginError, TokenFile};

use crate::issuer::Issuer;
use crate::keycloak::{Keycloak, admin_at, in_realm, unique};

fn password(password: &str) -> Credentials {
    Credentials::Password { username: "nobody".into(), password: password.into() }
}

#[tokio::test]
async fn the_check_says_the_version() {
    let check = Keycloak::from_env().admin().check().await.unwrap();
    assert_eq!(check.federated_login, Some(true), "workloads and the operator log in by it");
    let version = check.version;
    assert!(version.as_deref().is_some_and(|version| version.starts_with("26.")), "{version:?}");
}

#[tokio::test]
async fn wrong_credentials_are_said_once_and_not_hammered() {
    let admin = Keycloak::from_env().admin_with("master", password("hunter2"));
    let error = admin.check().await.unwrap_err();
    assert!(matches!(error, ApiError::Login(LoginError::WrongCredentials { .. })), "{error}");
    assert!(error.to_string().contains("nobody") && !format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    let start = Instant::now();
    for _ in 0..200 {
        assert!(admin.check().await.is_err());
    }
    assert!(start.elapsed() < Duration::from_secs(1), "no request for each: {:?}", start.elapsed());
}

#[tokio::test]
async fn a_missing_login_realm_is_named() {
    let realm = unique("nowhere");
    let error = Keycloak::from_env().admin_with(&realm, password("x")).check().await.unwrap_err();
    assert!(matches!(&error, ApiError::Login(LoginError::RealmMissing { realm: named }) if *named == realm), "{error}");
}

#[tokio::test]
async fn a_wrong_path_is_not_keycloak() {
    let keycloak = Keycloak::from_env();
    let admin = admin_at(keycloak.url.join("auth").unwrap(), "master", password("x"));
    let error = admin.check().await.unwrap_err();
    assert!(error.to_string().contains("correct the"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_down_fails_fast() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let admin = admin_at(format!("http://{closed}").parse().unwrap(), "master", password("x"));
    let start = Instant::now();
    for _ in 0..50 {
        let error = admin.check().await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn tls_without_trust_is_told_from_no_connection() {
    // Plain HTTP is no TLS handshake either.
    let mut url = Keycloak::from_env().url;
    if url.set_scheme("https").is_err() || url.port().is_none() {
        panic!("KEYCLOAK_URL has a port and speaks plain HTTP in this test");
    }
    let error = admin_at(url, "master", password("x")).check().await.unwrap_err();
    assert!(error.to_string().contains("not trusted"), "{error}");
}

#[tokio::test]
async fn a_refused_kubernetes_token_is_diagnosed_without_being_shown() {
    in_realm(|test| async move {
        let cluster = Issuer::new(&test.name);
        let desired = test.workload("operator", &[]);
        test.realm.reconcile_workload(&desired).await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let token_path = directory.path().join("token");
        let token = cluster.token("system:serviceaccount:agents:operator", &test.issuer().await);
        std::fs::write(&token_path, secrecy::ExposeSecret::expose_secret(&token)).unwrap();
        let credentials = Credentials::KubernetesToken {
            client_id: desired.client_id.clone(),
            token: Arc::new(TokenFile(token_path)),
        };
        let admin = test.keycloak.admin_with(&test.name, credentials);
        let error = admin.check().await.unwrap_err();
        assert!(matches!(&error, ApiError::Login(LoginError::AssertionRefused { .. })), "{error}");
        let message = format!("{error} {error:?}");
        assert!(message.contains(&cluster.url) && message.contains("agents:operator"), "{message}");
        let signature = secrecy::ExposeSecret::expose_secret(&token).rsplit('.').next().unwrap().to_owned();
        assert!(!message.contains(&signature), "the token itself is not shown");
    })
    .await;
}
