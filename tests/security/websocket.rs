//! Websockets: opened as a call is, kept for as long as the caller may.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Connection, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
    until,
};

const NARROWED: &str = "narrow.agents.workload";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// RFC 6455 §1.3.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

struct Scene {
    proxy: Proxy,
    app: App,
    issuer: Issuer,
}

async fn scene(change: impl FnOnce(&mut Value)) -> Scene {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        policy["protocol"] = json!("OpenAI");
        policy["rules"] = json!([{"methods": ["WEBSOCKET"], "path": "/echo", "access": {"permission": "predict"}}]);
        let grant =
            json!({"name": "narrow", "subject": {"client": NARROWED}, "permissions": ["predict"], "models": ["iris"]});
        policy["grants"].as_array_mut().expect("grants").push(grant);
        change(policy);
    })
    .await;
    Scene { proxy, app, issuer }
}

impl Scene {
    fn token(&self, client: &str) -> String {
        self.issuer.token(ENDPOINT, client, &["read", "predict"], self.proxy.now())
    }

    /// Opens a websocket to whose application what is sent comes back.
    async fn open(&self) -> Connection {
        let mut connection = Connection::open(self.proxy.guard_address()).await;
        self.app.script(&accepted(ACCEPT));
        let token = format!("Authorization: Bearer {}\r\n", self.token(LABELER));
        connection.send(handshake("/echo", &token).as_bytes()).await;
        let answer = connection.answer().await.expect("an answer");
        assert_eq!(answer.status, 101, "{answer:?}");
        connection.send(b"ping").await;
        assert!(connection.read_until("ping").await, "what is sent comes back");
        connection
    }
}

fn accepted(accept: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\nX-Keywire-Subject: forged\r\nSec-WebSocket-Protocol: realtime\r\n\r\n"
    )
}

fn handshake(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{fields}\r\n"
    )
}

#[tokio::test]
async fn who_may_open_one() {
    let scene = scene(|_| {}).await;
    for (path, who, status, reason) in [
        ("/v1/realtime", LABELER, 101, ""),
        ("/v1/realtime?model=rose", LABELER, 101, ""),
        ("/v1/realtime?model=iris", NARROWED, 101, ""),
        ("/v1/realtime?model=rose", NARROWED, 403, "model_not_granted"),
        ("/v1/realtime?model=iris&model=rose", NARROWED, 400, "duplicate_parameter"),
        ("/v1/realtime?model=iris&Model=rose", NARROWED, 400, "lookalike_parameter"),
        // Its first message names the model.
        ("/v1/realtime", NARROWED, 101, ""),
        // What goes over it is looked at by nobody.
        ("/echo?model=iris", NARROWED, 403, "every_model_not_granted"),
        ("/echo", LABELER, 101, ""),
        ("/v1/realtime?model=iris", "", 401, "token_missing"),
        ("/v1/realtime?model=iris", "stranger.agents.workload", 403, "no_grant"),
        // Routes of HTTP are none of websockets, whatever methods they take.
        ("/v1/fine_tuning/checkpoints/c/permissions", LABELER, 403, "unknown_route"),
        ("/v1/models/iris", LABELER, 403, "unknown_route"),
        ("/health", LABELER, 403, "unknown_route"),
        ("/open/x", LABELER, 403, "unknown_route"),
        ("/hello", LABELER, 403, "unknown_route"),
    ] {
        let token =
            if who.is_empty() { String::new() } else { format!("Authorization: Bearer {}\r\n", scene.token(who)) };
        let before = scene.app.heads().len();
        scene.app.script(&accepted(ACCEPT));
        let answer = raw(scene.proxy.guard_address(), handshake(path, &token)).await.expect("an answer");
        let found = answer.header("x-keywire-reason").unwrap_or_default();
        assert_eq!((answer.status, found), (status, reason), "{path} {who}: {answer:?}");
        assert_eq!(scene.app.heads().len() - before, usize::from(status == 101), "{path} {who}");
        scene.app.forget_script();
    }
    // Without the handshake it is another route.
    let get = format!("GET /v1/realtime HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\n\r\n", scene.token(LABELER));
    for method in ["GET", "WEBSOCKET"] {
        let answer = raw(scene.proxy.guard_address(), get.replacen("GET", method, 1)).await.expect("an answer");
        assert_eq!(answer.header("x-keywire-reason"), Some("unknown_route"), "{method}");
    }
}

#[tokio::test]
async fn both_sides_get_a_handshake_made_anew() {
    let scene = scene(|_| {}).await;
    scene.app.script(&accepted(ACCEPT));
    let fields = format!(
        "Authorization: Bearer {}\r\nX-Keywire-Subject: root\r\nSec-WebSocket-Protocol: realtime\r\n",
        scene.token(LABELER)
    );
    let answer = raw(scene.proxy.guard_address(), handshake("/v1/realtime", &fields)).await.expect("an answer");
    for (name, value) in [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", ACCEPT),
        ("sec-websocket-protocol", "realtime"),
    ] {
        assert!(answer.header(name).is_some_and(|found| found.eq_ignore_ascii_case(value)), "{name}: {answer:?}");
    }
    assert_eq!(answer.header("x-keywire-subject"), None);
    let heads = scene.app.heads();
    let head = heads.first().expect("a head");
    for line in ["connection: upgrade", "upgrade: websocket", "sec-websocket-version: 13"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    assert!(!head.contains("authorization") && !head.contains("root") && head.contains("x-keywire-client"), "{head}");
}

#[tokio::test]
async fn a_token_may_be_among_the_subprotocols_and_nowhere_else_too() {
    let scene = scene(|_| {}).await;
    let token = scene.token(LABELER);
    let openai = format!("openai-insecure-api-key.{token}");
    let kubernetes = format!("base64url.bearer.authorization.k8s.io.{}", URL_SAFE_NO_PAD.encode(&token));
    let header = format!("Authorization: Bearer {token}\r\n");
    let protocols = |text: &str| format!("Sec-WebSocket-Protocol: {text}\r\n");
    for (fields, status, reason) in [
        (protocols(&format!("realtime, {openai}, openai-beta.realtime-v1")), 101, ""),
        (protocols(&format!("{kubernetes}, realtime, openai-beta.realtime-v1")), 101, ""),
        (protocols(&format!("realtime, {openai}, {kubernetes}")), 400, "duplicate_authorization"),
        (protocols(&format!("realtime, {openai}, {openai}")), 400, "duplicate_authorization"),
        (format!("{header}{}", protocols(&format!("realtime, {openai}"))), 400, "duplicate_authorization"),
        (protocols("realtime, openai-insecure-api-key.x.y.z"), 401, "token_invalid"),
        (protocols("realtime, base64url.bearer.authorization.k8s.io.%%"), 401, "token_missing"),
    ] {
        let before = scene.app.heads().len();
        scene.app.script(&accepted(ACCEPT));
        let answer = raw(scene.proxy.guard_address(), handshake("/v1/realtime", &fields)).await.expect("an answer");
        let found = answer.header("x-keywire-reason").unwrap_or_default();
        assert_eq!((answer.status, found), (status, reason), "{fields}: {answer:?}");
        scene.app.forget_script();
        if status == 101 {
            let head = scene.app.heads().pop().expect("a head");
            assert!(head.contains("\r\nsec-websocket-protocol: realtime, openai-beta.realtime-v1\r\n"), "{head}");
        } else {
            assert_eq!(scene.app.heads().len(), before);
        }
    }
}

#[tokio::test]
async fn anything_but_a_whole_handshake_is_refused() {
    let scene = scene(|_| {}).await;
    let token = format!("Authorization: Bearer {}\r\n", scene.token(LABELER));
    let good = handshake("/v1/realtime", &token);
    for (from, to, reason) in [
        ("Upgrade: websocket", "Upgrade: h2c", "upgrade_refused"),
        ("Upgrade: websocket", "Upgrade: websocket, h2c", "upgrade_refused"),
        ("Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket", "upgrade_refused"),
        ("Upgrade: websocket", "Upgrade: websocket\r\nHTTP2-Settings: AAMAAABkAAQAAP__", "upgrade_refused"),
        ("keep-alive, Upgrade", "keep-alive", "upgrade_refused"),
        ("Version: 13", "Version: 8", "upgrade_refused"),
        (KEY, "c2hvcnQ=", "upgrade_refused"),
        ("GET", "POST", "upgrade_refused"),
        ("Host: a\r\n", "Host: a\r\nContent-Length: 2\r\n", "handshake_body"),
        ("Host: a\r\n", "Host: a\r\nTransfer-Encoding: chunked\r\n", "handshake_body"),
        ("keep-alive, Upgrade", "Upgrade, Authorization", "invalid_connection"),
    ] {
        let answer = raw(scene.proxy.guard_address(), good.replacen(from, to, 1)).await.expect("an answer");
        let found = answer.header("x-keywire-reason").unwrap_or_default();
        assert_eq!((answer.status, found), (400, reason), "{to}: {answer:?}");
    }
    assert!(scene.app.heads().is_empty());
}

#[tokio::test]
async fn an_answer_to_another_handshake_is_none() {
    let scene = scene(|_| {}).await;
    let token = format!("Authorization: Bearer {}\r\n", scene.token(LABELER));
    for (answer, status, reason) in [
        (accepted("AAAAAAAAAAAAAAAAAAAAAAAAAAA="), 502, "upstream_broken"),
        (accepted(ACCEPT).replace("Upgrade: websocket", "Upgrade: h2c"), 502, "upstream_broken"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno".to_owned(), 200, ""),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(), 404, ""),
    ] {
        scene.app.script(&answer);
        let found = raw(scene.proxy.guard_address(), handshake("/v1/realtime", &token)).await.expect("an answer");
        let why = found.header("x-keywire-reason").unwrap_or_default();
        assert_eq!((found.status, why), (status, reason), "{answer}: {found:?}");
    }
    // Nobody asked for another protocol here.
    scene.app.script(&accepted(ACCEPT));
    let plain = format!("GET /v1/models/iris HTTP/1.1\r\nHost: a\r\n{token}\r\n");
    assert_eq!(raw(scene.proxy.guard_address(), plain).await.map(|answer| answer.status), Some(502));
}

#[tokio::test]
async fn one_ends_with_its_token() {
    let scene = scene(|_| {}).await;
    let mut connection = scene.open().await;
    // Within what clocks may be apart.
    scene.proxy.advance(305);
    connection.send(b"still").await;
    assert!(connection.read_until("still").await);
    scene.proxy.advance(10);
    assert!(connection.closed().await);
    let denied = "keywire_guard_requests_total{decision=\"denied\",reason=\"expired\",permission=\"\"";
    assert!(scene.proxy.metric(denied).await >= 1.0);
}

#[tokio::test]
async fn one_ends_with_its_grant() {
    let scene = scene(|_| {}).await;
    let mut connection = scene.open().await;
    let mut document = scene.proxy.document();
    document["number"] = json!(101);
    document["grants"][0]["permissions"] = json!(["read"]);
    scene.proxy.write("guard/guard.json", &document.to_string());
    assert!(connection.closed().await);
    let denied =
        "keywire_guard_requests_total{decision=\"denied\",reason=\"permission_not_granted\",permission=\"predict\"";
    assert!(scene.proxy.metric(denied).await >= 1.0);
}

#[tokio::test]
async fn open_ones_are_counted_and_outlive_the_beginning_of_a_drain() {
    let mut scene = scene(|_| {}).await;
    let mut connection = scene.open().await;
    assert_eq!(scene.proxy.metric("keywire_connections").await, 1.0);
    let address = scene.proxy.guard_address();
    let stopping = scene.proxy.stop();
    until("the port to close", || async { tokio::net::TcpStream::connect(address).await.is_err() }).await;
    connection.send(b"more").await;
    assert!(connection.read_until("more").await);
    // At its end it is cut off.
    assert!(connection.closed().await);
    tokio::task::spawn_blocking(|| stopping.join()).await.expect("joins").expect("stops");
}

#[tokio::test]
async fn half_an_end_leaves_the_other_half() {
    let scene = scene(|_| {}).await;
    let mut connection = scene.open().await;
    connection.send(b"last words").await;
    connection.finish().await;
    assert!(connection.read_until("last words").await);
    assert!(connection.read_until("bye").await, "the application has the last word");
    assert!(connection.closed().await);
}
