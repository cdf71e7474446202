//! Calls from pages of other origins: the policy decides, neither the page nor the application.

use serde_json::{Value, json};

use crate::support::{
    app::{App, EVENTS},
    client::{Answer, Connection, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

const CHAT: &str = "https://chat.example";
const PATH: &str = "/v2/models/iris/infer";

fn chat(policy: &mut Value) {
    policy["cors"] = json!({"origins": [CHAT]});
}

async fn preflight(proxy: &Proxy, path: &str, fields: &str) -> Answer {
    let request = format!("OPTIONS {path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: 0\r\n\r\n");
    raw(proxy.guard_address(), request).await.expect("an answer")
}

fn of_cors(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    names.filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn a_preflight_is_the_guards_to_answer() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, chat).await;
    let asks = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization, X-Own, a;b\r\n";
    for path in [PATH, "/anything", "/hello"] {
        let answer = preflight(&proxy, path, &format!("Origin: {CHAT}\r\n{asks}")).await;
        assert_eq!(answer.status, 204, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", CHAT),
            ("access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"),
            ("access-control-allow-headers", "authorization, content-type, x-own"),
            ("access-control-max-age", "600"),
            ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{name}");
        }
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    for origin in ["https://evil.example", "https://chat.example.evil", "https://CHAT.example", "null", "*"] {
        let answer = preflight(&proxy, PATH, &format!("Origin: {origin}\r\n{asks}")).await;
        assert_eq!((answer.status, answer.reason().as_str()), (403, "origin_not_allowed"), "{origin}");
        assert_eq!(of_cors(&answer), <[&str; 0]>::default(), "{origin}");
    }
    // Neither is a preflight: the tables decide, and know no OPTIONS.
    for fields in
        [format!("Origin: {CHAT}\r\n"), asks.to_owned(), format!("Origin: {CHAT}\r\nOrigin: {CHAT}\r\n{asks}")]
    {
        assert_eq!(preflight(&proxy, PATH, &fields).await.status, 401, "{fields}");
    }
    assert_eq!(app.heads().len(), 0, "the application was asked");
}

#[tokio::test]
async fn without_cors_in_the_policy_options_is_a_method_like_others() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let asks = format!("Origin: {CHAT}\r\nAccess-Control-Request-Method: POST\r\n");
    let answer = preflight(&proxy, PATH, &asks).await;
    assert_eq!((answer.status, of_cors(&answer)), (401, vec![]));
    // What the application says of it is its own matter.
    app.script("HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n");
    let request = format!("GET /hello HTTP/1.1\r\nHost: a\r\nOrigin: {CHAT}\r\n\r\n");
    let answer = raw(proxy.guard_address(), request).await.expect("an answer");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("vary"), None);
}

#[tokio::test]
async fn answers_and_refusals_say_what_the_policy_says() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, chat).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    let lax = "Access-Control-Allow-Origin: *\r\nAccess-Control-Allow-Credentials: true\r\nVary: Accept\r\n";
    for (origin, token, status) in [
        (CHAT, token.as_str(), 200),
        (CHAT, "x", 401),
        ("https://evil.example", token.as_str(), 200),
        ("https://evil.example", "x", 401),
    ] {
        if status == 200 {
            app.script(&format!("HTTP/1.1 200 OK\r\n{lax}Content-Length: 0\r\n\r\n"));
        }
        let fields = format!("Host: a\r\nOrigin: {origin}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0");
        let request = format!("POST {PATH} HTTP/1.1\r\n{fields}\r\n\r\n");
        let answer = raw(proxy.guard_address(), request).await.expect("an answer");
        assert_eq!(answer.status, status, "{origin}");
        assert!(answer.headers.iter().any(|(name, value)| name == "vary" && value == "Origin"), "{answer:?}");
        let is_allowed = origin == CHAT;
        assert_eq!(answer.header("access-control-allow-origin"), is_allowed.then_some(CHAT), "{origin}");
        let exposed = "www-authenticate, x-keywire-reason, retry-after, mcp-session-id";
        assert_eq!(answer.header("access-control-expose-headers"), is_allowed.then_some(exposed));
        assert_eq!(of_cors(&answer).len(), if is_allowed { 2 } else { 0 }, "{answer:?}");
    }
    // The metadata is for everybody, whatever the policy says of calls.
    let request =
        "GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\n\r\n";
    assert_eq!(raw(proxy.guard_address(), request).await.map(|answer| answer.status), Some(401), "it has no resource");
}

#[tokio::test]
async fn a_stream_says_it_too() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        chat(policy);
        policy["resource"] = json!("https://models.example");
    })
    .await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    let mut connection = Connection::open(proxy.guard_address()).await;
    let fields = format!("Host: a\r\nOrigin: {CHAT}\r\nAuthorization: Bearer {token}\r\nContent-Length: 2");
    connection.send(format!("POST /v2/models/iris/generate_stream HTTP/1.1\r\n{fields}\r\n\r\n{{}}").as_bytes()).await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, Some(CHAT)));
    EVENTS.add_permits(1);
    assert!(connection.read_until("data: second").await);
    let request =
        "GET /.well-known/oauth-protected-resource HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\n\r\n";
    let metadata = raw(proxy.guard_address(), request).await.expect("an answer");
    assert_eq!((metadata.status, metadata.header("access-control-allow-origin")), (200, Some("*")));
}
