//! Targets outside the cluster: the token goes there, over TLS, and nowhere else.

use serde_json::{Value, json};

use crate::support::{
    app::{App, EVENTS},
    client::{self, call, raw},
    grpc::{self, GrpcApp, field, frame, request},
    h2::{Connection, full},
    issuer::{Issuer, TokenAnswer},
    proxy::{LABELER, Proxy, Setup, egress},
    tls::Front,
};

const AUDIENCE: &str = "models-api";

/// An API outside, and a sidecar that may call what is below `/v1` of it.
struct Scene {
    issuer: Issuer,
    front: Front,
    proxy: Proxy,
}

impl Scene {
    async fn before(app: &App) -> Self {
        Self::with(Front::start("localhost", &[b"http/1.1"], app.address).await, |_| ()).await
    }

    async fn with(front: Front, change: impl FnOnce(&mut Value)) -> Self {
        let issuer = Issuer::start().await;
        issuer.set_answer(for_audience(AUDIENCE));
        let mut proxy = Proxy::prepare();
        let mut document = proxy.with_ports(&egress(&issuer, front.address));
        document["targets"][0] = json!({
            "external": {"path": "/v1", "ca": front.ca}, "listen": document["targets"][0]["listen"],
            "upstream": format!("https://localhost:{}", front.address.port()), "audience": AUDIENCE,
            "scopes": [format!("{AUDIENCE}:read")],
        });
        change(&mut document["targets"][0]);
        proxy.write("egress/egress.json", &document.to_string());
        proxy.start(&Setup { egress: true, ..Setup::default() });
        proxy.until_ready().await;
        Self { issuer, front, proxy }
    }

    async fn get(&self, path: &str) -> client::Answer {
        call(self.proxy.egress_address(), "GET", path, None).await
    }
}

fn for_audience(audience: &str) -> TokenAnswer {
    let (endpoint, client) = (audience.to_owned(), LABELER.to_owned());
    TokenAnswer::Grant { endpoint, client, roles: vec!["read".to_owned()], lifetime: 300 }
}

#[tokio::test]
async fn a_call_leaves_over_tls_with_a_token_for_that_audience() {
    let app = App::start().await;
    let scene = Scene::before(&app).await;
    let bytes = "POST /v1/chat?x=1 HTTP/1.1\r\nHost: 127.0.0.1:15100\r\nAuthorization: Bearer placeholder\r\n\
        Content-Length: 5\r\n\r\nhello";
    assert_eq!(raw(scene.proxy.egress_address(), bytes).await.map(|answer| answer.status), Some(200));
    let head = app.heads().pop().expect("a head");
    assert!(head.starts_with("post /v1/chat?x=1 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: localhost:{}\r\n", scene.front.address.port())), "{head}");
    assert_eq!(head.matches("authorization: bearer eyj").count(), 1, "{head}");
    assert!(!head.contains("placeholder"), "{head}");
    assert_eq!(scene.front.names(), ["localhost"], "the name that it shows its certificate for");
    let form = scene.issuer.forms().pop().expect("a form");
    assert!(form.ends_with("&scope=models-api%3Aread"), "{form}");
}

/// What lies beside the path may be another tenant's of that host, who could use the token.
#[tokio::test]
async fn calls_beside_the_path_are_refused_before_they_have_a_token() {
    let app = App::start().await;
    let scene = Scene::before(&app).await;
    for (path, reason) in [
        ("/", "path_not_listed"),
        ("/v2", "path_not_listed"),
        ("/v1x/hook", "path_not_listed"),
        ("/v1/../hook", "dot_segment"),
        ("/v1/%2e%2e/hook", "ambiguous_percent"),
        ("/v1/..;/hook", "path_parameter"),
        ("//v1/hook", "empty_segment"),
        ("/v1\\..\\hook", "invalid_byte"),
        ("/%76%31/x", "ambiguous_percent"),
    ] {
        let answer = scene.get(path).await;
        assert!([400, 403].contains(&answer.status) && answer.reason() == reason, "{path}: {answer:?}");
    }
    // Whatever the request calls its host: it goes where the document says.
    for line in
        ["GET https://evil.example/v1/x HTTP/1.1", "GET http://evil.example/v1/x HTTP/1.1", "OPTIONS * HTTP/1.1"]
    {
        let answer = raw(scene.proxy.egress_address(), format!("{line}\r\nHost: evil.example\r\n\r\n")).await;
        assert_eq!(answer.map(|answer| answer.status), Some(400), "{line}");
    }
    assert_eq!((app.heads().len(), scene.issuer.token_fetches()), (0, 0));
    assert_eq!(scene.get("/v1").await.status, 200);
    let mut connection = Connection::open(scene.proxy.egress_address()).await;
    for (path, status) in [("/v2/x", 403), ("/v1/../x", 400), ("/v1/x", 200)] {
        let answer = connection.call("GET", path, None, "").await.expect("an answer");
        assert_eq!(answer.status, status, "{path}");
    }
}

/// The application may follow it, without a token: whoever answers does not choose who gets one.
#[tokio::test]
async fn a_redirect_is_passed_on_and_not_followed() {
    let (app, elsewhere) = (App::start().await, App::start().await);
    let scene = Scene::before(&app).await;
    for status in ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("http://{}/steal", elsewhere.address);
        app.script(&format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"));
        let answer = scene.get("/v1/x").await;
        assert_eq!((answer.status.to_string().as_str(), answer.header("location")), (&status[..3], Some(&*location)));
    }
    assert_eq!((app.heads().len(), elsewhere.connections()), (3, 0));
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_nothing() {
    let (app, other) = (App::start().await, Front::start("localhost", &[], App::start().await.address).await);
    for (name, ca) in [("localhost", Some(other.ca.clone())), ("other.example", None)] {
        let front = Front::start(name, &[], app.address).await;
        let scene = Scene::with(front, |target| {
            if let Some(ca) = ca {
                target["external"]["ca"] = json!(ca);
            }
        })
        .await;
        let answer = scene.get("/v1/x").await;
        assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_tls"));
    }
    assert!(app.heads().is_empty());
}

#[tokio::test]
async fn a_token_of_another_audience_is_never_sent() {
    let app = App::start().await;
    let scene = Scene::before(&app).await;
    let roles = vec!["read".to_owned()];
    let client = LABELER.to_owned();
    scene.issuer.set_answer(TokenAnswer::Grant { endpoint: "other".into(), client, roles, lifetime: 300 });
    assert_eq!(scene.get("/v1/x").await.reason(), "not_granted", "the scopes are another's too");
    let payload = "eyJhdWQiOlsibW9kZWxzLWFwaSIsIm90aGVyIl19";
    let body = json!({"access_token": format!("h.{payload}.s"), "token_type": "Bearer", "expires_in": 300,
        "scope": "models-api:read"});
    scene.issuer.set_answer(TokenAnswer::Plain(200, body));
    crate::support::until("the second answer", || async { scene.get("/v1/x").await.reason() == "wrong_audience" })
        .await;
    assert!(app.heads().is_empty());
}

#[tokio::test]
async fn events_are_streamed_as_they_come() {
    let app = App::start().await;
    let front = Front::start("localhost", &[b"http/1.1"], app.address).await;
    let scene = Scene::with(front, |target| target["external"]["path"] = json!("")).await;
    let mut connection = client::Connection::open(scene.proxy.egress_address()).await;
    connection.send(b"POST /v2/models/iris/generate_stream HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
    assert!(connection.read_until("data: first").await, "before the second is there");
    EVENTS.add_permits(1);
    assert!(connection.read_until("data: second").await);
}

#[tokio::test]
async fn a_websocket_goes_over_tls_too() {
    let app = App::start().await;
    let scene = Scene::before(&app).await;
    app.script("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    let handshake = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:15100\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    };
    let beside = raw(scene.proxy.egress_address(), handshake("/realtime")).await.expect("an answer");
    assert_eq!((beside.status, beside.reason().as_str()), (403, "path_not_listed"));
    let mut connection = client::Connection::open(scene.proxy.egress_address()).await;
    connection.send(handshake("/v1/realtime").as_bytes()).await;
    assert_eq!(connection.answer().await.map(|answer| answer.status), Some(101));
    connection.send(b"ping").await;
    assert!(connection.read_until("ping").await);
    assert_eq!(app.heads().pop().expect("a head").matches("authorization: bearer eyj").count(), 1);
}

#[tokio::test]
async fn calls_of_grpc_go_over_tls_too() {
    let app = GrpcApp::start().await;
    let front = Front::start("localhost", &[b"h2"], app.address).await;
    let scene = Scene::with(front, |target| target["external"]["path"] = json!("/speech.Speaker")).await;
    let mut connection = Connection::open(scene.proxy.egress_address()).await;
    let message = frame(&field(1, b"iris"));
    let called = request("/speech.Speaker/Say", Some("placeholder"), full(message.clone()));
    let ended = grpc::call(&mut connection, called).await.expect("an end");
    assert_eq!((ended.trailers["grpc-status"].as_bytes(), &ended.body), (&b"0"[..], &message), "{ended:?}");
    let token = app.seen()[0].headers["authorization"].to_str().expect("text").to_owned();
    assert!(token.starts_with("Bearer eyJ"), "{token}");
    let ended = grpc::call(&mut connection, request("/other.Service/Say", None, full(message))).await.expect("an end");
    assert_eq!(ended.told(), ("7", "path_not_listed"));
}
