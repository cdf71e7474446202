//! A client that asks for too much, in number or in bytes.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Answer, Connection, call},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy, policy},
    until,
};

const PATH: &str = "/v2/models/iris/infer";
const OTHER: &str = "other.agents.workload";

fn limited(policy: &mut Value, limits: Value) {
    policy["limits"] = limits;
    let grant = json!({"name": "other", "subject": {"client": OTHER}, "permissions": ["predict"]});
    policy["grants"].as_array_mut().expect("grants").push(grant);
}

async fn infer(proxy: &Proxy, token: &str) -> Answer {
    call(proxy.guard_address(), "POST", PATH, Some(token)).await
}

#[tokio::test]
async fn a_rate_is_one_clients_and_all_workers() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let rate = json!({"requestsPerSecond": 2, "burst": 3});
    let proxy = Proxy::ready(&issuer, &app, |policy| limited(policy, rate)).await;
    let token = |client: &str, roles: &[&str]| issuer.token(ENDPOINT, client, roles, proxy.now());
    // Two tokens of one client, each on both workers; the clock stands still.
    let (one, two) = (token(LABELER, &["predict"]), token(LABELER, &["read", "predict"]));
    for token in [&one, &two, &one] {
        assert_eq!(infer(&proxy, token).await.status, 200);
    }
    for token in [&one, &two, &one, &two] {
        let answer = infer(&proxy, token).await;
        assert_eq!((answer.status, answer.reason().as_str()), (429, "rate_limited"));
        assert_eq!(
            (answer.header("retry-after"), answer.header("x-keywire-reason")),
            (Some("1"), Some("rate_limited"))
        );
    }
    assert_eq!(infer(&proxy, &token(OTHER, &["predict"])).await.status, 200, "another client");
    assert_eq!(infer(&proxy, &token("stranger", &["predict"])).await.status, 403, "one without a grant has no rate");
    assert_eq!(call(proxy.guard_address(), "GET", "/hello", None).await.status, 200, "nobody's call");
    assert_eq!(app.heads().len(), 5, "what was over the limit did not go on");
    assert!(proxy.metric("keywire_guard_requests_total{decision=\"limited\",reason=\"rate_limited\"").await >= 4.0);
    proxy.advance(1);
    for status in [200, 200, 429] {
        assert_eq!(infer(&proxy, &one).await.status, status);
    }
}

#[tokio::test]
async fn a_call_is_in_progress_until_its_answer_ends() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| limited(policy, json!({"concurrent": 1}))).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    for _ in 0..3 {
        assert_eq!(infer(&proxy, &token).await.status, 200, "one after the other");
    }
    // An answer that has begun and does not end.
    app.script("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    let mut open = Connection::open(proxy.guard_address()).await;
    let request =
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n");
    open.send(request.as_bytes()).await;
    assert_eq!(open.answer().await.map(|answer| answer.status), Some(200));
    assert!(open.read_until("hello").await);
    for _ in 0..3 {
        let answer = infer(&proxy, &token).await;
        assert_eq!((answer.status, answer.reason().as_str()), (429, "too_many_requests_at_once"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let other = issuer.token(ENDPOINT, OTHER, &["predict"], proxy.now());
    assert_eq!(infer(&proxy, &other).await.status, 200, "another client");
    drop(open);
    until("the place to come back", || async { infer(&proxy, &token).await.status == 200 }).await;
}

#[tokio::test]
async fn a_limit_is_said_in_the_protocols_words() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        limited(policy, json!({"requestsPerSecond": 1}));
        policy["protocol"] = json!("OpenAI");
    })
    .await;
    let token = issuer.token(ENDPOINT, LABELER, &["read"], proxy.now());
    let models = async || call(proxy.guard_address(), "GET", "/open/x", Some(&token)).await;
    assert_eq!(models().await.status, 200);
    let answer = models().await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (429, &json!("rate_limited")));
}

/// The budget is of what has come: two bodies that do not fit together are not both held.
#[tokio::test]
async fn bodies_held_at_once_have_a_budget() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut document = policy(&issuer, &app);
    document["protocol"] = json!("OpenAI");
    let proxy = Proxy::guard(Some(&document), &["--body-memory", "16"]);
    proxy.until_ready().await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    let body = format!("{{\"model\":\"iris\",\"x\":\"{}\"}}", "a".repeat(10 << 20));
    let fields = format!(
        "Host: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}",
        body.len()
    );
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\n{fields}\r\n\r\n");
    let mut first = Connection::open(proxy.guard_address()).await;
    first.send(head.as_bytes()).await;
    first.send(&body.as_bytes()[..body.len() - 1]).await;
    until("the body to be held", || async { proxy.metric("keywire_guard_bodies_bytes").await > f64::from(9 << 20) })
        .await;
    let mut second = Connection::open(proxy.guard_address()).await;
    second.send(head.as_bytes()).await;
    second.send(body.as_bytes()).await;
    let answer = second.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.header("x-keywire-reason")), (503, Some("bodies_full")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(app.heads().len(), 0);
    first.send(b"}").await;
    assert_eq!(first.answer().await.map(|answer| answer.status), Some(200));
    until("the memory to be free", || async { proxy.metric("keywire_guard_bodies_bytes").await == 0.0 }).await;
    let mut third = Connection::open(proxy.guard_address()).await;
    third.send(head.as_bytes()).await;
    third.send(body.as_bytes()).await;
    assert_eq!(third.answer().await.map(|answer| answer.status), Some(200));
}
