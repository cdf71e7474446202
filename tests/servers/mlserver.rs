//! MLServer, called with KServe's client.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    guarded::{Guarded, Who, grant},
    process::{Program, Server, folder},
    support::proxy::free_port,
};

/// With one model under two names. The gRPC port comes with it.
pub async fn server() -> (Server, u16) {
    let grpc = free_port();
    let server = Server::start("/v2/health/ready", |port, directory| {
        for name in ["iris", "rose"] {
            model(&directory.join("models").join(name), name);
        }
        Program::new("mlserver", "mlserver")
            .args(["start", "models"])
            .env("MLSERVER_HOST", "127.0.0.1")
            .env("MLSERVER_HTTP_PORT", port)
            .env("MLSERVER_GRPC_PORT", grpc)
            .env("MLSERVER_METRICS_PORT", free_port())
            .env("MLSERVER_PARALLEL_WORKERS", 0)
    })
    .await;
    (server, grpc)
}

fn model(directory: &Path, name: &str) {
    let file = folder("mlserver").join("iris/model.joblib");
    let settings =
        json!({"name": name, "implementation": "mlserver_sklearn.SKLearnModel", "parameters": {"uri": file}});
    fs::create_dir_all(directory).expect("a directory");
    fs::write(directory.join("model-settings.json"), settings.to_string()).expect("written");
}

fn asks(model: &str) -> Program {
    Program::python("kserve", "clients/open_inference.py").args(["v2", model])
}

#[tokio::test]
async fn rest() {
    let (server, _) = server().await;
    let port = server.address.port();
    let all = &["read", "predict", "deploy"];
    let grants = [
        grant(Who::Granted, all, None),
        grant(Who::Narrowed, all, Some(&["iris"])),
        grant(Who::Reader, &["read"], None),
    ];
    let guarded = Guarded::granting(server, port, "OpenInference", &grants).await;

    let told = guarded.client(Who::Granted, asks("rose")).await;
    assert_eq!(told, json!({"status": 200, "ready": true, "answer": [0]}));
    assert_eq!(told, guarded.unguarded(asks("rose")).await);
    let told = guarded.client(Who::Narrowed, asks("iris")).await;
    assert_eq!(told, json!({"status": 200, "ready": true, "answer": [0]}));
    for (who, model, status) in [(Who::Narrowed, "rose", 403), (Who::Stranger, "iris", 403), (Who::Nobody, "iris", 401)]
    {
        let told = guarded.client(who, asks(model)).await;
        assert_eq!(told["status"], status, "{who:?} {model} {told}");
    }

    let told = guarded.client(Who::Reader, asks("rose")).await;
    assert_eq!(told, json!({"status": 403, "ready": true}));

    // What the server makes of the other routes, and that the guard lets through what it means to.
    for (who, method, path, status) in [
        (Who::Nobody, "GET", "/v2/health/live", 200),
        (Who::Granted, "GET", "/v2", 200),
        (Who::Narrowed, "GET", "/v2/models/iris", 200),
        (Who::Narrowed, "GET", "/v2/models/rose", 403),
        (Who::Granted, "GET", "/v2/docs", 403),
        (Who::Granted, "GET", "/metrics", 403),
    ] {
        assert_eq!(guarded.call(who, method, path).await.status, status, "{who:?} {method} {path}");
    }
    loads(&guarded).await;
}

/// The index shows what the caller may use; loading is of one.
async fn loads(guarded: &Guarded) {
    for (who, shown) in [(Who::Granted, &["iris", "rose"][..]), (Who::Narrowed, &["iris"])] {
        let index = guarded.post(who, "/v2/repository/index", "", &json!({})).await.json();
        let mut names: Vec<&str> =
            index.as_array().into_iter().flatten().filter_map(|model| model["name"].as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, shown, "{who:?} {index}");
    }
    for (who, path, status) in [
        (Who::Narrowed, "/v2/repository/models/rose/unload", 403),
        (Who::Granted, "/v2/repository/models/rose/unload", 200),
        (Who::Granted, "/v2/models/rose/infer", 404),
        (Who::Narrowed, "/v2/repository/models/iris/unload", 200),
        (Who::Narrowed, "/v2/repository/models/iris/load", 200),
        (Who::Granted, "/v2/repository/models/rose/load", 200),
    ] {
        let answer = guarded.post(who, path, "", &json!({"inputs": []})).await;
        assert_eq!(answer.status, status, "{who:?} {path} {}", answer.body);
    }
}
