//! Prefect's server with its client, its worker and its websockets.

use serde_json::{Value, json};

use crate::{
    guarded::{Guarded, Who, grant},
    process::{Program, Server, source},
};

async fn guarded() -> Guarded {
    let server = Server::start("/api/health", |port, _| {
        Program::new("prefect", "prefect")
            .args(["server", "start", "--no-ui", "--host", "127.0.0.1", "--port", &port.to_string()])
            .env("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    })
    .await;
    let port = server.address.port();
    let grants = [
        grant(Who::Granted, &["read", "execute", "work", "deploy", "admin"], None),
        // What a worker is granted: it is the one that is narrowed here.
        grant(Who::Narrowed, &["read", "execute", "work"], None),
        grant(Who::Reader, &["read"], None),
    ];
    Guarded::granting(server, port, "Prefect", &grants).await
}

const WORKER: Who = Who::Narrowed;

fn client(what: &[&str]) -> Program {
    Program::python("prefect", "clients/prefect_client.py").args(what)
}

/// A flow is deployed by one, asked for by another, run by a worker and looked at by a fourth, all through the guard.
#[tokio::test]
async fn a_worker_runs_a_flow() {
    let guarded = guarded().await;
    let deploy = ["deploy", &source("apps")];
    let told = guarded.client(WORKER, client(&deploy)).await;
    assert_eq!(told["status"], 403, "{told}");
    let told = guarded.client(Who::Granted, client(&deploy)).await;
    assert_eq!(told["status"], 200, "{told}");

    let told = guarded.client(Who::Reader, client(&["run"])).await;
    assert_eq!(told["status"], 403, "{told}");
    let asked = guarded.client(Who::Granted, client(&["run"])).await;
    let run = asked["run"].as_str().expect("a run").to_owned();

    let told = guarded.client(WORKER, client(&["work"])).await;
    assert_eq!(told, json!({"status": 200}));
    let told = guarded.client(Who::Reader, client(&["wait", &run])).await;
    assert_eq!(told["state"], "COMPLETED", "{told}");

    let told = guarded.client(Who::Reader, client(&["look"])).await;
    assert_eq!(told, json!({"status": 200, "flows": ["doubled"]}));
    for (who, status) in [(Who::Stranger, 403), (Who::Nobody, 401)] {
        let told = guarded.client(who, client(&["look"])).await;
        assert_eq!(told["status"], status, "{who:?} {told}");
    }
    others(&guarded).await;
}

/// What is not for everybody, and events in and out over websockets.
async fn others(guarded: &Guarded) {
    for (who, method, path, status) in [
        (Who::Nobody, "GET", "/api/health", 200),
        (Who::Nobody, "GET", "/api/admin/version", 401),
        (Who::Reader, "GET", "/api/admin/version", 200),
        (Who::Reader, "GET", "/api/admin/settings", 403),
        (Who::Reader, "GET", "/api/work_pools/metal", 200),
        (WORKER, "DELETE", "/api/work_pools/metal", 403),
        (Who::Granted, "DELETE", "/api/work_pools/metal", 204),
    ] {
        assert_eq!(guarded.call(who, method, path).await.status, status, "{who:?} {method} {path}");
    }
    let everything: &Value = &json!({});
    for (who, path, status) in [
        (Who::Reader, "/api/block_documents/filter", 403),
        (WORKER, "/api/block_documents/filter", 200),
        (Who::Reader, "/api/flows/filter", 200),
        (WORKER, "/api/flows/bulk_delete", 403),
    ] {
        assert_eq!(guarded.post(who, path, "", everything).await.status, status, "{who:?} {path}");
    }
    let told = guarded.client(WORKER, client(&["listen"])).await;
    assert_eq!(told, json!({"status": 200, "heard": "keywire.heard"}));
}
