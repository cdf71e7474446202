//! MLServer over gRPC, called with KServe's client.

use serde_json::json;

use crate::{
    guarded::{Guarded, Who, grant},
    mlserver::server,
    process::Program,
};

fn asks(model: &str) -> Program {
    Program::python("kserve", "clients/open_inference_grpc.py").args([model])
}

#[tokio::test]
async fn predictions() {
    let (server, port) = server().await;
    let permissions = &["read", "predict"];
    let grants = [grant(Who::Granted, permissions, None), grant(Who::Narrowed, permissions, Some(&["iris"]))];
    let guarded = Guarded::granting(server, port, "OpenInference", &grants).await;
    let answered = json!({"live": true, "ready": true, "answer": [0]});
    assert_eq!(guarded.client(Who::Granted, asks("rose")).await, answered);
    assert_eq!(guarded.client(Who::Narrowed, asks("iris")).await, answered);
    // Whether the server lives is for everybody.
    for (who, model, code) in [
        (Who::Narrowed, "rose", "PERMISSION_DENIED"),
        (Who::Stranger, "iris", "PERMISSION_DENIED"),
        (Who::Nobody, "iris", "UNAUTHENTICATED"),
    ] {
        let told = guarded.client(who, asks(model)).await;
        assert_eq!(told, json!({"live": true, "ready": code, "answer": code}), "{who:?} {model}");
    }
}
