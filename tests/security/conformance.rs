//! One table: request → decision.

use crate::support::{
    app::App,
    client::call,
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

/// Who calls: nobody, the labeler (granted predict and read, on every model),
/// a narrowed one (predict and read, only on iris), or one without a grant.
#[derive(Clone, Copy, Debug)]
enum Who {
    Nobody,
    Labeler,
    Narrowed,
    Stranger,
}

#[tokio::test]
async fn request_to_decision() {
    use Who::*;
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        policy["models"] = serde_json::json!(["iris", "rose"]);
        let narrowed = serde_json::json!({"name": "narrow", "subject": {"client": "narrow.agents.workload"},
            "permissions": ["predict", "read", "deploy", "execute"], "models": ["iris"]});
        policy["grants"].as_array_mut().expect("grants").push(narrowed);
    })
    .await;
    let every = ["read", "predict", "deploy", "admin", "execute"];
    let token = |who: Who| {
        let client = match who {
            Nobody => return None,
            Labeler => LABELER,
            Narrowed => "narrow.agents.workload",
            Stranger => "stranger.agents.workload",
        };
        Some(issuer.token(ENDPOINT, client, &every, proxy.now()))
    };
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
        ("POST", "/v2/repository/index", Labeler, 200, ""),
        ("POST", "/v2/repository/index", Narrowed, 403, "every_model_not_granted"),
        ("POST", "/v2/repository/models/iris/load", Labeler, 403, "permission_not_granted"),
        ("POST", "/v2/repository/models/iris/load", Narrowed, 200, ""),
        ("POST", "/v2/repository/models/rose/unload", Narrowed, 403, "model_not_granted"),
        ("POST", "/v2/trace/setting", Labeler, 403, "permission_not_granted"),
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
        let before = app.heads().len();
        let answer = call(proxy.guard_address(), method, path, token(who).as_deref()).await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{method} {path} {who:?}: {answer:?}");
        let forwarded = app.heads().len() - before;
        assert_eq!(forwarded, usize::from(status == 200), "{method} {path} {who:?} reached the application");
        if status != 200 {
            assert_eq!(answer.header("x-keywire-reason"), Some(reason), "{method} {path}");
        }
    }
    assert!(
        proxy
            .metric("keywire_guard_requests_total{decision=\"allowed\",reason=\"granted\",permission=\"predict\"}")
            .await
            >= 4.0
    );
    assert!(
        proxy
            .metric("keywire_guard_requests_total{decision=\"denied\",reason=\"no_grant\",permission=\"predict\"}")
            .await
            >= 1.0
    );
}

#[tokio::test]
async fn refusals_say_what_is_missing_and_whom_to_ask() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let address = proxy.guard_address();

    let missing = call(address, "POST", "/v2/models/iris/infer", None).await;
    assert_eq!(missing.header("www-authenticate"), Some("Bearer realm=\"iris.vision.endpoint\""));

    let invalid = call(address, "POST", "/v2/models/iris/infer", Some("a.b.c")).await;
    assert_eq!(invalid.status, 401);
    let challenge = "Bearer realm=\"iris.vision.endpoint\", error=\"invalid_token\"";
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
