//! Ways to log in besides a ServiceAccount token, and a realm that the operator logs in at by itself.

use std::sync::Arc;

use keywire::keycloak::{ApiError, Credentials, LoginError, SigningKey};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, SignatureAlgorithm};
use serde_json::json;

use crate::keycloak::{Keycloak, Raw, SECRET, TestRealm, in_realm};

/// A client that authenticates by a certificate's key, and that key.
async fn signing_client(test: &TestRealm, client_id: &str, kind: &'static SignatureAlgorithm) -> KeyPair {
    let key = KeyPair::generate_for(kind).unwrap();
    let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    let lines: String = certificate.lines().filter(|line| !line.starts_with("-----")).collect();
    let body = json!({"clientId": client_id, "serviceAccountsEnabled": true, "publicClient": false,
        "standardFlowEnabled": false, "clientAuthenticatorType": "client-jwt",
        "attributes": {"jwt.credential.certificate": lines}});
    assert_eq!(test.raw.post("/clients", &body).await.0, 201);
    key
}

fn signed_by(test: &TestRealm, client_id: &str, key: &KeyPair, audience: &str) -> keywire::keycloak::Admin {
    let key = SigningKey::from_pem(&key.serialize_pem().into(), None).unwrap();
    let (client_id, audience) = (client_id.to_owned(), audience.to_owned());
    test.keycloak.admin_with(&test.name, Credentials::PrivateKeyJwt { client_id, key: Arc::new(key), audience })
}

#[tokio::test]
async fn a_private_key_logs_in_again_and_again() {
    in_realm(|test| async move {
        let audience = test.issuer().await;
        for (client_id, kind) in
            [("rsa", &PKCS_RSA_SHA256), ("p256", &PKCS_ECDSA_P256_SHA256), ("ed25519", &PKCS_ED25519)]
        {
            let key = signing_client(&test, client_id, kind).await;
            let admin = signed_by(&test, client_id, &key, &audience);
            admin.check().await.unwrap_or_else(|error| panic!("{client_id}: {error}"));
            // Each assertion is used once: another login takes another one.
            admin.realm(&test.name).held_roles(true).await.unwrap_or_else(|error| panic!("{client_id}: {error}"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_key_or_audience_is_said_without_the_key() {
    in_realm(|test| async move {
        let audience = test.issuer().await;
        let key = signing_client(&test, "operator", &PKCS_RSA_SHA256).await;
        let other = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let error = signed_by(&test, "operator", &other, &audience).check().await.unwrap_err();
        assert!(matches!(&error, ApiError::Login(LoginError::SignatureRefused { .. })), "{error}");
        let elsewhere = signed_by(&test, "operator", &key, "https://elsewhere.example").check().await.unwrap_err();
        assert!(elsewhere.to_string().contains("https://elsewhere.example"), "{elsewhere}");
        for error in [error, elsewhere] {
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("operator") && !shown.contains("PRIVATE"), "{shown}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_realm_of_its_own_login_needs_no_right_elsewhere() {
    in_realm(|test| async move {
        let raw = test.raw.clone();
        let body = json!({"clientId": "of-the-realm", "secret": SECRET, "serviceAccountsEnabled": true,
            "publicClient": false, "standardFlowEnabled": false});
        assert_eq!(raw.post("/clients", &body).await.0, 201);
        let client = test.realm.find_client("of-the-realm").await.unwrap().unwrap().reference().id;
        let account = test.realm.get_service_account(&client).await.unwrap().id;
        let management = test.realm.find_client("realm-management").await.unwrap().unwrap().reference().id;
        let role = test.realm.get_client_role(&management, "manage-clients").await.unwrap();
        test.realm.map_client_roles(&account, &management, &[role]).await.unwrap();
        // The server's own account cannot even log in.
        let of_server = test
            .keycloak
            .admin_with("master", Credentials::ClientSecret { client_id: "nobody".into(), secret: "wrong".into() });
        let of_realm = of_server.logged_in_at(
            &test.name,
            Credentials::ClientSecret { client_id: "of-the-realm".into(), secret: SECRET.into() },
        );
        of_realm.realm(&test.name).reconcile_endpoint(&test.endpoint("resnet", &["read"])).await.unwrap();
        let error = of_server.realm(&test.name).list_clients(0, 1).await.unwrap_err();
        assert!(matches!(error, ApiError::Login(_)), "{error}");
        let error = of_realm.realm("master").list_clients(0, 1).await.unwrap_err();
        assert!(matches!(error, ApiError::Forbidden { .. } | ApiError::Unauthorized { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_head_request_tells_of_life_and_login_without_a_body() {
    let keycloak = Keycloak::from_env();
    let raw = Raw::log_in(&keycloak, "/master").await;
    let (status, length) = raw.head("").await;
    assert_eq!((status, length), (200, 0));
    assert_eq!(raw.with_token("no token of theirs").head("").await.0, 401);
}
