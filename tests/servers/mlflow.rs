//! MLflow's tracking server and registry, with its client.

use serde_json::json;

use crate::{
    guarded::{Guarded, Who, grant},
    process::{Program, Server},
};

async fn guarded() -> Guarded {
    let server = Server::start("/health", |port, _| {
        Program::new("mlflow", "mlflow")
            .args(["server", "--host", "127.0.0.1", "--port", &port.to_string(), "--workers", "1"])
            .args(["--backend-store-uri", "sqlite:///mlflow.db", "--artifacts-destination", "artifacts"])
            .env("MLFLOW_DISABLE_TELEMETRY", "true")
    })
    .await;
    let port = server.address.port();
    let all = &["read", "train", "deploy", "admin"];
    let grants = [
        grant(Who::Granted, all, None),
        grant(Who::Narrowed, all, Some(&["first"])),
        grant(Who::Reader, &["read"], None),
    ];
    Guarded::granting(server, port, "MLflow", &grants).await
}

fn client(what: &[&str]) -> Program {
    Program::python("mlflow", "clients/mlflow_client.py").args(what).env("MLFLOW_DISABLE_TELEMETRY", "true")
}

#[tokio::test]
async fn training_is_tracked() {
    let guarded = guarded().await;
    let told = guarded.client(Who::Granted, client(&["train", "first"])).await;
    assert_eq!(told["status"], 200, "{told}");
    let found = json!({"status": 200, "experiments": ["Default", "first"], "metrics": [{"accuracy": 0.9}],
        "texts": ["a note"], "models": ["first"]});
    let told = guarded.client(Who::Reader, client(&["search"])).await;
    assert_eq!(told, found);
    assert_eq!(told, guarded.unguarded(client(&["search"])).await);
    for (who, what, words) in [
        (Who::Reader, ["train", "second"], "holds no grant"),
        (Who::Reader, ["delete", "first"], "holds no grant"),
        (Who::Stranger, ["train", "second"], "holds no grant"),
        (Who::Nobody, ["train", "second"], "needs a bearer token"),
    ] {
        let told = guarded.client(who, client(&what)).await;
        assert!(told["said"].as_str().is_some_and(|said| said.contains(words)), "{who:?} {what:?} {told}");
    }
    registry(&guarded).await;
    let told = guarded.client(Who::Granted, client(&["delete", "first"])).await;
    assert_eq!(told["status"], 200, "{told}");
}

/// A registered model is what a grant names.
async fn registry(guarded: &Guarded) {
    let create = "/api/2.0/mlflow/registered-models/create";
    assert_eq!(guarded.post(Who::Granted, create, "", &json!({"name": "second"})).await.status, 200);
    for (who, path, status) in [
        (Who::Narrowed, "/api/2.0/mlflow/registered-models/get?name=first", 200),
        (Who::Narrowed, "/api/2.0/mlflow/registered-models/get?name=second", 403),
        (Who::Narrowed, "/ajax-api/2.0/mlflow/registered-models/get?name=second", 403),
        (Who::Reader, "/api/2.0/mlflow/registered-models/get?name=second", 200),
        (Who::Reader, "/api/3.0/mlflow/gateway/secrets/list", 403),
        (Who::Reader, "/ajax-api/2.0/mlflow/gateway-proxy?gateway_path=x", 403),
        (Who::Nobody, "/api/2.0/mlflow/registered-models/get?name=first", 401),
        (Who::Nobody, "/health", 200),
    ] {
        let answer = guarded.call(who, "GET", path).await;
        assert_eq!(answer.status, status, "{who:?} {path} {}", answer.body);
    }
    let tag = json!({"name": "first", "key": "k", "value": "v"});
    let other = json!({"name": "second", "key": "k", "value": "v"});
    let path = "/api/2.0/mlflow/registered-models/set-tag";
    assert_eq!(guarded.post(Who::Narrowed, path, "", &tag).await.status, 200);
    assert_eq!(guarded.post(Who::Narrowed, path, "", &other).await.status, 403);
    assert_eq!(guarded.post(Who::Reader, path, "", &tag).await.status, 403);
}
