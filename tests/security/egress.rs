//! The outbound half: one token for one endpoint, and a clear word when there is none.

use serde_json::json;

use crate::support::{
    app::App,
    client::{Answer, call, raw},
    issuer::{Issuer, TokenAnswer},
    keys,
    operator::Operator,
    proxy::{ENDPOINT, LABELER, Proxy, Setup, egress, policy},
    until,
};

const PATH: &str = "/v2/models/iris/infer";

fn grant(roles: &[&str]) -> TokenAnswer {
    granted_for(roles, 300)
}

fn granted_for(roles: &[&str], lifetime: i64) -> TokenAnswer {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    TokenAnswer::Grant { endpoint: ENDPOINT.to_owned(), client: LABELER.to_owned(), roles, lifetime }
}

/// An egress half whose one target is the application itself: what it gets is seen.
async fn bare(issuer: &Issuer, app: &App) -> Proxy {
    let mut proxy = Proxy::prepare();
    proxy.write("egress/egress.json", &proxy.with_ports(&egress(issuer, app.address)).to_string());
    proxy.start(&Setup { egress: true, ..Setup::default() });
    proxy.until_ready().await;
    proxy
}

async fn out(proxy: &Proxy) -> Answer {
    call(proxy.egress_address(), "POST", PATH, None).await
}

#[tokio::test]
async fn the_call_leaves_with_a_token_for_that_one_endpoint() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&["predict"]));
    let proxy = bare(&issuer, &app).await;
    let bytes = "POST /v2/models/iris/infer?x=%2F HTTP/1.1\r\nHost: 127.0.0.1:15100\r\nAuthorization: Bearer placeholder\r\n\
        X-Keywire-Subject: root\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(raw(proxy.egress_address(), bytes).await.map(|a| a.status), Some(200));
    let head = app.heads().pop().unwrap_or_default();
    assert!(head.starts_with("post /v2/models/iris/infer?x=%2f http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}\r\n", app.address)), "{head}");
    assert_eq!(head.matches("authorization: bearer eyj").count(), 1, "{head}");
    for absent in ["placeholder", "x-keywire-subject", "x-hop", "connection:", "the.assertion"] {
        assert!(!head.contains(absent), "{absent} in {head}");
    }
    let form = issuer.forms().pop().unwrap_or_default();
    for pair in [
        "grant_type=client_credentials",
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
        "client_assertion=the.assertion.itself",
        "scope=iris.vision.endpoint%3Apredict+iris.vision.endpoint%3Aread",
    ] {
        assert!(form.split('&').any(|found| found == pair), "{pair} in {form}");
    }
    assert!(!form.contains("client_id="), "Keycloak 26.5 refuses one beside a ServiceAccount's assertion: {form}");
}

#[tokio::test]
async fn many_calls_one_flight() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&["predict"]));
    issuer.hold_tokens();
    let proxy = bare(&issuer, &app).await;
    let address = proxy.egress_address();
    let calls: Vec<_> =
        (0..20).map(|_| tokio::spawn(async move { call(address, "POST", PATH, None).await.status })).collect();
    until("the token request", || async { issuer.token_fetches() == 1 }).await;
    until("all calls to wait", || async { proxy.metric("keywire_connections").await == 20.0 }).await;
    issuer.release_tokens();
    for call in calls {
        assert_eq!(call.await.ok(), Some(200));
    }
    assert_eq!(issuer.token_fetches(), 1);
}

#[tokio::test]
async fn without_a_grant_the_application_is_told_so_and_a_new_one_works() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&[]));
    let proxy = bare(&issuer, &app).await;
    let answer = out(&proxy).await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "not_granted"));
    let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    assert!(
        message.contains("agents/labeler") && message.contains("vision/iris") && message.contains("AccessGrant"),
        "{message}"
    );
    assert!(app.heads().is_empty());
    issuer.set_answer(grant(&["predict"]));
    until("the new grant to work", || async { out(&proxy).await.status == 200 }).await;
}

#[tokio::test]
async fn a_token_for_somebody_else_too_is_never_sent() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let payload = "eyJhdWQiOlsiaXJpcy52aXNpb24uZW5kcG9pbnQiLCJvdGhlciJdfQ";
    let body = json!({"access_token": format!("h.{payload}.s"), "token_type": "Bearer", "expires_in": 300,
        "scope": format!("{ENDPOINT}:predict")});
    issuer.set_answer(TokenAnswer::Plain(200, body));
    let proxy = bare(&issuer, &app).await;
    let answer = out(&proxy).await;
    assert_eq!((answer.status, answer.reason().as_str()), (502, "wrong_audience"));
    assert!(app.heads().is_empty());
}

#[tokio::test]
async fn a_refused_token_is_replaced_once() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&["predict"]));
    let proxy = bare(&issuer, &app).await;
    let unauthorized = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
    app.script(unauthorized);
    assert_eq!(out(&proxy).await.status, 200);
    assert_eq!((issuer.token_fetches(), app.heads().len()), (2, 2));
    let tokens: Vec<_> =
        app.heads().iter().filter_map(|head| head.split("bearer ").nth(1).map(str::to_owned)).collect();
    assert_ne!(tokens[0].split("\r\n").next(), tokens[1].split("\r\n").next(), "the second try has a fresh token");
    // An upstream that never takes any: its answer is passed on, and Keycloak is left alone.
    let (started, before) = (std::time::Instant::now(), issuer.token_fetches());
    for _ in 0..10 {
        // Twice, for a second try that may come.
        app.script(unauthorized);
        app.script(unauthorized);
        assert_eq!(out(&proxy).await.status, 401);
        app.forget_script();
    }
    // One replacement a second, however many calls there are.
    let fetches = issuer.token_fetches() - before;
    assert!(fetches as u64 <= 1 + started.elapsed().as_secs(), "{fetches} fetches in {:?}", started.elapsed());
}

#[tokio::test]
async fn a_body_too_large_to_keep_is_sent_once() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&["predict"]));
    let proxy = bare(&issuer, &app).await;
    for size in [64 * 1024, 64 * 1024 + 1] {
        let before = app.heads().len();
        app.script("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        let request = format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n{}", "x".repeat(size));
        let status = raw(proxy.egress_address(), request).await.map(|answer| answer.status);
        let (expected, tries) = if size <= 64 * 1024 { (200, 2) } else { (401, 1) };
        assert_eq!((status, app.heads().len() - before), (Some(expected), tries), "{size}");
    }
}

#[tokio::test]
async fn keycloak_down_the_last_token_serves_until_it_expires() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&["predict"]));
    let proxy = bare(&issuer, &app).await;
    assert_eq!(out(&proxy).await.status, 200);
    issuer.stop().await;
    proxy.advance(294);
    assert_eq!(out(&proxy).await.status, 200, "past the time to renew, not yet expired");
    proxy.advance(1);
    let answer = out(&proxy).await;
    assert_eq!((answer.status, answer.reason().as_str()), (503, "keycloak_unreachable"));
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_token_is_renewed_ahead() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&["predict"]));
    let proxy = bare(&issuer, &app).await;
    for (seconds, fetches) in [(0, 1), (239, 1), (1, 2)] {
        proxy.advance(seconds);
        assert_eq!(out(&proxy).await.status, 200);
        until("the fetches", || async { issuer.token_fetches() == fetches }).await;
    }
    until("one at a time", || async {
        proxy.metric("keywire_egress_token_fetches_total{name=\"vision/iris\",result=\"issued\"}").await == 2.0
    })
    .await;
}

#[tokio::test]
async fn what_keycloak_refuses_is_said_without_secrets() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = bare(&issuer, &app).await;
    for (answer, status, reason) in [
        (
            TokenAnswer::Plain(401, json!({"error": "invalid_client", "error_description": "the.assertion.itself"})),
            502,
            "identity_refused",
        ),
        (TokenAnswer::Plain(400, json!({"error": "invalid_scope"})), 502, "scope_refused"),
        (TokenAnswer::Plain(500, json!({})), 503, "keycloak_failed"),
        (TokenAnswer::Plain(200, json!({})), 502, "invalid_answer"),
    ] {
        issuer.set_answer(answer);
        until(reason, || async {
            let answer = out(&proxy).await;
            assert!(!answer.body.contains("the.assertion.itself"), "{}", answer.body);
            (answer.status, answer.reason().as_str()) == (status, reason)
        })
        .await;
    }
    proxy.remove("tokens/keycloak");
    until("assertion_missing", || async { out(&proxy).await.reason() == "assertion_missing" }).await;
    assert!(app.heads().is_empty());
}

/// Keycloak does not say why it refuses an assertion. Where its clock is the cause, the application is told.
#[tokio::test]
async fn an_assertion_that_keycloak_takes_for_another_times_is_explained() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = bare(&issuer, &app).await;
    issuer.set_answer(TokenAnswer::Plain(401, json!({"error": "invalid_client"})));
    for (ahead, words) in [(60, "behind the API server's"), (-7260, "ahead of the API server's")] {
        let issued = proxy.now() + ahead;
        let claims = json!({"iat": issued, "nbf": issued, "exp": issued + 7200});
        proxy.write("tokens/keycloak", &keys::token(keys::issuer(), &json!({"alg": "RS256"}), &claims));
        until(words, || async {
            let answer = out(&proxy).await;
            answer.status == 502 && answer.reason() == "clock_skew" && answer.body.contains(words)
        })
        .await;
        let told = out(&proxy).await.body;
        let seconds = told.split("its clock is ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<i64>().ok());
        assert!(seconds.is_some_and(|seconds| (50..=80).contains(&seconds)), "{told}");
    }
}

#[tokio::test]
async fn without_a_document_no_call_goes_out() {
    let mut proxy = Proxy::prepare();
    proxy.start(&Setup { egress: true, ..Setup::default() });
    let answer = out(&proxy).await;
    assert_eq!((answer.status, answer.reason().as_str()), (503, "egress_not_configured"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(proxy.admin("/readyz").await.body.trim(), "waiting for: egress configuration");
}

/// Both halves, an application behind the guard, and an operator that pushes:
/// a grant goes and comes back while the caller keeps calling.
#[tokio::test]
async fn a_grant_that_comes_back_works_at_once() {
    let (issuer, app, operator) = (Issuer::start().await, App::start().await, Operator::start().await);
    let mut proxy = Proxy::prepare();
    proxy.trust(&operator);
    let full = proxy.with_ports(&policy(&issuer, &app));
    proxy.write("guard/guard.json", &full.to_string());
    let document = egress(&issuer, proxy.guard_address());
    proxy.write("egress/egress.json", &proxy.with_ports(&document).to_string());
    proxy.start(&Setup { guard: true, egress: true, stream: Some(operator.url()), ..Setup::default() });
    proxy.until_ready().await;
    issuer.set_answer(grant(&["predict", "read"]));
    assert_eq!(out(&proxy).await.status, 200);

    // Only predict is taken away: in Keycloak and in the policy.
    let mut less = full.clone();
    (less["number"], less["grants"][0]["permissions"]) = (json!(101), json!(["read"]));
    issuer.set_answer(grant(&["read"]));
    operator.push(&less);
    until("the revocation", || async { out(&proxy).await.reason() == "permission_not_granted" }).await;
    let fetches = issuer.token_fetches();
    assert_eq!(fetches, 1, "a missing grant is not mended by a new token");

    // The token runs out meanwhile, and the next one lacks the role.
    proxy.advance(299);
    let read = call(proxy.egress_address(), "GET", "/v2/models/iris", None).await;
    assert_eq!(read.status, 200);
    until("the renewal", || async { issuer.token_fetches() == 2 }).await;

    // Restored: the held token lacks the role, so the first call fetches another and passes.
    let mut again = full.clone();
    again["number"] = json!(102);
    issuer.set_answer(grant(&["predict", "read"]));
    operator.push(&again);
    until("the restored policy", || async { proxy.metric("keywire_guard_policy_number").await == 102.0 }).await;
    let answer = out(&proxy).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(issuer.token_fetches(), 3);
}

#[tokio::test]
async fn a_deleted_identity_makes_no_calls() {
    let (issuer, app, operator) = (Issuer::start().await, App::start().await, Operator::start().await);
    issuer.set_answer(grant(&["predict"]));
    let mut proxy = Proxy::prepare();
    proxy.trust(&operator);
    operator.push(&proxy.with_ports(&egress(&issuer, app.address)));
    proxy.start(&Setup { egress: true, stream: Some(operator.url()), ..Setup::default() });
    proxy.until_ready().await;
    assert_eq!(operator.asked.borrow()[0], "/v1/egress/agents/labeler?after=0");
    assert_eq!(out(&proxy).await.status, 200);
    operator.push(&json!({"deleted": true, "number": 101}));
    until("the deletion", || async { out(&proxy).await.reason() == "identity_deleted" }).await;
    let before = app.heads().len();
    assert_eq!(out(&proxy).await.status, 403);
    assert_eq!(app.heads().len(), before);
}

/// The token for whoever must hold it: asked for in a way that only the application itself can.
#[tokio::test]
async fn the_application_may_have_its_token_where_that_is_offered() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&["predict"]));
    let mut proxy = Proxy::prepare();
    let mut document = proxy.with_ports(&egress(&issuer, app.address));
    document["targets"][0]["offersToken"] = json!(true);
    proxy.write("egress/egress.json", &document.to_string());
    proxy.start(&Setup { egress: true, ..Setup::default() });
    proxy.until_ready().await;
    let ask = async |path: &str, fields: &str| {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:15100\r\n{fields}\r\n");
        raw(proxy.egress_address(), &bytes).await.expect("an answer")
    };
    let given = ask("/.keywire/token", "X-Keywire-Token: request\r\n").await;
    assert_eq!((given.status, given.header("cache-control")), (200, Some("no-store")), "{given:?}");
    let token = given.json()["access_token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("eyJ") && given.json()["token_type"] == "Bearer", "a bearer token");
    let lasts = given.json()["expires_in"].as_i64().expect("seconds");
    assert!((1..=300).contains(&lasts), "{lasts}");
    for fields in ["", "X-Keywire-Token: request\r\nOrigin: http://a.example\r\n"] {
        let refused = ask("/.keywire/token", fields).await;
        assert_eq!((refused.status, refused.header("x-keywire-reason")), (403, Some("token_request")), "{fields}");
    }
    assert!(app.heads().is_empty(), "none of it reaches the endpoint");
    issuer.set_answer(grant(&[]));
    let bare = bare(&issuer, &app).await;
    let bytes = "GET /.keywire/token HTTP/1.1\r\nHost: 127.0.0.1:15100\r\nX-Keywire-Token: request\r\n\r\n";
    let refused = raw(bare.egress_address(), bytes).await.expect("an answer");
    assert_eq!((refused.status, refused.header("x-keywire-reason")), (403, Some("token_not_offered")));
}
