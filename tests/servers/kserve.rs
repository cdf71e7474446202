//! KServe's Python server and its client: v1, which is TensorFlow Serving's API, and v2.

use serde_json::json;

use crate::{
    guarded::{Guarded, Who},
    process::{Program, Server},
};

async fn server() -> Server {
    Server::start("/v2/health/ready", |port, _| Program::python("kserve", "apps/kserve_app.py").args([port])).await
}

fn asks(protocol: &str, model: &str) -> Program {
    Program::python("kserve", "clients/open_inference.py").args([protocol, model])
}

/// The same for both: who has one model gets that one.
async fn one_of_two(guarded: &Guarded, protocol: &str) {
    for (who, model) in [(Who::Granted, "large"), (Who::Narrowed, "small")] {
        let told = guarded.client(who, asks(protocol, model)).await;
        assert_eq!(told, json!({"status": 200, "ready": true, "answer": [4]}), "{who:?}");
    }
    for (who, status) in [(Who::Narrowed, 403), (Who::Stranger, 403), (Who::Nobody, 401)] {
        let told = guarded.client(who, asks(protocol, "large")).await;
        assert_eq!(told["status"], status, "{who:?} {told}");
    }
}

#[tokio::test]
async fn v1() {
    let guarded = Guarded::new(server().await, "TensorFlowServing", &["read", "predict"], &["small"]).await;
    one_of_two(&guarded, "v1").await;
    let question = json!({"instances": [[1, 2]]});
    for (path, status) in [
        ("/v1/models/small:predict", 200),
        ("/v1/models/large:predict", 403),
        // This server decodes before it looks for the colon.
        ("/v1/models/large%3Apredict", 400),
        ("/v1/models/%6Carge:predict", 400),
        ("/v1/models/small:predict/../large:predict", 400),
    ] {
        let answer = guarded.post(Who::Narrowed, path, "", &question).await;
        assert_eq!(answer.status, status, "{path} {}", answer.body);
    }
}

#[tokio::test]
async fn v2() {
    let guarded = Guarded::new(server().await, "OpenInference", &["read", "predict"], &["small"]).await;
    one_of_two(&guarded, "v2").await;
    one_of_two(&guarded, "v1").await;
    for path in ["/v1/models", "/v2/models"] {
        let mut shown = vec![];
        for who in [Who::Granted, Who::Narrowed] {
            shown.push(guarded.call(who, "GET", path).await.json()["models"].clone());
        }
        assert_eq!(shown, [json!(["small", "large"]), json!(["small"])], "{path}");
    }
    for (path, status) in [("/v2", 200), ("/v2/models/small", 200), ("/v2/models/large", 403), ("/openapi.json", 403)] {
        assert_eq!(guarded.call(Who::Narrowed, "GET", path).await.status, status, "{path}");
    }
}
