//! Dagster's webserver: GraphQL, whose method says nothing of what it does, and its websocket.

use std::fs;

use serde_json::json;

use crate::{
    guarded::{Guarded, Who, grant},
    process::{Program, Server, source},
};

async fn guarded() -> Guarded {
    let server = Server::start("/server_info", |port, directory| {
        fs::copy(source("apps/dagster.yaml"), directory.join("dagster.yaml")).expect("copied");
        Program::new("dagster", "dagster-webserver")
            .args(["-h", "127.0.0.1", "-p", &port.to_string(), "-f", &source("apps/dagster_assets.py")])
            .env("DAGSTER_HOME", directory.display())
    })
    .await;
    let port = server.address.port();
    let grants = [grant(Who::Granted, &["read", "execute"], None), grant(Who::Reader, &["read"], None)];
    Guarded::granting(server, port, "Dagster", &grants).await
}

fn client(what: &str) -> Program {
    Program::python("dagster", "clients/dagster_client.py").args([what])
}

#[tokio::test]
async fn a_job_runs() {
    let guarded = guarded().await;
    let jobs = json!({"status": 200, "jobs": ["__ASSET_JOB", "nightly"]});
    assert_eq!(guarded.client(Who::Reader, client("look")).await, jobs);
    let told = guarded.client(Who::Reader, client("run")).await;
    assert_eq!(told["status"], 403, "{told}");
    let told = guarded.client(Who::Granted, client("run")).await;
    assert_eq!(told, json!({"status": 200, "state": "SUCCESS"}));
    for (who, status) in [(Who::Stranger, 403), (Who::Nobody, 401)] {
        for what in ["look", "run", "follow"] {
            let told = guarded.client(who, client(what)).await;
            assert_eq!(told["status"], status, "{who:?} {what} {told}");
        }
    }
    mutations_in_disguise(&guarded).await;
    let told = guarded.client(Who::Reader, client("follow")).await;
    assert_eq!(told, json!({"status": 200, "last": "RunSuccessEvent"}));
}

/// All of these change something at this server, and one who reads may do none of them.
async fn mutations_in_disguise(guarded: &Guarded) {
    let mutation = "mutation%7BreloadWorkspace%7B__typename%7D%7D";
    for path in [
        format!("/graphql?query={mutation}"),
        // The last one counts.
        format!("/graphql?query=%7Bversion%7D&query={mutation}"),
        "/graphql?query=query%20A%7Bversion%7D%20mutation%20B%7BreloadWorkspace%7B__typename%7D%7D&operationName=B"
            .to_owned(),
        "/%67raphql?query=%7Bversion%7D".to_owned(),
    ] {
        let answer = guarded.call(Who::Reader, "GET", &path).await;
        assert!(matches!(answer.status, 400 | 403), "{path} {}", answer.body);
        let answer = guarded.call(Who::Reader, "POST", &path).await;
        assert!(matches!(answer.status, 400 | 403 | 415), "{path} {}", answer.body);
    }
    for body in [
        json!({"query": "mutation{reloadWorkspace{__typename}}"}),
        json!({"query": "query A{version} mutation B{reloadWorkspace{__typename}}", "operationName": "B"}),
    ] {
        // What asks for two things of different permissions is refused as such.
        let answer = guarded.post(Who::Reader, "/graphql", "", &body).await;
        assert!(matches!(answer.status, 400 | 403), "{body} {}", answer.body);
    }
    for path in ["/report_asset_materialization/numbers", "/report_asset_observation/numbers"] {
        assert_eq!(guarded.post(Who::Reader, path, "", &json!({})).await.status, 403, "{path}");
        assert_eq!(guarded.post(Who::Granted, path, "", &json!({})).await.status, 200, "{path}");
    }
    for (who, path, status) in [
        (Who::Reader, "/graphql?query=%7Bversion%7D", 200),
        (Who::Nobody, "/graphql?query=%7Bversion%7D", 401),
        (Who::Nobody, "/server_info", 200),
    ] {
        assert_eq!(guarded.call(who, "GET", path).await.status, status, "{who:?} {path}");
    }
}
