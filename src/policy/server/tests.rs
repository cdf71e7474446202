use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{http::Request, routing::post};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use kube::Client;
use prometheus_client::registry::Registry;
use serde_json::Value;

use super::*;

/// An API server that knows the token `iris` (of vision/iris) and no ConfigMap.
fn api_server(reviews: Arc<AtomicUsize>) -> Client {
    let review = move |Json(review): Json<Value>| {
        reviews.fetch_add(1, Ordering::SeqCst);
        let known = review["spec"]["token"] == "iris" && review["spec"]["audiences"] == json!(["keywire-policy"]);
        let status = json!({"authenticated": known, "audiences": ["keywire-policy"],
            "user": {"username": "system:serviceaccount:vision:iris"}});
        async move { Json(json!({"metadata": {}, "spec": review["spec"], "status": status})) }
    };
    let missing =
        async || (StatusCode::NOT_FOUND, Json(json!({"status": "Failure", "reason": "NotFound", "code": 404})));
    let routes = Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review))
        .route("/api/v1/namespaces/{namespace}/configmaps/{name}", get(missing));
    Client::new(routes, "default")
}

struct Stream {
    service: TowerToHyperService<Router>,
    documents: Arc<Documents>,
    reviews: Arc<AtomicUsize>,
    readiness: Readiness,
    _running: tokio::sync::watch::Sender<bool>,
}

fn stream() -> Stream {
    let (reviews, documents, readiness) = (Arc::default(), Arc::new(Documents::default()), Readiness::default());
    let (running, shutdown) = Shutdown::channel();
    let client = api_server(Arc::clone(&reviews));
    let router = router(Streams {
        documents: Arc::clone(&documents),
        source: Source::new(client.clone(), Arc::clone(&documents)),
        authenticator: Authenticator::new(client),
        metrics: Metrics::new(&mut Registry::default()),
        contact: Arc::default(),
        readiness: readiness.clone(),
        shutdown,
    });
    Stream { service: TowerToHyperService::new(router), documents, reviews, readiness, _running: running }
}

impl Stream {
    async fn get(&self, path: &str, token: Option<&str>) -> axum::http::Response<Body> {
        let mut request = Request::get(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        self.service.call(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    /// Status and, where it is a refusal, its code.
    async fn answer(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let response = self.get(path, token).await;
        let status = response.status().as_u16();
        if status == 200 {
            return (status, String::new());
        }
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert!(body["message"].is_string(), "{body}");
        (status, body["error"].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn only_the_own_namespace_and_only_with_a_token() {
    let stream = stream();
    for (path, token, expected) in [
        ("/v1/guard/vision/iris", Some("iris"), (200, "")),
        ("/v1/egress/vision/anything?after=0", Some("iris"), (200, "")),
        ("/v1/guard/vision/iris", None, (401, "missing_token")),
        ("/v1/guard/vision/iris", Some("other"), (401, "invalid_token")),
        ("/v1/guard/agents/iris", Some("iris"), (403, "other_namespace")),
        ("/v1/guard/agents/iris", Some("other"), (401, "invalid_token")),
        ("/v1/secrets/vision/iris", Some("iris"), (404, "not_found")),
        ("/v1/guard/vision/..%2Fsecrets%2Fx", Some("iris"), (404, "not_found")),
        ("/v1/guard/vision", Some("iris"), (404, "not_found")),
        ("/v1/guard/vision/iris?after=-1", Some("iris"), (400, "bad_query")),
    ] {
        let expected = (expected.0, expected.1.to_owned());
        assert_eq!(stream.answer(path, token).await, expected, "{path} {token:?}");
    }
    let pending = stream.readiness.pending("documents");
    assert_eq!(stream.answer("/v1/guard/vision/iris", Some("iris")).await, (503, "not_ready".into()));
    pending.done();
}

#[tokio::test]
async fn a_good_token_is_reviewed_once_a_bad_one_each_time() {
    let stream = stream();
    for _ in 0..3 {
        assert_eq!(stream.answer("/v1/guard/vision/iris", Some("iris")).await.0, 200);
    }
    assert_eq!(stream.reviews.load(Ordering::SeqCst), 1);
    for _ in 0..2 {
        assert_eq!(stream.answer("/v1/guard/vision/iris", Some("bad")).await.0, 401);
    }
    assert_eq!(stream.reviews.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_client_that_was_away_hears_of_the_deletion() {
    let stream = stream();
    let mut body = stream.get("/v1/guard/vision/iris?after=41", Some("iris")).await.into_body();
    let line = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(line, "{\"deleted\":true,\"number\":42}\n");
    let key = DocumentKey { kind: DocumentKind::Guard, object: Ref::new("vision", "iris") };
    stream.documents.publish(key, Version { number: 50, line: "new\n".into(), deleted: false, only_for: None });
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "new\n");
}
