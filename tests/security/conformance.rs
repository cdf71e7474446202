//! A table for each protocol: request → decision. Each is gone through over HTTP/1.1 and over HTTP/2.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Answer, call, raw},
    h2,
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

/// A client whose grant is of one model.
const NARROWED: &str = "narrow.agents.workload";

/// Who calls: nobody, the labeler (granted predict and read, on every model),
/// a narrowed one (predict and read, only on iris), or one without a grant.
#[derive(Clone, Copy, Debug)]
enum Who {
    Nobody,
    Labeler,
    Narrowed,
    Stranger,
}

/// Adds a grant that is narrowed to iris.
fn narrow(policy: &mut Value, permissions: &[&str]) {
    let grant =
        json!({"name": "narrow", "subject": {"client": NARROWED}, "permissions": permissions, "models": ["iris"]});
    policy["grants"].as_array_mut().expect("grants").push(grant);
}

/// A token with every role there is.
fn token(issuer: &Issuer, proxy: &Proxy, who: Who) -> Option<String> {
    let client = match who {
        Who::Nobody => return None,
        Who::Labeler => LABELER,
        Who::Narrowed => NARROWED,
        Who::Stranger => "stranger.agents.workload",
    };
    let every = ["read", "predict", "fine-tune", "deploy", "admin", "execute"];
    Some(issuer.token(ENDPOINT, client, &every, proxy.now()))
}

/// What a request is sent over.
#[derive(Clone, Copy, Debug)]
enum Over {
    Http1,
    Http2,
}

const BOTH: [Over; 2] = [Over::Http1, Over::Http2];

/// A request with a JSON body, or one without.
async fn ask(proxy: &Proxy, over: Over, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
    match over {
        Over::Http1 => post(proxy, method, path, token, body).await,
        Over::Http2 => {
            let mut connection = h2::Connection::open(proxy.guard_address()).await;
            connection.call(method, path, token, body).await.expect("an answer")
        }
    }
}

/// A request with a JSON body.
async fn post(proxy: &Proxy, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
    let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let fields = format!("Host: a\r\n{token}Content-Type: application/json\r\nContent-Length: {}", body.len());
    let request = format!("{method} {path} HTTP/1.1\r\n{fields}\r\n\r\n{body}");
    raw(proxy.guard_address(), request).await.expect("an answer")
}

#[tokio::test]
async fn open_inference() {
    use Who::*;
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        policy["models"] = json!(["iris", "rose"]);
        narrow(policy, &["predict", "read", "deploy", "execute"]);
    })
    .await;
    let token = |who: Who| token(&issuer, &proxy, who);
    for (method, path, who, status, reason) in [
        ("GET", "/v2/health/live", Nobody, 200, ""),
        ("GET", "/v2/health/ready", Nobody, 200, ""),
        ("POST", "/v2/health/ready", Nobody, 401, "token_missing"),
        ("GET", "/hello", Nobody, 200, ""),
        ("POST", "/hello", Nobody, 401, "token_missing"),
        ("POST", "/hello", Labeler, 403, "unknown_route"),
        ("GET", "/v2", Nobody, 401, "token_missing"),
        ("GET", "/v2", Labeler, 200, ""),
        ("GET", "/v2", Narrowed, 200, ""),
        ("GET", "/v2", Stranger, 403, "no_grant"),
        ("GET", "/v2/models/iris", Labeler, 200, ""),
        ("GET", "/v2/models/iris/ready", Labeler, 200, ""),
        ("GET", "/v2/models/iris/versions/1/ready", Labeler, 200, ""),
        ("POST", "/v2/models/iris/infer", Labeler, 200, ""),
        ("POST", "/v2/models/iris/infer?x=1", Labeler, 200, ""),
        ("POST", "/v2/models/iris/infer", Nobody, 401, "token_missing"),
        ("POST", "/v2/models/iris/infer", Stranger, 403, "no_grant"),
        ("POST", "/v2/models/iris/infer", Narrowed, 200, ""),
        ("POST", "/v2/models/rose/infer", Narrowed, 403, "model_not_granted"),
        ("POST", "/v2/models/rose/infer", Labeler, 200, ""),
        ("POST", "/v2/models/tulip/infer", Labeler, 403, "model_not_served"),
        ("POST", "/v2/models/Iris/infer", Labeler, 403, "model_not_served"),
        ("POST", "/v2/models/iris/versions/2/infer", Narrowed, 200, ""),
        ("POST", "/v2/repository/index", Stranger, 403, "no_grant"),
        ("POST", "/v2/repository/models/iris/load", Labeler, 403, "permission_not_granted"),
        ("POST", "/v2/repository/models/iris/load", Narrowed, 200, ""),
        ("POST", "/v2/repository/models/rose/unload", Narrowed, 403, "model_not_granted"),
        ("POST", "/v2/trace/setting", Labeler, 403, "permission_not_granted"),
        ("GET", "/v1/models", Stranger, 403, "no_grant"),
        ("POST", "/v1/models/iris:predict", Narrowed, 200, ""),
        ("POST", "/v1/models/iris:explain", Narrowed, 200, ""),
        ("POST", "/v1/models/rose:explain", Narrowed, 403, "model_not_granted"),
        ("POST", "/v1/models/iris:train", Labeler, 403, "unknown_route"),
        // Plain requests for what is served over gRPC.
        ("POST", "/inference.GRPCInferenceService/ModelInfer", Labeler, 403, "unknown_route"),
        ("POST", "/inference.GRPCInferenceService/ServerLive", Nobody, 401, "token_missing"),
        ("POST", "/grpc.health.v1.Health/Check", Nobody, 401, "token_missing"),
        ("GET", "/tools/iris/run", Narrowed, 200, ""),
        ("GET", "/tools/rose/run", Narrowed, 403, "model_not_granted"),
        ("GET", "/tools/iris/run", Labeler, 403, "permission_not_granted"),
        ("GET", "/open/anything/at/all", Labeler, 200, ""),
        ("GET", "/open/anything", Narrowed, 403, "every_model_not_granted"),
        ("GET", "/metrics", Labeler, 403, "unknown_route"),
        ("GET", "/", Labeler, 403, "unknown_route"),
        ("GET", "/V2", Labeler, 403, "unknown_route"),
        ("GET", "/v2/", Labeler, 403, "unknown_route"),
        ("DELETE", "/v2/models/iris", Labeler, 403, "unknown_route"),
        ("BREW", "/v2/models/iris", Labeler, 403, "unknown_route"),
    ] {
        for over in BOTH {
            let before = app.heads().len();
            let answer = ask(&proxy, over, method, path, token(who).as_deref(), "").await;
            let found = (answer.status, answer.reason());
            assert_eq!((found.0, found.1.as_str()), (status, reason), "{over:?} {method} {path} {who:?}: {answer:?}");
            let forwarded = app.heads().len() - before;
            assert_eq!(
                forwarded,
                usize::from(status == 200),
                "{over:?} {method} {path} {who:?} reached the application"
            );
            if status != 200 {
                assert_eq!(answer.header("x-keywire-reason"), Some(reason), "{over:?} {method} {path}");
            }
        }
    }
    assert!(
        proxy
            .metric(
                "keywire_guard_requests_total{decision=\"allowed\",reason=\"granted\",permission=\"predict\",model=\"iris\"}"
            )
            .await
            >= 4.0
    );
    assert!(
        proxy
            .metric("keywire_guard_requests_total{decision=\"denied\",reason=\"no_grant\",permission=\"predict\",model=\"iris\"}")
            .await
            >= 1.0
    );
}

#[tokio::test]
async fn tensorflow_serving() {
    use Who::*;
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        policy["protocol"] = json!("TensorFlowServing");
        narrow(policy, &["predict", "read"]);
    })
    .await;
    for (method, path, who, status, reason) in [
        ("GET", "/v1/models/iris", Narrowed, 200, ""),
        ("GET", "/v1/models/iris/metadata", Narrowed, 200, ""),
        ("GET", "/v1/models/iris/versions/3", Narrowed, 200, ""),
        ("GET", "/v1/models/iris/labels/stable/metadata", Narrowed, 200, ""),
        ("POST", "/v1/models/iris:predict", Narrowed, 200, ""),
        ("POST", "/v1/models/iris:classify", Narrowed, 200, ""),
        ("POST", "/v1/models/iris/versions/3:regress", Narrowed, 200, ""),
        ("POST", "/v1/models/rose:predict", Labeler, 200, ""),
        ("GET", "/v1/models/iris", Nobody, 401, "token_missing"),
        ("POST", "/v1/models/iris:predict", Nobody, 401, "token_missing"),
        ("POST", "/v1/models/iris:predict", Stranger, 403, "no_grant"),
        ("POST", "/v1/models/rose:predict", Narrowed, 403, "model_not_granted"),
        ("POST", "/v1/models/rose/versions/3:predict", Narrowed, 403, "model_not_granted"),
        ("GET", "/v1/models/rose/metadata", Narrowed, 403, "model_not_granted"),
        // What the server would take, but is not the documented spelling.
        ("POST", "/v1/models/IRIS:predict", Narrowed, 403, "model_not_granted"),
        ("POST", "/V1/Models/iris:predict", Labeler, 403, "unknown_route"),
        ("POST", "/v1/models/iris:PREDICT", Labeler, 403, "unknown_route"),
        ("POST", "/v1/models/iris%20:predict", Labeler, 403, "unknown_route"),
        ("POST", "/v1/models/iris%3apredict", Labeler, 400, "ambiguous_percent"),
        ("POST", "/v1/models/iris;x:predict", Labeler, 400, "path_parameter"),
        ("POST", "/v1/models/iris:predict:classify", Labeler, 403, "unknown_route"),
        ("GET", "/v1/models", Labeler, 403, "unknown_route"),
        ("GET", "/monitoring/prometheus/metrics", Labeler, 403, "unknown_route"),
    ] {
        for over in BOTH {
            let answer = ask(&proxy, over, method, path, token(&issuer, &proxy, who).as_deref(), "").await;
            let found = answer.header("x-keywire-reason").unwrap_or_default();
            assert_eq!((answer.status, found), (status, reason), "{over:?} {method} {path} {who:?}: {answer:?}");
            if status != 200 {
                // The server's own form: a text.
                let body = answer.json();
                assert!(body["error"].is_string() && body.as_object().is_some_and(|all| all.len() == 1), "{body}");
            }
        }
    }
    assert_eq!(app.heads().len(), BOTH.len() * 8, "only what was allowed went on");
}

#[tokio::test]
async fn openai() {
    use Who::*;
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        policy["protocol"] = json!("OpenAI");
        narrow(policy, &["predict", "read", "fine-tune", "deploy"]);
    })
    .await;
    let (iris, rose) = (r#"{"model":"iris"}"#, r#"{"model":"rose"}"#);
    for (method, path, body, who, status, reason) in [
        ("GET", "/health", "", Nobody, 200, ""),
        ("GET", "/v1/models/iris", "", Narrowed, 200, ""),
        ("GET", "/v1/models/org/iris", "", Labeler, 200, ""),
        ("POST", "/v1/chat/completions", iris, Narrowed, 200, ""),
        ("POST", "/v1/completions", iris, Narrowed, 200, ""),
        ("POST", "/v1/responses", iris, Narrowed, 200, ""),
        ("POST", "/v1/embeddings", iris, Narrowed, 200, ""),
        ("POST", "/v1/messages?beta=true", iris, Narrowed, 200, ""),
        ("POST", "/tokenize", iris, Narrowed, 200, ""),
        ("POST", "/v1/fine_tuning/jobs", iris, Narrowed, 200, ""),
        ("POST", "/models/load", iris, Narrowed, 200, ""),
        ("POST", "/api/chat", iris, Narrowed, 200, ""),
        ("POST", "/api/pull", r#"{"model":"","name":"iris"}"#, Narrowed, 200, ""),
        ("DELETE", "/api/delete", iris, Narrowed, 200, ""),
        ("POST", "/v1/chat/completions", rose, Labeler, 200, ""),
        ("POST", "/generate", "{}", Labeler, 200, ""),
        ("GET", "/v1/responses/r", "", Labeler, 200, ""),
        ("GET", "/v1/models", "", Nobody, 401, "token_missing"),
        ("POST", "/v1/chat/completions", iris, Nobody, 401, "token_missing"),
        ("POST", "/v1/chat/completions", iris, Stranger, 403, "no_grant"),
        ("POST", "/v1/chat/completions", rose, Narrowed, 403, "model_not_granted"),
        ("POST", "/v1/embeddings", rose, Narrowed, 403, "model_not_granted"),
        ("POST", "/api/pull", r#"{"name":"rose"}"#, Narrowed, 403, "model_not_granted"),
        ("POST", "/api/pull", r#"{"model":"iris","name":"rose"}"#, Narrowed, 400, "two_names"),
        ("DELETE", "/api/delete", rose, Narrowed, 403, "model_not_granted"),
        ("GET", "/v1/models/org/iris", "", Narrowed, 403, "model_not_granted"),
        ("POST", "/v1/fine_tuning/jobs", iris, Labeler, 403, "permission_not_granted"),
        ("POST", "/models/load", iris, Labeler, 403, "permission_not_granted"),
        // Which model it is cannot be told.
        ("POST", "/generate", iris, Narrowed, 403, "every_model_not_granted"),
        ("GET", "/v1/responses/r", "", Narrowed, 403, "every_model_not_granted"),
        ("POST", "/v1/batches", iris, Narrowed, 403, "every_model_not_granted"),
        ("POST", "/v1/files", "{}", Narrowed, 403, "every_model_not_granted"),
        ("POST", "/v1/load_lora_adapter", "{}", Narrowed, 403, "every_model_not_granted"),
        ("POST", "/collective_rpc", "{}", Labeler, 403, "permission_not_granted"),
        ("POST", "/v1/audio/transcriptions", iris, Labeler, 415, "content_type"),
        ("GET", "/v1/realtime?model=iris", "", Labeler, 403, "unknown_route"),
        ("WEBSOCKET", "/v1/realtime?model=iris", "", Labeler, 403, "unknown_route"),
        ("POST", "/invocations", iris, Labeler, 403, "unknown_route"),
        ("POST", "/V1/chat/completions", iris, Labeler, 403, "unknown_route"),
        ("POST", "/v1/chat/completions/", iris, Labeler, 403, "unknown_route"),
        ("POST", "/metrics", iris, Labeler, 403, "unknown_route"),
    ] {
        for over in BOTH {
            let answer = ask(&proxy, over, method, path, token(&issuer, &proxy, who).as_deref(), body).await;
            let found = answer.header("x-keywire-reason").unwrap_or_default();
            assert_eq!((answer.status, found), (status, reason), "{over:?} {method} {path} {body} {who:?}: {answer:?}");
            if status != 200 {
                let error = &answer.json()["error"];
                assert_eq!((&error["code"], &error["param"]), (&json!(reason), &Value::Null), "{answer:?}");
                assert!(error["message"].is_string() && error["type"].is_string(), "{answer:?}");
            }
        }
    }
    assert_eq!(app.heads().len(), BOTH.len() * 17, "only what was allowed went on");
    for head in app.heads().iter().skip(1) {
        assert!(!head.contains("authorization"), "{head}");
    }
}

#[tokio::test]
async fn refusals_say_what_is_missing_and_whom_to_ask() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let address = proxy.guard_address();

    let missing = call(address, "POST", "/v2/models/iris/infer", None).await;
    let challenge = "Bearer realm=\"iris.vision.endpoint\", scope=\"iris.vision.endpoint:predict\"";
    assert_eq!(missing.header("www-authenticate"), Some(challenge));

    let invalid = call(address, "POST", "/v2/models/iris/infer", Some("a.b.c")).await;
    assert_eq!(invalid.status, 401);
    let challenge =
        "Bearer realm=\"iris.vision.endpoint\", error=\"invalid_token\", scope=\"iris.vision.endpoint:predict\"";
    assert_eq!(invalid.header("www-authenticate"), Some(challenge));
    assert_eq!(invalid.json()["error"], "invalid_token");

    let visitor = issuer.token(ENDPOINT, "visitor.agents.workload", &["predict"], proxy.now());
    let denied = call(address, "POST", "/v2/models/iris/infer", Some(&visitor)).await;
    assert_eq!(denied.status, 403);
    let challenge =
        "Bearer realm=\"iris.vision.endpoint\", error=\"insufficient_scope\", scope=\"iris.vision.endpoint:predict\"";
    assert_eq!(denied.header("www-authenticate"), Some(challenge));
    let message = denied.json()["message"].as_str().unwrap_or_default().to_owned();
    assert!(
        message.contains("visitor.agents.workload")
            && message.contains("\"predict\"")
            && message.contains("vision/iris")
            && message.contains("AccessGrant"),
        "{message}"
    );
    assert!(!denied.body.contains(&visitor), "the token is in the answer");
}
