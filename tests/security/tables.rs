//! The tables of TorchServe, Prefect, MLflow, Ray, Dagster and KServe, each row through a real guard: with the permission
//! it asks for and no other it passes, with all others it does not.

use serde_json::json;

use crate::support::{
    app::App,
    client::{Answer, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, Proxy},
};

const EVERY: [&str; 8] = ["read", "predict", "execute", "train", "fine-tune", "work", "deploy", "admin"];
/// May do everything with everything.
const ROOT: &str = "root.agents.workload";
/// May do everything with `iris`.
const NARROWED: &str = "narrow.agents.workload";

/// What a row touches: nothing that a narrowed grant is narrowed by, `iris`, or all there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Touches {
    Nothing,
    Iris,
    All,
}
use Touches::{All, Iris, Nothing};

/// Method, target, body, what it asks for.
type Row<'a> = (&'a str, &'a str, &'a str, &'a str, Touches);

struct Guarded {
    issuer: Issuer,
    app: App,
    proxy: Proxy,
}

impl Guarded {
    async fn new(protocol: &str) -> Self {
        let (issuer, app) = (Issuer::start().await, App::start().await);
        let proxy = Proxy::ready(&issuer, &app, |policy| {
            policy["protocol"] = json!(protocol);
            policy["rules"] = json!([]);
            let grant = |client: &str, permissions: &[&str]| json!({"name": client, "subject": {"client": client}, "permissions": permissions});
            let mut grants = vec![grant(ROOT, &EVERY), grant(NARROWED, &EVERY)];
            grants[1]["models"] = json!(["iris"]);
            for permission in EVERY {
                let others: Vec<&str> = EVERY.into_iter().filter(|other| *other != permission).collect();
                grants.push(grant(permission, &[permission]));
                grants.push(grant(&format!("not-{permission}"), &others));
            }
            policy["grants"] = json!(grants);
        })
        .await;
        Self { issuer, app, proxy }
    }

    async fn send(&self, client: Option<&str>, method: &str, target: &str, body: &str) -> Answer {
        let token = client.map(|client| self.issuer.token(ENDPOINT, client, &EVERY, self.proxy.now()));
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{token}{kind}Content-Length: {length}\r\n\r\n{body}");
        raw(self.proxy.guard_address(), request).await.expect("an answer")
    }

    /// Status and reason.
    async fn told(&self, client: Option<&str>, method: &str, target: &str, body: &str) -> (u16, String) {
        let answer = self.send(client, method, target, body).await;
        (answer.status, answer.header("x-keywire-reason").unwrap_or_default().to_owned())
    }

    async fn check(&self, rows: &[Row<'_>]) {
        for (method, target, body, need, touches) in rows {
            let row = format!("{method} {target} {body}");
            let told = |client: Option<String>| async move { self.told(client.as_deref(), method, target, body).await };
            assert_eq!(told(None).await, (401, "token_missing".into()), "{row}");
            assert_eq!(told(Some((*need).to_owned())).await, (200, String::new()), "{row} with {need} alone");
            let others = told(Some(format!("not-{need}"))).await;
            assert_eq!(others, (403, "permission_not_granted".into()), "{row} with all but {need}");
            let reason = match touches {
                Nothing | Iris => (200, String::new()),
                All => (403, "every_model_not_granted".into()),
            };
            assert_eq!(told(Some(NARROWED.to_owned())).await, reason, "{row} narrowed to iris");
            if *touches == Iris {
                let (target, body) = (target.replace("iris", "rose"), body.replace("iris", "rose"));
                let rose = self.told(Some(NARROWED), method, &target, &body).await;
                assert_eq!(rose, (403, "model_not_granted".into()), "{row} of rose");
            }
        }
    }

    /// Nobody may, whatever is granted.
    async fn check_denied(&self, rows: &[(&str, &str)]) {
        let before = self.app.heads().len();
        for (method, target) in rows {
            assert_eq!(
                self.told(Some(ROOT), method, target, "").await,
                (403, "unknown_route".into()),
                "{method} {target}"
            );
        }
        assert_eq!(self.app.heads().len(), before);
    }

    async fn check_public(&self, targets: &[&str]) {
        for target in targets {
            assert_eq!(self.send(None, "GET", target, "").await.status, 200, "{target}");
        }
    }

    /// A list, as a narrowed caller sees it.
    async fn list(&self, method: &str, target: &str, body: &str, answer: &str) -> Answer {
        let length = answer.len();
        self.app.script(&format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{answer}"
        ));
        self.send(Some(NARROWED), method, target, body).await
    }
}

#[tokio::test]
async fn torchserve() {
    let guarded = Guarded::new("TorchServe").await;
    guarded.check_public(&["/ping", "/v2/health/ready"]).await;
    guarded
        .check(&[
            ("OPTIONS", "/", "", "read", Nothing),
            ("POST", "/predictions/iris", "{}", "predict", Iris),
            ("PUT", "/predictions/iris/1.0/more", "{}", "predict", Iris),
            ("POST", "/explanations/iris", "{}", "predict", Iris),
            ("POST", "/v1/models/iris:predict", "{}", "predict", Iris),
            ("POST", "/v2/models/iris/infer", "{}", "predict", Iris),
            ("POST", "/models/iris/invoke", "{}", "predict", Iris),
            ("POST", "/wfpredict/w", "{}", "predict", All),
            ("GET", "/models/iris", "", "read", Iris),
            ("PUT", "/models/iris?min_worker=3", "", "deploy", Iris),
            ("PUT", "/models/iris/1.0/set-default", "", "deploy", Iris),
            ("DELETE", "/models/iris/1.0", "", "deploy", Iris),
            ("POST", "/models?url=iris.mar", "", "deploy", All),
            ("GET", "/workflows", "", "read", All),
            ("GET", "/metrics", "", "read", All),
        ])
        .await;
    guarded
        .check_denied(&[
            ("GET", "/models/iris/invoke"),
            ("PUT", "/models/iris/invoke"),
            ("POST", "/v2/models/iris:x/infer"),
            ("POST", "/invocations?model_name=iris"),
            ("POST", "/iris/predict"),
            ("GET", "/workflows/predict"),
            ("GET", "/token?type=management"),
        ])
        .await;
    let models =
        r#"{"nextPageToken":"2","models":[{"modelName":"iris","modelUrl":"i"},{"modelName":"rose","modelUrl":"r"}]}"#;
    let shown = guarded.list("GET", "/models", "", models).await;
    assert_eq!(shown.json(), json!({"nextPageToken": "2", "models": [{"modelName": "iris", "modelUrl": "i"}]}));
}

#[tokio::test]
async fn open_inference_lists_are_the_callers() {
    let guarded = Guarded::new("OpenInference").await;
    let index = r#"[{"name":"iris","state":"READY"},{"name":"rose","state":"READY"}]"#;
    let shown = guarded.list("POST", "/v2/repository/index", r#"{"ready":true}"#, index).await;
    assert_eq!(shown.json(), json!([{"name": "iris", "state": "READY"}]));
    assert_eq!(guarded.app.bodies().last().map(String::as_str), Some(r#"{"ready":true}"#));
    for target in ["/v2/models", "/v1/models"] {
        let shown = guarded.list("GET", target, "", r#"{"models":["iris","rose"]}"#).await;
        assert_eq!(shown.json(), json!({"models": ["iris"]}), "{target}");
        let shown = guarded.list("GET", target, "", r#""rose""#).await;
        assert_eq!((shown.status, shown.reason().as_str()), (502, "list_unreadable"), "{target}");
    }
    guarded
        .check(&[
            ("GET", "/v1/models/iris", "", "read", Iris),
            ("POST", "/v1/models/iris:predict", "{}", "predict", Iris),
            ("POST", "/v1/models/iris:explain", "{}", "predict", Iris),
        ])
        .await;
    guarded.check_denied(&[("POST", "/v1/models/iris:x:predict"), ("POST", "/v1/models/iris")]).await;
}

#[tokio::test]
async fn prefect() {
    let guarded = Guarded::new("Prefect").await;
    guarded.check_public(&["/api/health", "/api/ready"]).await;
    guarded
        .check(&[
            ("GET", "/api/version", "", "read", Nothing),
            ("GET", "/", "", "read", Nothing),
            ("GET", "/api/flow_runs/x", "", "read", All),
            ("POST", "/api/flow_runs/filter", "{}", "read", All),
            ("POST", "/api/ui/flow_runs/history", "{}", "read", All),
            ("GET", "/api/block_documents/x?include_secrets=true", "", "work", All),
            ("POST", "/api/block_documents/filter", r#"{"include_secrets":true}"#, "work", All),
            ("GET", "/api/block_types/slug/s/block_documents/name/n", "", "work", All),
            ("GET", "/api/admin/settings", "", "admin", All),
            ("POST", "/api/deployments/x/create_flow_run", "{}", "execute", All),
            ("POST", "/api/flow_runs/x/set_state", "{}", "execute", All),
            ("POST", "/api/work_pools/p/get_scheduled_flow_runs", "{}", "work", All),
            ("POST", "/api/work_pools/p/workers/heartbeat", "{}", "work", All),
            ("POST", "/api/task_runs/", "{}", "work", All),
            ("POST", "/api/deployments/", "{}", "deploy", All),
            ("PATCH", "/api/deployments/x", "{}", "deploy", All),
            ("POST", "/api/work_pools/", "{}", "admin", All),
            ("POST", "/api/variables/", "{}", "admin", All),
            ("DELETE", "/api/flow_runs/x", "", "admin", All),
            ("POST", "/api/admin/database/clear", "{}", "admin", All),
        ])
        .await;
    guarded
        .check_denied(&[
            ("GET", "/prefect/api/block_documents/x"),
            ("GET", "/API/block_documents/x"),
            ("POST", "/api/unknown/filter"),
        ])
        .await;
}

#[tokio::test]
async fn mlflow() {
    let guarded = Guarded::new("MLflow").await;
    guarded.check_public(&["/health", "/version"]).await;
    let iris = r#"{"name":"iris"}"#;
    guarded
        .check(&[
            ("GET", "/", "", "read", Nothing),
            ("GET", "/api/2.0/mlflow/registered-models/get?name=iris", "", "read", Iris),
            ("GET", "/ajax-api/2.0/mlflow/model-versions/get?name=iris&version=1", "", "read", Iris),
            ("GET", "/model-versions/get-artifact?name=iris&path=a", "", "read", Iris),
            ("POST", "/api/2.0/mlflow/registered-models/get-latest-versions", iris, "read", Iris),
            ("POST", "/api/2.0/mlflow/registered-models/create", iris, "deploy", Iris),
            ("PATCH", "/api/2.0/mlflow/model-versions/update", iris, "deploy", Iris),
            ("DELETE", "/api/2.0/mlflow/registered-models/delete", iris, "deploy", Iris),
            ("POST", "/api/2.0/mlflow/model-versions/create", iris, "deploy", All),
            ("POST", "/api/2.0/mlflow/registered-models/rename", iris, "deploy", All),
            ("GET", "/api/2.0/mlflow/registered-models/search", "", "read", All),
            ("POST", "/api/2.0/mlflow/runs/search", "{}", "read", All),
            ("POST", "/api/2.0/mlflow/runs/create", "{}", "train", All),
            ("POST", "/api/2.0/mlflow/runs/delete", "{}", "admin", All),
            ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a/b/c/d/e/f/g/h/i", "{}", "train", All),
            ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/1/a", "", "admin", All),
            ("POST", "/api/2.0/mlflow/webhooks", "{}", "admin", All),
            ("POST", "/ajax-api/2.0/mlflow/gateway-proxy", "{}", "admin", All),
            ("POST", "/api/2.0/mlflow/users/create", "{}", "admin", All),
            ("POST", "/graphql", "{}", "read", All),
        ])
        .await;
    guarded
        .check_denied(&[
            ("POST", "/gateway/e/mlflow/invocations"),
            ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
            ("POST", "/ajax-api/3.0/jobs/"),
        ])
        .await;
    // Where the server looks elsewhere than the guard, or in two places, there is no answer.
    let get = "/api/2.0/mlflow/registered-models/get";
    let update = "/api/2.0/mlflow/registered-models/update";
    for (method, target, body, status, reason) in [
        ("GET", get.to_owned(), iris, 400, "model_missing"),
        ("GET", format!("{get}?name="), iris, 400, "model_missing"),
        ("GET", format!("{get}?x=1"), iris, 400, "model_missing"),
        ("GET", format!("{get}?name=iris&name=rose"), "", 400, "duplicate_parameter"),
        ("GET", format!("{get}?name=rose"), iris, 403, "model_not_granted"),
        ("PATCH", format!("{update}?name=iris"), r#"{"name":"rose"}"#, 400, "model_in_head"),
        ("PATCH", update.to_owned(), r#"{"name":"iris","name":"rose"}"#, 400, "duplicate_member"),
        ("PATCH", update.to_owned(), r#"{"name":"iris","Name":"rose"}"#, 400, "lookalike_member"),
        // Encoded twice, as the server takes it from old clients.
        ("PATCH", update.to_owned(), r#""{\"name\":\"rose\"}""#, 400, "not_an_object"),
        ("PATCH", update.to_owned(), "{}", 400, "model_missing"),
    ] {
        let told = guarded.told(Some(NARROWED), method, &target, body).await;
        assert_eq!(told, (status, reason.to_owned()), "{method} {target} {body}");
    }
}

#[tokio::test]
async fn ray() {
    let guarded = Guarded::new("Ray").await;
    guarded.check_public(&["/api/gcs_healthz", "/api/local_raylet_healthz"]).await;
    guarded
        .check(&[
            ("GET", "/api/version", "", "read", Nothing),
            ("GET", "/api/jobs/", "", "read", All),
            ("POST", "/api/jobs/", r#"{"entrypoint":"id"}"#, "execute", All),
            ("POST", "/api/jobs/x/stop", "", "execute", All),
            ("DELETE", "/api/jobs/x", "", "execute", All),
            ("PUT", "/api/packages/gcs/p.zip", "{}", "deploy", All),
            ("PUT", "/api/serve/applications/", "{}", "deploy", All),
            ("POST", "/api/v1/applications/iris/deployments/d/scale", "{}", "deploy", Iris),
            ("GET", "/api/v0/actors", "", "read", All),
            ("GET", "/worker/traceback?pid=1", "", "admin", All),
            ("GET", "/memory_profile", "", "admin", All),
        ])
        .await;
    guarded
        .check_denied(&[
            ("POST", "/api/jobs"),
            ("POST", "/api/job_agent/jobs/"),
            ("GET", "/api/v0/delay/3600"),
            ("GET", "/api/jobs/x/logs/tail"),
            ("POST", "/api/task_events"),
        ])
        .await;
}

#[tokio::test]
async fn dagster() {
    let guarded = Guarded::new("Dagster").await;
    guarded.check_public(&["/server_info"]).await;
    guarded
        .check(&[
            ("GET", "/", "", "read", Nothing),
            ("GET", "/runs/r", "", "read", Nothing),
            ("GET", "/logs/r/compute.err", "", "read", All),
            ("GET", "/download_debug/r", "", "read", All),
            ("POST", "/report_asset_materialization/a/b", "", "execute", All),
            ("POST", "/report_asset_check/a", "{}", "execute", All),
        ])
        .await;
    // An asset called `graphql`: its body does not say what that needs.
    let told = guarded.told(Some(ROOT), "POST", "/report_asset_check/graphql", r#"{"query":"{version}"}"#).await;
    assert_eq!(told, (403, "unknown_route".to_owned()));
    guarded
        .check_denied(&[("PUT", "/graphql"), ("POST", "/graphql/"), ("POST", "/runs/r"), ("POST", "/server_info")])
        .await;
}
