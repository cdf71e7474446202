//! MLflow's tracking server and registry (3.17): `/api/2.0|3.0/mlflow/…`, the same below `/ajax-api`, artifacts, and the UI.
//!
//! A registered model is what a grant calls a model. Where a route is about one, its name is in the query of a GET and in
//! the JSON of anything else, as the server has it: it looks into the body of a GET only where the query is empty, and of
//! a HEAD always, so there is no HEAD here. What is about runs and experiments needs a grant of every model.

use super::{BodyModel, JsonModel, ModelUse, Route};
use crate::core::permission::Permission;

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::TRAIN, Permission::DEPLOY, Permission::ADMIN];

/// What training writes down: below `/mlflow/`.
const RECORDS: [&str; 12] = [
    "artifacts",
    "datasets",
    "experiments",
    "issues",
    "label-schemas",
    "logged-models",
    "metrics",
    "review-queues",
    "runs",
    "scorers",
    "traces",
    "upload-artifact",
];

const IN_QUERY: ModelUse<'static> = ModelUse::InQuery("name");
const IN_BODY: ModelUse<'static> = ModelUse::InBody(BodyModel::Json(JsonModel::Member("name")));

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("GET", ["health"]) => Some(Route::public("/health")),
        ("GET", ["version"]) => Some(Route::public("/version")),
        (_, ["api" | "ajax-api", "2.0" | "3.0", rest @ ..]) => api(method, rest),
        ("GET", ["metrics"]) => every("/metrics", Permission::READ),
        ("GET", ["get-artifact"]) => every("/get-artifact", Permission::READ),
        ("GET", ["model-versions", "get-artifact"]) => {
            Some(Route::new("/model-versions/get-artifact", Permission::READ, IN_QUERY))
        }
        // All that its mutations do is search.
        ("GET" | "POST", ["graphql"]) => every("/graphql", Permission::READ),
        // OpenTelemetry.
        ("POST", ["v1", "traces"]) => every("/v1/traces", Permission::TRAIN),
        ("GET", [""] | ["static-files" | "build", ..]) => about_server("pages"),
        _ => None,
    }
}

fn about_server<'a>(name: &'static str) -> Option<Route<'a>> {
    Some(Route::new(name, Permission::READ, ModelUse::None))
}

fn every<'a>(name: &'a str, permission: &'static str) -> Option<Route<'a>> {
    Some(Route::new(name, permission, ModelUse::Every))
}

fn api<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match segments {
        ["mlflow", "registered-models", rest @ ..] => registered_model(method, rest),
        ["mlflow", "model-versions", rest @ ..] => model_version(method, rest),
        ["mlflow", rest @ ..] => administer(method, rest).or_else(|| record(method, rest)),
        ["mlflow-artifacts", rest @ ..] => artifacts(method, rest),
        _ => None,
    }
}

/// `registered-models/…`
fn registered_model<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let (name, permission, models) = match (method, segments) {
        ("GET", ["get"]) => ("registered-models/get", Permission::READ, IN_QUERY),
        ("GET", ["alias"]) => ("registered-models/alias", Permission::READ, IN_QUERY),
        ("GET", ["get-latest-versions"]) => ("registered-models/get-latest-versions", Permission::READ, IN_QUERY),
        ("POST", ["get-latest-versions"]) => ("registered-models/get-latest-versions", Permission::READ, IN_BODY),
        ("GET", ["search"]) => ("registered-models/search", Permission::READ, ModelUse::Every),
        ("POST", ["create"]) => ("registered-models/create", Permission::DEPLOY, IN_BODY),
        ("PATCH", ["update"]) => ("registered-models/update", Permission::DEPLOY, IN_BODY),
        ("DELETE", ["delete"]) => ("registered-models/delete", Permission::DEPLOY, IN_BODY),
        ("POST", ["set-tag"]) | ("DELETE", ["delete-tag"]) => {
            ("registered-models/set-tag", Permission::DEPLOY, IN_BODY)
        }
        ("POST" | "DELETE", ["alias"]) => ("registered-models/alias", Permission::DEPLOY, IN_BODY),
        // To another name, which may be granted to somebody else.
        ("POST", ["rename"]) => ("registered-models/rename", Permission::DEPLOY, ModelUse::Every),
        (_, ["permissions", ..]) => ("registered-models/permissions", Permission::ADMIN, ModelUse::Every),
        _ => return None,
    };
    Some(Route::new(name, permission, models))
}

/// `model-versions/…`
fn model_version<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let (name, permission, models) = match (method, segments) {
        ("GET", ["get"]) => ("model-versions/get", Permission::READ, IN_QUERY),
        ("GET", ["get-download-uri"]) => ("model-versions/get-download-uri", Permission::READ, IN_QUERY),
        ("GET", ["search"]) => ("model-versions/search", Permission::READ, ModelUse::Every),
        // Its `source` may be another model's files, which could then be read as this one's.
        ("POST", ["create"]) => ("model-versions/create", Permission::DEPLOY, ModelUse::Every),
        ("PATCH", ["update"]) => ("model-versions/update", Permission::DEPLOY, IN_BODY),
        ("DELETE", ["delete"]) => ("model-versions/delete", Permission::DEPLOY, IN_BODY),
        ("POST", ["transition-stage"]) => ("model-versions/transition-stage", Permission::DEPLOY, IN_BODY),
        ("POST", ["set-tag"]) | ("DELETE", ["delete-tag"]) => ("model-versions/set-tag", Permission::DEPLOY, IN_BODY),
        _ => return None,
    };
    Some(Route::new(name, permission, models))
}

/// Users, rights, secrets, what makes the server call others (webhooks, gateway, judges), and what is gone for good.
fn administer<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let name = match (method, segments) {
        ("GET", ["server-info"]) | ("GET" | "POST", ["ui-telemetry"]) => return about_server("server-info"),
        ("GET", ["workspaces", ..]) => return every("workspaces", Permission::READ),
        (_, ["workspaces", ..]) => "workspaces",
        (_, ["users", ..]) => "users",
        (_, ["roles", ..]) => "roles",
        (_, [_, "permissions", ..]) => "permissions",
        (_, ["webhooks", ..]) => "webhooks",
        (_, ["gateway", ..] | ["gateway-proxy"]) => "gateway",
        (_, ["demo", ..]) => "demo",
        ("POST", ["scorer" | "issues", "invoke"] | ["genai", "evaluate", "invoke"]) => "invoke",
        ("GET", ["jobs", _] | ["prompt-optimization", ..]) | ("POST", ["prompt-optimization", "jobs", "search"]) => {
            return every("jobs", Permission::READ);
        }
        (_, ["jobs" | "prompt-optimization", ..]) => "jobs",
        // Code, run by the server.
        ("POST" | "PUT" | "DELETE", ["scorers", ..]) => "scorers",
        ("POST", ["runs" | "experiments", "delete" | "restore"] | ["review-queues", "delete"]) => "runs/delete",
        ("POST", ["traces", "delete-traces"]) => "traces/delete-traces",
        // But for a tag.
        ("DELETE", [collection, rest @ ..]) if RECORDS.contains(collection) && !rest.contains(&"tags") => "delete",
        _ => return None,
    };
    every(name, Permission::ADMIN)
}

/// Runs, experiments, metrics, traces, logged models, datasets.
fn record<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("GET", ["get-trace-artifact" | "unified-traces" | "get-online-trace-details"]) => {
            every("traces", Permission::READ)
        }
        ("POST", ["experiments", "search-datasets"]) => every("datasets", Permission::READ),
        ("POST", ["traces", "batchGetInfos" | "calculate-filter-correlation" | "metrics"]) => {
            every("traces", Permission::READ)
        }
        ("POST", ["artifacts", "presigned-download-url"]) => every("artifacts", Permission::READ),
        ("POST", [collection, "search"]) | ("GET", [collection, ..]) if RECORDS.contains(collection) => {
            every(collection, Permission::READ)
        }
        ("POST" | "PATCH" | "PUT" | "DELETE", [collection, ..]) if RECORDS.contains(collection) => {
            every(collection, Permission::TRAIN)
        }
        _ => None,
    }
}

/// `/mlflow-artifacts/…`: files, with a path of their own behind.
fn artifacts<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let permission = match (method, segments) {
        ("GET", ["artifacts", ..] | ["presigned", _, ..]) => Permission::READ,
        ("PUT", ["artifacts", _, ..]) | ("POST", ["mpu", "create" | "complete" | "abort", _, ..]) => Permission::TRAIN,
        ("DELETE", ["artifacts", _, ..]) => Permission::ADMIN,
        _ => return None,
    };
    every("mlflow-artifacts", permission)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::protocol::tests::check;

    #[test]
    fn registry() {
        let (query, body) = ("in query name", "in JSON name");
        let rows = [
            ("GET", "registered-models/get", Some(("read", query))),
            ("HEAD", "registered-models/get", None),
            ("GET", "registered-models/alias", Some(("read", query))),
            ("POST", "registered-models/alias", Some(("deploy", body))),
            ("DELETE", "registered-models/alias", Some(("deploy", body))),
            ("GET", "registered-models/get-latest-versions", Some(("read", query))),
            ("POST", "registered-models/get-latest-versions", Some(("read", body))),
            ("GET", "registered-models/search", Some(("read", "*"))),
            ("POST", "registered-models/create", Some(("deploy", body))),
            ("PATCH", "registered-models/update", Some(("deploy", body))),
            ("DELETE", "registered-models/delete", Some(("deploy", body))),
            ("POST", "registered-models/set-tag", Some(("deploy", body))),
            ("DELETE", "registered-models/delete-tag", Some(("deploy", body))),
            ("POST", "registered-models/rename", Some(("deploy", "*"))),
            ("POST", "registered-models/permissions/create", Some(("admin", "*"))),
            ("POST", "registered-models/unknown", None),
            ("GET", "model-versions/get", Some(("read", query))),
            ("GET", "model-versions/get-download-uri", Some(("read", query))),
            ("GET", "model-versions/search", Some(("read", "*"))),
            ("POST", "model-versions/create", Some(("deploy", "*"))),
            ("PATCH", "model-versions/update", Some(("deploy", body))),
            ("POST", "model-versions/transition-stage", Some(("deploy", body))),
            ("DELETE", "model-versions/delete", Some(("deploy", body))),
            ("POST", "model-versions/set-tag", Some(("deploy", body))),
        ];
        for (method, path, expected) in rows {
            for prefix in ["/api/2.0", "/ajax-api/2.0", "/api/3.0"] {
                check(route, &[(method, &format!("{prefix}/mlflow/{path}"), expected)]);
            }
            check(route, &[(method, &format!("/api/2.1/mlflow/{path}"), None)]);
        }
    }

    #[test]
    fn records() {
        let rows = [
            ("GET", "experiments/get-by-name", Some(("read", "*"))),
            ("POST", "experiments/search", Some(("read", "*"))),
            ("POST", "experiments/create", Some(("train", "*"))),
            ("POST", "experiments/delete-experiment-tag", Some(("train", "*"))),
            ("POST", "experiments/delete", Some(("admin", "*"))),
            ("POST", "experiments/restore", Some(("admin", "*"))),
            ("POST", "experiments/permissions/create", Some(("admin", "*"))),
            ("GET", "runs/get", Some(("read", "*"))),
            ("POST", "runs/search", Some(("read", "*"))),
            ("POST", "runs/create", Some(("train", "*"))),
            ("POST", "runs/log-batch", Some(("train", "*"))),
            ("POST", "runs/delete-tag", Some(("train", "*"))),
            ("POST", "runs/delete", Some(("admin", "*"))),
            ("GET", "metrics/get-history", Some(("read", "*"))),
            ("GET", "artifacts/list", Some(("read", "*"))),
            ("POST", "artifacts/presigned-download-url", Some(("read", "*"))),
            ("POST", "artifacts/presigned-upload-url", Some(("train", "*"))),
            ("POST", "upload-artifact", Some(("train", "*"))),
            ("POST", "logged-models", Some(("train", "*"))),
            ("POST", "logged-models/search", Some(("read", "*"))),
            ("PATCH", "logged-models/m", Some(("train", "*"))),
            ("DELETE", "logged-models/m", Some(("admin", "*"))),
            ("DELETE", "logged-models/m/tags/t", Some(("train", "*"))),
            ("POST", "traces/search", Some(("read", "*"))),
            ("POST", "traces/batchGetInfos", Some(("read", "*"))),
            ("POST", "traces", Some(("train", "*"))),
            ("POST", "traces/t/assessments", Some(("train", "*"))),
            ("POST", "traces/delete-traces", Some(("admin", "*"))),
            ("GET", "scorers/list", Some(("read", "*"))),
            ("POST", "scorers/register", Some(("admin", "*"))),
            ("PUT", "scorers/online-config", Some(("admin", "*"))),
            ("POST", "scorer/invoke", Some(("admin", "*"))),
            ("POST", "genai/evaluate/invoke", Some(("admin", "*"))),
            ("POST", "issues/invoke", Some(("admin", "*"))),
            ("POST", "issues", Some(("train", "*"))),
            ("GET", "webhooks", Some(("admin", "*"))),
            ("POST", "webhooks/w/test", Some(("admin", "*"))),
            ("POST", "gateway-proxy", Some(("admin", "*"))),
            ("GET", "gateway-proxy", Some(("admin", "*"))),
            ("GET", "gateway/secrets/list", Some(("admin", "*"))),
            ("POST", "users/create", Some(("admin", "*"))),
            ("GET", "server-info", Some(("read", "-"))),
            ("GET", "unknown/get", None),
            ("POST", "assistant/message", None),
            ("POST", "mcp-servers", None),
        ];
        for (method, path, expected) in rows {
            check(route, &[(method, &format!("/api/2.0/mlflow/{path}"), expected)]);
        }
    }

    #[test]
    fn the_rest() {
        let rows = [
            ("GET", "/health", Some(("public", "-"))),
            ("GET", "/version", Some(("public", "-"))),
            ("GET", "/", Some(("read", "-"))),
            ("GET", "/static-files/js/a/b.js", Some(("read", "-"))),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts", Some(("read", "*"))),
            ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/a/b/c/d/e/f/g/h", Some(("read", "*"))),
            ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/a", Some(("train", "*"))),
            ("POST", "/api/2.0/mlflow-artifacts/mpu/create/1/a", Some(("train", "*"))),
            ("DELETE", "/api/2.0/mlflow-artifacts/artifacts/1/a", Some(("admin", "*"))),
            ("DELETE", "/api/2.0/mlflow-artifacts/artifacts", None),
            ("GET", "/get-artifact", Some(("read", "*"))),
            ("GET", "/model-versions/get-artifact", Some(("read", "in query name"))),
            ("POST", "/graphql", Some(("read", "*"))),
            ("POST", "/v1/traces", Some(("train", "*"))),
            ("POST", "/gateway/e/mlflow/invocations", None),
            ("POST", "/ajax-api/3.0/jobs/", None),
            ("POST", "/invocations", None),
            ("GET", "/signup", None),
        ];
        check(route, &rows);
    }
}
