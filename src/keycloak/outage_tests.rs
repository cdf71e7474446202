//! Keycloak away, silent or overwhelmed, with thousands of callers that want something of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use secrecy::SecretString;
use serde_json::json;
use tokio::task::JoinSet;

use super::admin::{Admin, Limits};
use super::assertion::AssertionSource;
use super::credentials::Credentials;
use super::error::ApiError;
use super::login_error::LoginError;
use super::testing::{Fake, Received, Reply, login};
use super::transport::{Timeouts, TransportError};

/// Objects that are looked at while Keycloak is away.
const CROWD: usize = 5000;
/// How long the fake server is waited for: far longer than it takes to answer, far shorter than a test may take.
const IMPATIENT: Duration = Duration::from_millis(500);

fn is_login(request: &Received) -> bool {
    request.line.contains("/protocol/openid-connect/token")
}

fn realm() -> Reply {
    Reply::Answer(200, "", json!({"realm": "ml"}).to_string())
}

/// Everyone asks at once; the errors of those who failed.
async fn crowd(admin: &Admin) -> Vec<ApiError> {
    crowd_of(CROWD, admin).await
}

async fn crowd_of(size: usize, admin: &Admin) -> Vec<ApiError> {
    let mut calls = JoinSet::new();
    for _ in 0..size {
        let realm = admin.realm("ml");
        calls.spawn(async move { realm.get_realm().await });
    }
    let mut errors = Vec::new();
    while let Some(result) = calls.join_next().await {
        errors.extend(result.unwrap().err());
    }
    errors
}

/// A script for a server that can be switched off, and the switch.
fn mortal(dead: fn() -> Reply) -> (Arc<AtomicBool>, impl Fn(usize, &Received) -> Reply) {
    let alive = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&alive);
    let script = move |count: usize, request: &Received| match alive.load(Ordering::SeqCst) {
        false => dead(),
        true if is_login(request) => login(count, 60),
        true => realm(),
    };
    (switch, script)
}

#[tokio::test]
async fn a_server_that_never_answers_is_asked_once_for_all() {
    let fake = Fake::start(|_, _| Reply::Silence).await;
    let admin = fake.impatient_admin(IMPATIENT);
    let errors = crowd(&admin).await;
    assert_eq!(errors.len(), CROWD);
    assert!(errors.iter().all(ApiError::is_out_of_reach), "{:?}", errors.first());
    // One login for all who waited for it; whoever came after it had ended may have tried again.
    let sent = fake.received("").len();
    assert!(sent <= 4, "{sent} requests");
}

#[tokio::test]
async fn a_server_that_falls_silent_costs_no_more_than_was_in_flight() {
    let (alive, script) = mortal(|| Reply::Silence);
    let fake = Fake::start(script).await;
    let admin = fake.impatient_admin(IMPATIENT);
    admin.realm("ml").get_realm().await.unwrap();
    let before = fake.received("").len();
    alive.store(false, Ordering::SeqCst);
    let errors = crowd(&admin).await;
    assert_eq!(errors.len(), CROWD);
    assert!(errors.iter().all(ApiError::is_out_of_reach), "{:?}", errors.first());
    assert!(*admin.is_down().borrow());
    // Eight in flight, and a probe or two while those who may repeat did so.
    let sent = fake.received("").len() - before;
    assert!(sent <= Limits::default().concurrent + 4, "{sent} requests");
}

#[tokio::test]
async fn its_death_and_its_return_are_told() {
    let (alive, script) = mortal(|| Reply::HangUp);
    let fake = Fake::start(script).await;
    let admin = fake.impatient_admin(IMPATIENT);
    let mut is_down = admin.is_down();
    admin.realm("ml").get_realm().await.unwrap();
    alive.store(false, Ordering::SeqCst);
    crowd(&admin).await;
    assert!(*is_down.borrow_and_update());
    let error = admin.check().await.unwrap_err();
    assert!(matches!(&error, ApiError::Unreachable(TransportError::Paused { .. })), "{error:?}");
    alive.store(true, Ordering::SeqCst);
    while admin.realm("ml").get_realm().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_down.has_changed().unwrap() && !*is_down.borrow());
}

#[tokio::test]
async fn an_answer_that_never_ends_is_given_up() {
    let fake = Fake::start(|count, request| match is_login(request) {
        true => login(count, 60),
        false => Reply::Trickle,
    })
    .await;
    let error = fake.impatient_admin(IMPATIENT).realm("ml").get_realm().await.unwrap_err();
    assert!(error.is_out_of_reach() && error.to_string().contains("did not answer in time"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_asks_for_patience_gets_it_from_everyone() {
    let fake = Fake::start(|count, request| match is_login(request) {
        true => login(count, 60),
        false => Reply::Answer(429, "retry-after: 30\r\n", String::new()),
    })
    .await;
    let admin = fake.admin_with(Fake::credentials(), Limits::default(), Timeouts::default());
    let errors = crowd(&admin).await;
    let throttled = |error: &ApiError| matches!(error, ApiError::Throttled { .. });
    assert!(errors.iter().all(throttled), "{:?}", errors.iter().find(|error| !throttled(error)));
    assert_eq!(errors.len(), CROWD);
    let sent = fake.received("/admin").len();
    assert!(sent <= Limits::default().concurrent, "{sent} requests");
    assert!(!*admin.is_down().borrow(), "it is busy, not dead");
    let error = admin.check().await.unwrap_err();
    assert!(!error.is_out_of_reach() && error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn tokens_that_are_never_accepted_make_no_login_storm() {
    let fake = Fake::start(|count, request| match is_login(request) {
        true => login(count, 60),
        false => Reply::Answer(401, "", String::new()),
    })
    .await;
    // As fast as they go: the refusal is remembered for a few seconds only.
    let admin = fake.admin();
    let first = admin.realm("ml").get_realm().await.unwrap_err();
    assert!(matches!(first, ApiError::Unauthorized { .. }), "{first:?}");
    let sent = fake.received("").len();
    // While the refusal is remembered, nobody asks again.
    let errors = crowd_of(500, &admin).await;
    assert_eq!(errors.len(), 500);
    let refused = |error: &ApiError| matches!(error, ApiError::Login(LoginError::TokenRefused { .. }));
    assert!(errors.iter().all(refused), "{:?}", errors.iter().find(|error| !refused(error)));
    assert_eq!(fake.received("").len(), sent, "requests after the refusal");
}

#[derive(Debug)]
struct Rotated;

impl AssertionSource for Rotated {
    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, LoginError>> {
        Box::pin(async { Ok("by-the-new-key".into()) })
    }

    fn spare(&self) -> Option<SecretString> {
        Some("by-the-old-key".into())
    }
}

#[tokio::test]
async fn an_earlier_assertion_is_the_way_in_after_a_rotation() {
    let fake = Fake::start(|count, request| match (is_login(request), request.body.contains("by-the-old-key")) {
        (true, true) => login(count, 60),
        (true, false) => Reply::Answer(401, "", json!({"error": "invalid_client"}).to_string()),
        (false, _) => realm(),
    })
    .await;
    let credentials = Credentials::KubernetesToken { client_id: "operator".into(), token: Arc::new(Rotated) };
    let admin = fake.admin_with(credentials, Limits::default(), Timeouts::default());
    admin.realm("ml").get_realm().await.unwrap();
    assert_eq!(fake.received("/token").len(), 2);
}

#[tokio::test]
async fn two_accounts_share_the_server_and_not_the_login() {
    let fake = Fake::start(|count, request| if is_login(request) { login(count, 60) } else { realm() }).await;
    let of_server = fake.admin();
    let of_realm = of_server.logged_in_at("ml", Fake::credentials());
    of_server.realm("ml").get_realm().await.unwrap();
    of_realm.realm("ml").get_realm().await.unwrap();
    assert_eq!(fake.received("/realms/master/protocol").len(), 1);
    assert_eq!(fake.received("/realms/ml/protocol").len(), 1);
    assert!(of_server.is_down().same_channel(&of_realm.is_down()), "one breaker");
}
