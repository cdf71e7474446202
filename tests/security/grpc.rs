//! gRPC: the model is in the message, and every message counts.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use serde_json::{Value, json};

use crate::support::{
    app::App,
    grpc::{GrpcApp, call, fed, field, frame, request},
    h2::{Connection, full},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy, policy},
    until,
};

const NARROWED: &str = "narrow.agents.workload";
const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

struct Scene {
    proxy: Proxy,
    app: GrpcApp,
    issuer: Issuer,
}

/// An application of gRPC behind a guard. Whoever is narrowed may use iris alone.
async fn scene(change: impl FnOnce(&mut Value)) -> Scene {
    let (issuer, http, app) = (Issuer::start().await, App::start().await, GrpcApp::start().await);
    let mut document = policy(&issuer, &http);
    document["listeners"][0]["upstream"] = json!(app.address.port());
    let grant = json!({"name": "narrow", "subject": {"client": NARROWED}, "permissions": ["predict", "read", "deploy"], "models": ["iris"]});
    document["grants"].as_array_mut().expect("grants").push(grant);
    change(&mut document);
    let proxy = Proxy::guard(Some(&document), &[]);
    proxy.until_ready().await;
    Scene { proxy, app, issuer }
}

impl Scene {
    fn token(&self, client: &str) -> String {
        self.issuer.token(ENDPOINT, client, &["read", "predict", "deploy", "admin", "execute"], self.proxy.now())
    }

    async fn connect(&self) -> Connection {
        Connection::open(self.proxy.guard_address()).await
    }
}

#[tokio::test]
async fn open_inference() {
    let scene = scene(|policy| policy["models"] = json!(["iris", "rose"])).await;
    let (iris, rose, load) = (field(1, b"iris"), field(1, b"rose"), field(2, b"iris"));
    let service = "/inference.GRPCInferenceService/";
    let repository = "/inference.model_repository.ModelRepositoryService/";
    let mut connection = scene.connect().await;
    let mut passed = 0;
    for (path, message, who, status, reason) in [
        (format!("{service}ServerLive"), &vec![], "", "0", ""),
        (format!("{service}ServerReady"), &vec![], "", "0", ""),
        ("/grpc.health.v1.Health/Check".to_owned(), &vec![], "", "0", ""),
        (format!("{service}ServerMetadata"), &vec![], "", "16", "token_missing"),
        (format!("{service}ServerMetadata"), &vec![], NARROWED, "0", ""),
        (format!("{service}ModelMetadata"), &iris, NARROWED, "0", ""),
        (format!("{service}ModelReady"), &rose, NARROWED, "7", "model_not_granted"),
        (format!("{service}ModelInfer"), &iris, NARROWED, "0", ""),
        (format!("{service}ModelInfer"), &rose, LABELER, "0", ""),
        (format!("{service}ModelInfer"), &rose, NARROWED, "7", "model_not_granted"),
        (format!("{service}ModelInfer"), &iris, "", "16", "token_missing"),
        (format!("{service}ModelInfer"), &iris, "stranger.agents.workload", "7", "no_grant"),
        (format!("{service}ModelInfer"), &field(1, b"tulip"), LABELER, "7", "model_not_served"),
        (format!("{service}ModelInfer"), &vec![], NARROWED, "3", "model_missing"),
        (format!("{service}RepositoryIndex"), &vec![], LABELER, "0", ""),
        (format!("{service}RepositoryIndex"), &vec![], NARROWED, "7", "every_model_not_granted"),
        (format!("{repository}RepositoryIndex"), &vec![], NARROWED, "7", "every_model_not_granted"),
        (format!("{service}RepositoryModelLoad"), &load, NARROWED, "0", ""),
        (format!("{repository}RepositoryModelUnload"), &load, NARROWED, "0", ""),
        (format!("{service}RepositoryModelLoad"), &load, LABELER, "7", "permission_not_granted"),
        // Field 1 is the repository here.
        (format!("{service}RepositoryModelLoad"), &iris, NARROWED, "3", "model_missing"),
        (format!("{service}Unknown"), &iris, LABELER, "7", "unknown_route"),
        (format!("{service}modelinfer"), &iris, LABELER, "7", "unknown_route"),
        // A route of HTTP.
        ("/v2".to_owned(), &vec![], LABELER, "7", "unknown_route"),
        ("/v2/models/iris/infer".to_owned(), &vec![], LABELER, "7", "unknown_route"),
        ("/hello".to_owned(), &vec![], LABELER, "7", "unknown_route"),
    ] {
        let token = (!who.is_empty()).then(|| scene.token(who));
        let ended = call(&mut connection, request(&path, token.as_deref(), full(frame(message)))).await;
        let ended = ended.unwrap_or_else(|| panic!("{path} {who}: reset"));
        assert_eq!((ended.http, ended.told()), (200, (status, reason)), "{path} {who} {message:?}: {ended:?}");
        passed += usize::from(status == "0");
        assert_eq!(scene.app.seen().len(), passed, "{path} {who} {message:?}");
        if status == "0" {
            assert_eq!(ended.body, frame(message), "{path}");
        } else {
            assert!(ended.trailers.is_empty() && ended.headers.contains_key("grpc-message"), "{ended:?}");
        }
    }
    assert!(scene.app.connections() <= 2, "calls share a connection per worker");
}

#[tokio::test]
async fn a_rule_says_which_field_names_the_model() {
    let scene = scene(|policy| {
        policy["protocol"] = json!("gRPC");
        let place = json!({"protobuf": [3, 1]});
        policy["rules"] = json!([
            {"path": "/speech.Speaker/Say", "access": {"permission": "predict"}, "model": place},
            {"path": "/speech.Speaker/Any", "access": {"permission": "predict"}},
        ]);
    })
    .await;
    let voice = |name: &[u8]| field(3, &field(1, name));
    let mut connection = scene.connect().await;
    let token = scene.token(NARROWED);
    for (call_name, message, status, reason) in [
        ("Say", voice(b"iris"), "0", ""),
        ("Say", voice(b"rose"), "7", "model_not_granted"),
        ("Say", [voice(b"iris"), voice(b"rose")].concat(), "3", "two_values"),
        ("Say", field(1, b"iris"), "3", "model_missing"),
        ("Any", voice(b"iris"), "7", "every_model_not_granted"),
    ] {
        let path = format!("/speech.Speaker/{call_name}");
        let ended = call(&mut connection, request(&path, Some(&token), full(frame(&message)))).await.expect("an end");
        assert_eq!(ended.told(), (status, reason), "{path} {message:?}: {ended:?}");
    }
    // A call may have begun before its message is decided; the message does not come through.
    let messages: Vec<u8> = scene.app.seen().into_iter().flat_map(|seen| seen.body).collect();
    assert_eq!(messages, frame(&voice(b"iris")));
}

#[tokio::test]
async fn tensorflow_serving() {
    let scene = scene(|policy| policy["protocol"] = json!("TensorFlowServing")).await;
    let spec = |name: &[u8]| field(1, &field(1, name));
    let tasks = |names: &[&[u8]]| names.iter().flat_map(|name| field(1, &spec(name))).collect::<Vec<u8>>();
    let mut connection = scene.connect().await;
    let token = scene.token(NARROWED);
    for (call_name, message, status, reason) in [
        ("PredictionService/Predict", spec(b"iris"), "0", ""),
        ("PredictionService/Predict", spec(b"rose"), "7", "model_not_granted"),
        // Two pieces of one message, which the server merges.
        ("PredictionService/Predict", [spec(b"iris"), spec(b"rose")].concat(), "3", "two_values"),
        ("PredictionService/Classify", spec(b"iris"), "0", ""),
        ("PredictionService/GetModelMetadata", spec(b"iris"), "0", ""),
        ("ModelService/GetModelStatus", spec(b"rose"), "7", "model_not_granted"),
        ("PredictionService/MultiInference", tasks(&[b"iris", b"iris"]), "0", ""),
        ("PredictionService/MultiInference", tasks(&[b"iris", b"rose"]), "3", "two_values"),
        ("PredictionService/MultiInference", tasks(&[b"rose"]), "7", "model_not_granted"),
        ("ModelService/HandleReloadConfigRequest", spec(b"iris"), "7", "permission_not_granted"),
        ("SessionService/SessionRun", spec(b"iris"), "7", "unknown_route"),
    ] {
        let path = format!("/tensorflow.serving.{call_name}");
        let ended = call(&mut connection, request(&path, Some(&token), full(frame(&message)))).await.expect("an end");
        assert_eq!(ended.told(), (status, reason), "{path} {message:?}: {ended:?}");
    }
    assert_eq!(scene.app.seen().len(), 4);
}

#[tokio::test]
async fn what_goes_on_is_the_callers_word_and_the_guards() {
    let scene = scene(|_| {}).await;
    let mut connection = scene.connect().await;
    let (sender, body) = fed();
    let mut asked = request(INFER, Some(&scene.token(LABELER)), body);
    for (name, value) in [
        ("grpc-timeout", "10S"),
        ("x-trace-bin", "AAA"),
        ("x-keywire-subject", "root"),
        ("x-forwarded-for", "10.9.8.7"),
    ] {
        asked.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    sender.send(Frame::data(frame(&field(1, b"iris")).into())).expect("sends");
    drop(sender);
    let ended = call(&mut connection, asked).await.expect("an end");
    assert_eq!(ended.told(), ("0", ""), "{ended:?}");
    assert!(!ended.headers.contains_key("x-keywire-subject"), "the application speaks for the guard: {ended:?}");
    let seen = scene.app.seen().remove(0);
    assert_eq!((seen.path.as_str(), &seen.headers["te"]), (INFER, &HeaderValue::from_static("trailers")));
    assert_eq!(seen.headers["content-type"], "application/grpc");
    assert_eq!(
        (&seen.headers["grpc-timeout"], &seen.headers["x-trace-bin"]),
        (&"10S".parse().unwrap(), &"AAA".parse().unwrap())
    );
    assert_eq!(
        (&seen.headers["x-keywire-client"], &seen.headers["x-forwarded-for"]),
        (&LABELER.parse().unwrap(), &"127.0.0.1".parse().unwrap())
    );
    assert!(!seen.headers.contains_key("authorization"));
    assert_ne!(seen.headers["x-keywire-subject"], "root");
}

#[tokio::test]
async fn one_message_is_one() {
    let scene = scene(|_| {}).await;
    let mut connection = scene.connect().await;
    let token = scene.token(NARROWED);
    let (iris, rose) = (frame(&field(1, b"iris")), frame(&field(1, b"rose")));
    for (body, status, reason) in [
        // The second one is what some server would read.
        ([iris.clone(), rose.clone()].concat(), "3", "not_one_message"),
        ([iris.clone(), vec![0]].concat(), "3", "not_one_message"),
        (vec![], "3", "not_one_message"),
        (iris[..7].to_vec(), "3", "not_one_message"),
        ([&[1], &iris[1..]].concat(), "12", "compressed"),
        ([&[2], &iris[1..]].concat(), "3", "invalid_flag"),
        (vec![0, 255, 255, 255, 255], "8", "message_too_large"),
        (frame(&[field(1, b"iris"), field(1, b"rose")].concat()), "3", "two_values"),
        (frame(&[0x8a, 0x00, 4, b'i', b'r', b'i', b's']), "3", "invalid_varint"),
        (frame(&[0x08, 1]), "3", "wrong_type"),
        (frame(&[0x0b]), "3", "invalid_tag"),
        (frame(&[0x0a, 9]), "3", "truncated"),
        (frame(&field(1, &[0xff])), "3", "invalid_name"),
    ] {
        let ended = call(&mut connection, request(INFER, Some(&token), full(body.clone()))).await.expect("an end");
        assert_eq!(ended.told(), (status, reason), "{body:?}: {ended:?}");
    }
    // A mesh would take the model from here.
    let mut meshed = request(INFER, Some(&token), full(iris));
    meshed.headers_mut().insert("mm-model-id", HeaderValue::from_static("rose"));
    assert_eq!(call(&mut connection, meshed).await.expect("an end").told(), ("3", "model_in_head"));
    assert!(scene.app.seen().is_empty());
}

/// The fields behind an answer, in which `before` may come once more and nothing else: who only waits for the end of a call
/// that should be refused waits for ever where it is not.
async fn end(answer: &mut Incoming, before: &[u8]) -> HeaderMap {
    loop {
        match answer.frame().await.expect("an end").expect("a frame").into_trailers() {
            Ok(trailers) => return trailers,
            Err(frame) => {
                assert!(frame.data_ref().is_none_or(|data| data.is_empty() || data == before), "it passed: {frame:?}")
            }
        }
    }
}

#[tokio::test]
async fn every_message_of_a_stream_counts() {
    let scene = scene(|_| {}).await;
    let mut connection = scene.connect().await;
    let (sender, body) = fed();
    let asked = request(STREAM, Some(&scene.token(NARROWED)), body);
    let send = |bytes: &[u8]| sender.send(Frame::data(Bytes::copy_from_slice(bytes))).expect("sends");
    let iris = frame(&field(1, b"iris"));
    // In pieces.
    send(&iris[..3]);
    send(&iris[3..]);
    let mut answer = connection.send(asked).await.expect("an answer").into_body();
    let first = answer.frame().await.expect("a frame").expect("good").into_data().expect("data");
    assert_eq!(first, iris, "it comes back before the next is sent");
    send(&[&iris[..], &frame(&field(1, b"rose"))].concat());
    let trailers = end(&mut answer, &iris).await;
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-keywire-reason"]),
        (&"7".parse().unwrap(), &"model_not_granted".parse().unwrap())
    );
    let seen = scene.app.seen().remove(0);
    assert!(!seen.ended, "to the application the call broke off");
    let whole = [&iris[..], &iris].concat();
    assert!(whole.starts_with(&seen.body), "the denied message reached the application: {:?}", seen.body);
}

#[tokio::test]
async fn a_stream_is_decided_by_the_policy_and_the_time_of_each_message() {
    let scene = scene(|_| {}).await;
    let iris = frame(&field(1, b"iris"));
    let mut ends = Vec::new();
    for is_about_time in [false, true] {
        let mut connection = scene.connect().await;
        let (sender, body) = fed();
        let asked = request(STREAM, Some(&scene.token(NARROWED)), body);
        let send = || sender.send(Frame::data(Bytes::copy_from_slice(&iris))).expect("sends");
        send();
        let mut answer = connection.send(asked).await.expect("an answer").into_body();
        assert!(answer.frame().await.is_some());
        if is_about_time {
            scene.proxy.advance(400);
        } else {
            let mut document = scene.proxy.document();
            document["number"] = json!(101);
            document["grants"].as_array_mut().expect("grants").pop();
            scene.proxy.write("guard/guard.json", &document.to_string());
            until("the new policy", || async { scene.proxy.metric("keywire_guard_policy_number").await > 100.0 }).await;
        }
        send();
        ends.push(end(&mut answer, b"").await["grpc-status"].clone());
        if !is_about_time {
            let mut document = scene.proxy.document();
            document["number"] = json!(102);
            let grant = json!({"name": "narrow", "subject": {"client": NARROWED}, "permissions": ["predict"]});
            document["grants"].as_array_mut().expect("grants").push(grant);
            scene.proxy.write("guard/guard.json", &document.to_string());
            until("the next policy", || async { scene.proxy.metric("keywire_guard_policy_number").await > 101.0 })
                .await;
        }
    }
    assert_eq!(ends, ["7", "16"]);
}

#[tokio::test]
async fn the_only_model_is_put_in() {
    let scene = scene(|policy| policy["models"] = json!(["iris"])).await;
    let mut connection = scene.connect().await;
    let token = scene.token(NARROWED);
    let message = field(3, b"the id");
    let ended = call(&mut connection, request(INFER, Some(&token), full(frame(&message)))).await.expect("an end");
    let filled = frame(&[message, field(1, b"iris")].concat());
    assert_eq!((ended.told(), &ended.body), (("0", ""), &filled));
}

#[tokio::test]
async fn only_a_call_of_grpc_comes_to_its_routes() {
    let scene = scene(|_| {}).await;
    let token = scene.token(LABELER);
    let mut connection = scene.connect().await;
    let iris = frame(&field(1, b"iris"));
    for kind in ["application/json", "application/grpc-web", "application/grpc+json", "application/grpc;x=y"] {
        let mut asked = request(INFER, Some(&token), full(iris.clone()));
        asked.headers_mut().insert("content-type", HeaderValue::from_static(kind));
        let answer = connection.send(asked).await.expect("an answer");
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-keywire-reason"]),
            (403, &"unknown_route".parse().unwrap()),
            "{kind}"
        );
    }
    let mut asked = request(INFER, Some(&token), full(iris.clone()));
    *asked.method_mut() = http::Method::GET;
    assert_eq!(call(&mut connection, asked).await.expect("an end").told(), ("7", "unknown_route"));
    // The same over HTTP/1.1.
    let head = format!(
        "POST {INFER} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n"
    );
    let answer = crate::support::client::raw(scene.proxy.guard_address(), head).await.expect("an answer");
    assert_eq!((answer.status, answer.reason().as_str()), (403, "unknown_route"));
    assert!(scene.app.seen().is_empty());
}

#[tokio::test]
async fn custom_rules_open_methods_and_pass_streams() {
    let scene = scene(|policy| {
        policy["protocol"] = json!("gRPC");
        policy["rules"] = json!([{"methods": ["POST"], "path": "/my.Service/*", "access": {"permission": "predict"}}]);
    })
    .await;
    let mut connection = scene.connect().await;
    let token = scene.token(LABELER);
    let (sender, body) = fed();
    sender.send(Frame::data(Bytes::from_static(b"\x01\0\0\0\x01x"))).expect("sends");
    let trailers = [("x-checksum", "1"), ("x-keywire-subject", "root")];
    let trailers = trailers.map(|(name, value)| (name.parse().expect("name"), HeaderValue::from_static(value)));
    sender.send(Frame::trailers(HeaderMap::from_iter(trailers))).expect("sends");
    drop(sender);
    let ended = call(&mut connection, request("/my.Service/Do", Some(&token), body)).await.expect("an end");
    assert_eq!((ended.told(), &ended.body[..]), (("0", ""), &b"\x01\0\0\0\x01x"[..]), "nobody reads these: {ended:?}");
    let seen = scene.app.seen().remove(0);
    assert_eq!(
        seen.trailers,
        HeaderMap::from_iter([("x-checksum".parse().expect("name"), HeaderValue::from_static("1"))])
    );
    let denied = call(&mut connection, request("/my.Service/Do", Some(&scene.token(NARROWED)), full(""))).await;
    assert_eq!(denied.expect("an end").told(), ("7", "every_model_not_granted"));
}

#[tokio::test]
async fn a_connection_that_the_application_ended_is_opened_again() {
    let scene = scene(|_| {}).await;
    let mut connection = scene.connect().await;
    let token = scene.token(LABELER);
    for _ in 0..3 {
        let asked = || request(INFER, Some(&token), full(frame(&field(1, b"iris"))));
        // One that was on its way when the connection ended may be lost; the next one is not.
        let first = call(&mut connection, asked()).await.expect("an end");
        let ended = if first.told().0 == "14" { call(&mut connection, asked()).await.expect("an end") } else { first };
        assert_eq!(ended.told(), ("0", ""), "{ended:?}");
        scene.app.hang_up();
    }
    assert!(scene.app.connections() >= 3);
}

#[tokio::test]
async fn an_application_that_is_not_there_is_unavailable() {
    let free = crate::support::proxy::free_port();
    let scene = scene(|policy| policy["listeners"][0]["upstream"] = json!(free)).await;
    let mut connection = scene.connect().await;
    let asked = request(INFER, Some(&scene.token(LABELER)), full(frame(&field(1, b"iris"))));
    let ended = call(&mut connection, asked).await.expect("an end");
    assert_eq!(ended.told(), ("14", "upstream_refused"), "{ended:?}");
}
