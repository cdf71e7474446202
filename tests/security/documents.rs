//! Policies that come, change, break and go.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Answer, Connection, call},
    issuer::Issuer,
    operator::Operator,
    proxy::{ENDPOINT, LABELER, Proxy, Setup, policy},
    until,
};

const PATH: &str = "/v2/models/iris/infer";

async fn infer(proxy: &Proxy, token: &str) -> Answer {
    call(proxy.guard_address(), "POST", PATH, Some(token)).await
}

fn numbered(document: &Value, number: u64) -> Value {
    let mut document = document.clone();
    document["number"] = json!(number);
    document
}

#[tokio::test]
async fn without_a_policy_nothing_passes() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::guard(None, &[]);
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    for path in [PATH, "/v2/health/live", "/hello"] {
        let answer = call(proxy.guard_address(), "GET", path, Some(&token)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (503, "policy_missing"), "{path}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(proxy.admin("/livez").await.status, 200);
    let ready = proxy.admin("/readyz").await;
    assert_eq!((ready.status, ready.body.trim()), (503, "waiting for: guard policy"));
    // The ConfigMap arrives.
    proxy.write("guard/guard.json", &proxy.with_ports(&policy(&issuer, &app)).to_string());
    proxy.until_ready().await;
    assert_eq!(infer(&proxy, &token).await.status, 200);
}

#[tokio::test]
async fn a_broken_file_leaves_the_last_good_policy_and_says_so() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    assert_eq!(infer(&proxy, &token).await.status, 200);
    let good = proxy.with_ports(&policy(&issuer, &app));
    let mut unknown = numbered(&good, 200);
    unknown["grant"] = json!([]);
    let mut other = numbered(&good, 200);
    other["endpoint"]["name"] = json!("other");
    let mut rule = numbered(&good, 200);
    rule["rules"] = json!([{"path": "no-slash", "access": "public"}]);
    for (text, reason) in [
        ("{".to_owned(), "malformed"),
        (unknown.to_string(), "malformed"),
        (other.to_string(), "wrong_object"),
        (rule.to_string(), "rule"),
    ] {
        let metric = format!("keywire_documents_total{{half=\"guard\",result=\"{reason}\"}}");
        let before = proxy.metric(&metric).await;
        proxy.write("guard/guard.json", &text);
        until(reason, || async { proxy.metric(&metric).await > before }).await;
        assert_eq!(infer(&proxy, &token).await.status, 200, "{reason}");
    }
    proxy.remove("guard/guard.json");
    proxy.write("guard/guard.json", &numbered(&good, 201).to_string());
    until("the next number", || async { proxy.metric("keywire_guard_policy_number").await == 201.0 }).await;
}

#[tokio::test]
async fn a_revocation_is_pushed_and_the_cache_does_not_outlive_it() {
    let (issuer, app, operator) = (Issuer::start().await, App::start().await, Operator::start().await);
    let mut proxy = Proxy::prepare();
    proxy.trust(&operator);
    let granted = proxy.with_ports(&policy(&issuer, &app));
    proxy.write("guard/guard.json", &granted.to_string());
    proxy.start(&Setup { guard: true, stream: Some(operator.url()), ..Setup::default() });
    proxy.until_ready().await;
    let token = issuer.token(ENDPOINT, LABELER, &["read", "predict"], proxy.now());
    let request =
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n");
    let mut connection = Connection::open(proxy.guard_address()).await;
    connection.send(request.as_bytes()).await;
    assert_eq!(connection.answer().await.map(|a| a.status), Some(200));
    until("the stream's request", || async { !operator.asked.borrow().is_empty() }).await;
    assert_eq!(operator.asked.borrow()[0], "/v1/guard/vision/iris?after=100");

    let at = |number: f64| {
        let proxy = &proxy;
        async move { until("the document", || async { proxy.metric("keywire_guard_policy_number").await == number }).await }
    };
    let mut revoked = numbered(&granted, 101);
    revoked["grants"] = json!([]);
    operator.push(&revoked);
    at(101.0).await;
    // The very connection and token that passed before, and new ones.
    connection.send(request.as_bytes()).await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.reason().as_str()), (403, "no_grant"));
    assert_eq!(infer(&proxy, &token).await.reason(), "no_grant");

    // An older document and a heartbeat change nothing; restored with the next number.
    operator.push(&granted);
    operator.push_text("");
    operator.push(&numbered(&granted, 102));
    at(102.0).await;
    assert_eq!(infer(&proxy, &token).await.status, 200);

    operator.push_text("{\"number\": 103, garbage");
    until("the refusal", || async {
        proxy.metric("keywire_documents_total{half=\"guard\",result=\"malformed\"}").await == 1.0
    })
    .await;
    assert_eq!(infer(&proxy, &token).await.status, 200, "a line that does not parse");

    operator.push(&json!({"deleted": true, "number": 104}));
    at(104.0).await;
    let answer = infer(&proxy, &token).await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "endpoint_deleted"));
    assert_eq!(call(proxy.guard_address(), "GET", "/hello", None).await.status, 403, "public routes too");
    // The file of before does not bring it back.
    proxy.write("guard/guard.json", &numbered(&granted, 103).to_string());
    operator.push(&numbered(&granted, 105));
    at(105.0).await;
    // Its issuer is new to the guard, too: the keys are fetched again.
    proxy.until_ready().await;
    assert_eq!(infer(&proxy, &token).await.status, 200, "made anew");
}

#[tokio::test]
async fn the_stream_is_trusted_only_by_its_ca_and_only_with_a_token() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let (operator, impostor) = (Operator::start().await, Operator::start().await);
    let mut proxy = Proxy::prepare();
    proxy.trust(&operator);
    let document = proxy.with_ports(&policy(&issuer, &app));
    impostor.push(&document);
    proxy.start(&Setup { guard: true, stream: Some(impostor.url()), ..Setup::default() });
    let tls = "keywire_policy_streams_total{half=\"guard\",result=\"connect\"}";
    until("the handshake to fail", || async { proxy.metric(tls).await >= 2.0 }).await;
    assert!(impostor.asked.borrow().is_empty(), "the token was shown to an impostor");
    assert_eq!(proxy.admin("/readyz").await.status, 503);

    let mut proxy = Proxy::prepare();
    proxy.trust(&operator);
    operator.push(&proxy.with_ports(&policy(&issuer, &app)));
    proxy.write("tokens/policy", "wrong");
    proxy.start(&Setup { guard: true, stream: Some(operator.url()), ..Setup::default() });
    let refused = "keywire_policy_streams_total{half=\"guard\",result=\"unauthorized\"}";
    until("the refusal", || async { proxy.metric(refused).await >= 1.0 }).await;
    // The kubelet rotates the token; it is read anew.
    proxy.write("tokens/policy", crate::support::operator::TOKEN);
    proxy.until_ready().await;
}

#[tokio::test]
async fn an_operator_that_forgot_the_object_takes_nothing_away() {
    let (issuer, app, operator) = (Issuer::start().await, App::start().await, Operator::start().await);
    operator.forget();
    let mut proxy = Proxy::prepare();
    proxy.trust(&operator);
    proxy.write("guard/guard.json", &proxy.with_ports(&policy(&issuer, &app)).to_string());
    proxy.start(&Setup { guard: true, stream: Some(operator.url()), ..Setup::default() });
    proxy.until_ready().await;
    let missing = "keywire_policy_streams_total{half=\"guard\",result=\"not_found\"}";
    until("the 404", || async { proxy.metric(missing).await >= 2.0 }).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    assert_eq!(infer(&proxy, &token).await.status, 200);
}

#[tokio::test]
async fn a_port_that_only_the_document_names_is_bound_when_it_arrives() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::guard(None, &[]);
    let mut document = proxy.with_ports(&policy(&issuer, &app));
    let extra = crate::support::proxy::free_port();
    let listener = json!({"name": "extra", "listen": extra, "upstream": app.address.port()});
    document["listeners"].as_array_mut().expect("listeners").push(listener);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], extra));
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    proxy.write("guard/guard.json", &document.to_string());
    proxy.until_ready().await;
    assert_eq!(call(address, "GET", "/v2/health/live", None).await.status, 200);
    assert_eq!(call(address, "GET", "/v2", None).await.status, 401);
}

#[tokio::test]
async fn a_grant_ends_at_its_time() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let end = crate::support::issuer::now() + 100;
    let proxy = Proxy::ready(&issuer, &app, |policy| policy["grants"][0]["expiresAt"] = json!(end)).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    proxy.clock.store(end - 1, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(infer(&proxy, &token).await.status, 200);
    proxy.advance(1);
    let answer = infer(&proxy, &token).await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "grant_expired"));
}

#[tokio::test]
async fn a_role_without_a_grant_and_a_grant_without_a_role_are_nothing() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let with = |client: &str, roles: &[&str]| issuer.token(ENDPOINT, client, roles, proxy.now());
    for (token, status, reason) in [
        (with(LABELER, &["predict"]), 200, ""),
        (with(LABELER, &["read"]), 403, "role_missing"),
        (with(LABELER, &[]), 403, "role_missing"),
        (with("visitor.agents.workload", &["predict", "admin"]), 403, "no_grant"),
    ] {
        let answer = infer(&proxy, &token).await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason));
    }
}

#[tokio::test]
async fn a_port_that_the_policy_does_not_name_is_closed_in_effect() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut document = policy(&issuer, &app);
    document["listeners"] = json!([]);
    let proxy = Proxy::guard(Some(&document), &[]);
    proxy.until_ready().await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    let answer = infer(&proxy, &token).await;
    assert_eq!((answer.status, answer.reason().as_str()), (503, "port_not_served"));
}

#[tokio::test]
async fn the_admin_port_shows_no_secret() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    assert_eq!(infer(&proxy, &token).await.status, 200);
    for path in ["/config", "/metrics", "/readyz", "/livez"] {
        let answer = proxy.admin(path).await;
        assert_eq!(answer.status, 200, "{path}");
        for secret in [token.as_str(), "the.assertion.itself", crate::support::operator::TOKEN] {
            assert!(!answer.body.contains(secret), "{path}");
        }
    }
    assert!(proxy.admin("/config").await.body.contains("\"number\":100"));
    assert_eq!(proxy.admin("/else").await.status, 404);
}
