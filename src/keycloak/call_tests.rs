//! Calls under conditions that a real Keycloak cannot be brought into at will.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinSet;

use crate::core::desired::representation::RoleRepresentation;

use super::error::ApiError;
use super::testing::{Fake, Received, Reply, login};

const REALM: &str = "/admin/realms/ml";

fn is_login(request: &Received) -> bool {
    request.line.contains("/realms/master/protocol/openid-connect/token")
}

fn ok() -> Reply {
    Reply::Answer(200, "", json!({"realm": "ml"}).to_string())
}

#[tokio::test]
async fn a_crowd_logs_in_once() {
    let fake = Fake::start(|count, request| if is_login(request) { login(count, 60) } else { ok() }).await;
    let admin = fake.admin();
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let realm = admin.realm("ml");
        calls.spawn(async move { realm.get_realm().await });
    }
    while let Some(result) = calls.join_next().await {
        result.unwrap().unwrap();
    }
    assert_eq!(fake.received("/token").len(), 1);
    assert_eq!(fake.received(REALM).len(), 50);
}

#[tokio::test]
async fn a_login_is_renewed_before_it_ends() {
    let fake = Fake::start(|count, request| if is_login(request) { login(count, 9) } else { ok() }).await;
    let realm = fake.admin().realm("ml");
    realm.get_realm().await.unwrap();
    // Nine seconds less the margin of five.
    tokio::time::sleep(Duration::from_millis(4100)).await;
    realm.get_realm().await.unwrap();
    let used: Vec<_> = fake.received(REALM).into_iter().map(|request| request.authorization).collect();
    assert_eq!(used, ["Bearer token-0", "Bearer token-1"]);
}

#[tokio::test]
async fn a_forgotten_login_is_made_again_once() {
    let fake = Fake::start(|count, request| match is_login(request) {
        true => login(count, 60),
        false if request.authorization == "Bearer token-0" => Reply::Answer(401, "", String::new()),
        false => ok(),
    })
    .await;
    fake.admin().realm("ml").get_realm().await.unwrap();
    assert_eq!(fake.received("/token").len(), 2);

    let fake = Fake::start(|count, request| match is_login(request) {
        true => login(count, 60),
        false => Reply::Answer(401, "", String::new()),
    })
    .await;
    let error = fake.admin().realm("ml").get_realm().await.unwrap_err();
    assert!(matches!(error, ApiError::Unauthorized { .. }), "{error}");
    assert_eq!(fake.received("/token").len(), 2, "no login storm");
}

#[tokio::test]
async fn patience_that_is_asked_for_is_given() {
    let fake = Fake::start(|count, request| match (is_login(request), count) {
        (true, _) => login(count, 60),
        (false, 0) => Reply::Answer(503, "retry-after: 1\r\n", String::new()),
        (false, _) => Reply::Answer(201, "", String::new()),
    })
    .await;
    let start = Instant::now();
    // Not idempotent, but it was not carried out.
    fake.admin().realm("ml").create_realm_role(&RoleRepresentation::default()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
}

#[tokio::test]
async fn too_much_patience_is_an_error() {
    let fake = Fake::start(|count, request| match is_login(request) {
        true => login(count, 60),
        false => Reply::Answer(429, "retry-after: 3600\r\n", String::new()),
    })
    .await;
    let error = fake.admin().realm("ml").get_realm().await.unwrap_err();
    let ApiError::Throttled { retry_after, .. } = error else { panic!("{error}") };
    assert_eq!(retry_after, Some(Duration::from_secs(3600)));
    assert_eq!(fake.received(REALM).len(), 1);
}

#[tokio::test]
async fn only_what_does_no_harm_twice_is_repeated() {
    let fake = Fake::start(|count, request| match (is_login(request), count) {
        (true, _) => login(count, 60),
        (false, 0) => Reply::HangUp,
        (false, _) => ok(),
    })
    .await;
    let realm = fake.admin().realm("ml");
    realm.get_realm().await.unwrap();
    assert_eq!(fake.received(REALM).len(), 2);
    let error = realm.create_realm_role(&RoleRepresentation::default()).await.unwrap_err();
    assert!(matches!(error, ApiError::Timeout { .. }), "{error}");
    assert_eq!(fake.received("POST /admin").len(), 1, "it may have been carried out");
}

#[tokio::test]
async fn a_failure_of_keycloak_is_not_repeated_for_ever() {
    let fake = Fake::start(|count, request| match is_login(request) {
        true => login(count, 60),
        false => Reply::Answer(500, "", json!({"error": "unknown_error"}).to_string()),
    })
    .await;
    let error = fake.admin().realm("ml").get_realm().await.unwrap_err();
    assert_eq!(error.to_string(), "GET /admin/realms/ml: status 500: unknown_error");
    assert!(!error.is_transient());
    assert_eq!(fake.received(REALM).len(), 1);
}

#[tokio::test]
async fn roles_are_mapped_though_another_realm_is_deleted_meanwhile() {
    for (failures, mapped) in [(1, true), (usize::MAX, false)] {
        let fake = Fake::start(move |count, request| match is_login(request) {
            true => login(count, 60),
            false if count < failures => Reply::Answer(500, "", json!({"error": "unknown_error"}).to_string()),
            false => ok(),
        })
        .await;
        let result = fake.admin().realm("ml").map_client_roles("user", "client", &[]).await;
        assert_eq!(result.is_ok(), mapped, "{result:?}");
        assert_eq!(fake.received("POST /admin").len(), if mapped { 2 } else { 4 });
    }
}

#[tokio::test]
async fn a_gateway_without_keycloak_is_left_in_peace() {
    let fake = Fake::start(|_, _| Reply::Answer(502, "", "<html>".to_owned())).await;
    let realm = fake.admin().realm("ml");
    for _ in 0..100 {
        let error = realm.get_realm().await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
    let sent = fake.received("/token").len();
    assert!(sent <= 5, "{sent} requests");
}

#[tokio::test]
async fn no_secret_is_ever_shown() {
    let fake = Fake::start(|_, request| match is_login(request) {
        true => Reply::Answer(401, "", json!({"error": "invalid_client"}).to_string()),
        false => ok(),
    })
    .await;
    let admin = fake.admin();
    let error = admin.realm("ml").get_realm().await.unwrap_err();
    assert!(fake.received("/token")[0].body.contains("client_secret=s3cr3t"));
    for shown in [format!("{error}"), format!("{error:?}"), format!("{admin:?}")] {
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
}

#[tokio::test]
async fn names_are_escaped_and_paths_kept() {
    let fake = Fake::start(|count, request| if is_login(request) { login(count, 60) } else { ok() }).await;
    let realm = fake.admin().realm("a/../b");
    realm.delete_client_role("id", "x/y?z").await.unwrap();
    assert_eq!(fake.received("DELETE")[0].line, "DELETE /admin/realms/a%2F..%2Fb/clients/id/roles/x%2Fy%3Fz");
}

#[tokio::test]
async fn a_name_never_leads_to_the_parent() {
    let fake = Fake::start(|count, request| if is_login(request) { login(count, 60) } else { ok() }).await;
    for name in ["", ".", ".."] {
        let error = fake.admin().realm("ml").delete_client(name).await.unwrap_err();
        assert!(matches!(error, ApiError::Invalid { .. }), "{error}");
    }
    assert!(fake.received("").is_empty());
}

#[tokio::test]
async fn a_list_that_ends_half_way_is_no_list() {
    let provider = |index: usize| json!({"alias": format!("p{index}"), "providerId": "oidc", "enabled": true});
    let page = move |from: usize, to: usize| {
        Reply::Answer(200, "", json!((from..to).map(provider).collect::<Vec<_>>()).to_string())
    };
    let half: [fn() -> Reply; 4] = [
        || Reply::Answer(500, "", String::new()),
        || Reply::Answer(200, "", r#"[{"alias": "p100", "providerId""#.to_owned()),
        || Reply::Answer(200, "", r#"{"error": "try later"}"#.to_owned()),
        || Reply::HangUp,
    ];
    for second in half {
        let fake = Fake::start(move |count, request| match request.line.as_str() {
            line if line.contains("/token") => login(count, 60),
            line if line.contains("first=0") => page(0, 100),
            line if line.contains("first=100") => second(),
            _ => ok(),
        })
        .await;
        let realm = fake.admin().realm("ml");
        assert!(realm.list_identity_providers().await.is_err());
        // What depends on the whole list is not planned, so nothing is written.
        assert!(realm.observe_realm().await.is_err());
        let issuer = crate::core::desired::WorkloadIssuer {
            alias: "p100".into(),
            issuer: "https://main.example".into(),
            jwks: json!({"keys": []}),
            max_assertion_age: crate::core::desired::Seconds(3700),
            cluster_uid: None,
        };
        assert!(realm.follow_issuer(&issuer, "test").await.is_err());
        for method in ["POST /admin", "PUT /admin", "DELETE /admin"] {
            assert!(fake.received(method).is_empty(), "{method}");
        }
    }
    // A page that is not full is the last one; a full one is not.
    let fake = Fake::start(move |count, request| match request.line.as_str() {
        line if line.contains("/token") => login(count, 60),
        line if line.contains("first=0") => page(0, 100),
        line if line.contains("first=100") => page(100, 200),
        _ => page(200, 200),
    })
    .await;
    assert_eq!(fake.admin().realm("ml").list_identity_providers().await.unwrap().len(), 200);
}
