//! The outbound half with HTTP/2, gRPC and websockets: the token is added, the rest passes.

use std::net::SocketAddr;

use crate::support::{
    app::App,
    client,
    grpc::{GrpcApp, call, field, frame, request},
    h2::{Connection, full},
    issuer::{Issuer, TokenAnswer},
    proxy::{ENDPOINT, LABELER, Proxy, Setup, egress, policy},
};

const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";

fn grant(roles: &[&str]) -> TokenAnswer {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    TokenAnswer::Grant { endpoint: ENDPOINT.to_owned(), client: LABELER.to_owned(), roles, lifetime: 300 }
}

/// An egress half whose one target is at this address.
async fn towards(issuer: &Issuer, upstream: SocketAddr) -> Proxy {
    let mut proxy = Proxy::prepare();
    proxy.write("egress/egress.json", &proxy.with_ports(&egress(issuer, upstream)).to_string());
    proxy.start(&Setup { egress: true, ..Setup::default() });
    proxy.until_ready().await;
    proxy
}

#[tokio::test]
async fn http2_goes_on_as_http1() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&["predict"]));
    let proxy = towards(&issuer, app.address).await;
    let mut connection = Connection::open(proxy.egress_address()).await;
    let answer = connection.call("POST", "/v2/models/iris/infer", Some("placeholder"), "{}").await.expect("an answer");
    assert_eq!(answer.status, 200);
    let head = app.heads().pop().expect("a head");
    assert!(head.starts_with("post /v2/models/iris/infer http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("\r\nhost: {}\r\n", app.address)) && !head.contains("placeholder"), "{head}");
}

/// From the application through both halves to the model server.
#[tokio::test]
async fn calls_of_grpc_go_through_both_halves() {
    let (issuer, http, app) = (Issuer::start().await, App::start().await, GrpcApp::start().await);
    issuer.set_answer(grant(&["predict"]));
    let mut document = policy(&issuer, &http);
    document["listeners"][0]["upstream"] = serde_json::json!(app.address.port());
    let guard = Proxy::guard(Some(&document), &[]);
    guard.until_ready().await;
    let proxy = towards(&issuer, guard.guard_address()).await;
    let mut connection = Connection::open(proxy.egress_address()).await;
    let iris = frame(&field(1, b"iris"));
    let ended = call(&mut connection, request(INFER, Some("placeholder"), full(iris.clone()))).await.expect("an end");
    assert_eq!((ended.trailers["grpc-status"].as_bytes(), &ended.body), (&b"0"[..], &iris), "{ended:?}");
    assert_eq!(app.seen()[0].headers["x-keywire-client"], LABELER);
    // The guard's word is for the caller.
    let loads = INFER.replace("ModelInfer", "RepositoryModelLoad");
    let ended = call(&mut connection, request(&loads, None, full(frame(&field(2, b"iris"))))).await.expect("an end");
    assert_eq!(ended.told(), ("7", "permission_not_granted"));
}

#[tokio::test]
async fn a_call_without_a_token_is_refused_in_grpcs_own_form() {
    let (issuer, app) = (Issuer::start().await, GrpcApp::start().await);
    issuer.set_answer(grant(&[]));
    let proxy = towards(&issuer, app.address).await;
    let mut connection = Connection::open(proxy.egress_address()).await;
    let ended = call(&mut connection, request(INFER, None, full(frame(b"")))).await.expect("an end");
    assert_eq!((ended.http, ended.told()), (200, ("7", "not_granted")), "{ended:?}");
    assert!(app.seen().is_empty());
}

#[tokio::test]
async fn a_websocket_gets_the_token() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    issuer.set_answer(grant(&["predict"]));
    let proxy = towards(&issuer, app.address).await;
    app.script("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    let mut connection = client::Connection::open(proxy.egress_address()).await;
    let handshake = "GET /v1/realtime HTTP/1.1\r\nHost: 127.0.0.1:15100\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: realtime, openai-insecure-api-key.placeholder\r\n\r\n";
    connection.send(handshake.as_bytes()).await;
    assert_eq!(connection.answer().await.map(|answer| answer.status), Some(101));
    connection.send(b"ping").await;
    assert!(connection.read_until("ping").await);
    let head = app.heads().pop().expect("a head");
    assert_eq!(head.matches("authorization: bearer eyj").count(), 1, "{head}");
    assert!(head.contains("sec-websocket-protocol: realtime\r\n") && !head.contains("placeholder"), "{head}");
}
