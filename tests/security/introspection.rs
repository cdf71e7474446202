//! Endpoints whose tokens count only while the issuer says so.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Answer, call},
    issuer::{Issuer, TokenAnswer},
    proxy::{ENDPOINT, LABELER, Proxy},
    until,
};

const PATH: &str = "/v2/models/iris/infer";

fn introspected(policy: &mut Value, issuer: &Issuer) {
    policy["introspection"] = json!({"url": format!("{}/introspect", issuer.token_url())});
}

fn says(issuer: &Issuer, status: u16, active: &Value) {
    issuer.set_answer(TokenAnswer::Plain(status, json!({"active": active})));
}

async fn infer(proxy: &Proxy, token: &str) -> Answer {
    call(proxy.guard_address(), "POST", PATH, Some(token)).await
}

#[tokio::test]
async fn a_session_that_ends_takes_its_tokens_along() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| introspected(policy, &issuer)).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    says(&issuer, 200, &json!(true));
    for _ in 0..4 {
        assert_eq!(infer(&proxy, &token).await.status, 200);
    }
    assert_eq!(issuer.token_fetches(), 1, "all workers believe one answer");
    let form = issuer.forms().remove(0);
    assert!(
        form.contains(&format!("token={token}&")) && form.contains("client_assertion=the.assertion.itself"),
        "{form}"
    );
    says(&issuer, 200, &json!(false));
    proxy.advance(4);
    assert_eq!(infer(&proxy, &token).await.status, 200, "believed for five seconds");
    proxy.advance(1);
    for _ in 0..3 {
        let answer = infer(&proxy, &token).await;
        assert_eq!((answer.status, answer.reason().as_str()), (401, "token_invalid"));
    }
    assert_eq!(issuer.token_fetches(), 2);
    assert!(proxy.metric("keywire_guard_requests_total{decision=\"denied\",reason=\"token_inactive\"").await >= 3.0);
    assert_eq!(app.heads().len(), 5);
}

#[tokio::test]
async fn no_word_is_no_and_nobody_is_asked_about_what_was_invented() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| introspected(policy, &issuer)).await;
    says(&issuer, 200, &json!(true));
    let good = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    assert_eq!(infer(&proxy, &format!("{good}A")).await.status, 401);
    assert_eq!(infer(&proxy, "x").await.status, 401);
    assert_eq!(call(proxy.guard_address(), "POST", PATH, None).await.status, 401);
    assert_eq!(call(proxy.guard_address(), "GET", "/hello", None).await.status, 200, "public");
    assert_eq!(issuer.token_fetches(), 0);
    for (status, active) in [(401, json!(true)), (500, json!(true)), (200, json!("true")), (200, Value::Null)] {
        says(&issuer, status, &active);
        proxy.advance(6);
        let answer = infer(&proxy, &good).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "introspection_unavailable"), "{status} {active}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(app.heads().len(), 1);
}

#[tokio::test]
async fn one_question_at_a_time_for_one_token() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| introspected(policy, &issuer)).await;
    says(&issuer, 200, &json!(true));
    issuer.hold_tokens();
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    let calls = async { futures_of(&proxy, &token).await };
    let release = async {
        until("the question", || async { issuer.token_fetches() >= 1 }).await;
        issuer.release_tokens();
    };
    let (statuses, ()) = tokio::join!(calls, release);
    assert_eq!(statuses, [200; 4]);
    assert_eq!(issuer.token_fetches(), 1);
}

async fn futures_of(proxy: &Proxy, token: &str) -> [u16; 4] {
    let ask = || async { infer(proxy, token).await.status };
    let (a, b, c, d) = tokio::join!(ask(), ask(), ask(), ask());
    [a, b, c, d]
}
