//! Ray's dashboard (2.60, `ray/dashboard/modules`): jobs, state and Serve.
//!
//! A job is any code on the whole cluster, so what it may touch cannot be told: everything needs a grant of every model, but
//! what is about one application of Serve. Routes between Ray's own processes (`/api/job_agent/…`, `/report_events`,
//! `/api/task_events`) are no routes here.

use super::{ModelUse, Route, WEBSOCKET, Wire};
use crate::core::permission::Permission;

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::EXECUTE, Permission::DEPLOY, Permission::ADMIN];

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match segments {
        ["api", rest @ ..] => api(method, rest),
        _ if matches!(method, "GET" | "HEAD") => look(segments),
        _ => None,
    }
}

/// Below `/api`.
fn api<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let every = |name, permission| Some(Route::new(name, permission, ModelUse::Every));
    match (method, segments) {
        ("GET" | "HEAD", rest) => look_api(rest),
        (WEBSOCKET, ["jobs", id, "logs", "tail"]) if !id.is_empty() => {
            every("/api/jobs/{job}/logs/tail", Permission::READ).map(|route| route.over(Wire::WebSocket))
        }
        ("POST", ["jobs", ""]) => every("/api/jobs/", Permission::EXECUTE),
        ("POST", ["jobs", _, "stop"]) => every("/api/jobs/{job}/stop", Permission::EXECUTE),
        ("DELETE", ["jobs", id]) if !id.is_empty() => every("/api/jobs/{job}", Permission::EXECUTE),
        ("PUT", ["packages", _, _]) => every("/api/packages", Permission::DEPLOY),
        ("PUT" | "DELETE", ["serve", "applications", ""]) => every("/api/serve/applications/", Permission::DEPLOY),
        ("POST", ["v1", "applications", application, "deployments", _, "scale"]) => {
            let name = "/api/v1/applications/{application}/deployments/{deployment}/scale";
            Some(Route::new(name, Permission::DEPLOY, ModelUse::named(application)?))
        }
        _ => None,
    }
}

/// What is only looked at, below `/api`.
fn look_api<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    let (name, models) = match segments {
        ["gcs_healthz"] | ["local_raylet_healthz"] | ["healthz"] => return Some(Route::public("/api/healthz")),
        ["version"] | ["ray", "version"] => ("/api/version", ModelUse::None),
        ["authentication_mode"] => ("/api/authentication_mode", ModelUse::None),
        ["grafana_health"] | ["prometheus_health"] | ["profiling_enabled"] => ("/api/grafana_health", ModelUse::None),
        ["jobs", ""] | ["jobs", _] | ["jobs", _, "logs"] => ("/api/jobs/{job}", ModelUse::Every),
        ["packages", _, _] => ("/api/packages", ModelUse::Every),
        ["serve", "applications", ""] => ("/api/serve/applications/", ModelUse::Every),
        ["cluster_status"] | ["component_activities"] | ["prometheus", "sd"] => {
            ("/api/cluster_status", ModelUse::Every)
        }
        ["train", "v2", "runs"] | ["train", "v2", "runs", "v1"] => ("/api/train/v2/runs", ModelUse::Every),
        ["data", "datasets", _] => ("/api/data/datasets", ModelUse::Every),
        // It waits as long as it is told to.
        ["v0", "delay", ..] => return None,
        ["v0", _, ..] => ("/api/v0", ModelUse::Every),
        _ => return None,
    };
    Some(Route::new(name, Permission::READ, models))
}

/// What is only looked at, elsewhere. Profiling stops or slows whom it looks at, and shows what is in its memory.
fn look<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    let every = |name, permission| Some(Route::new(name, permission, ModelUse::Every));
    match segments {
        ["task" | "worker", "traceback" | "cpu_profile" | "gpu_profile" | "jax_profile"] | ["memory_profile"] => {
            every("/worker/traceback", Permission::ADMIN)
        }
        ["test", "dump"] => every("/test/dump", Permission::ADMIN),
        ["nodes"] | ["nodes", _] => every("/nodes", Permission::READ),
        ["logical", "actors"] | ["logical", "actors", _] => every("/logical/actors", Permission::READ),
        ["events"] => every("/events", Permission::READ),
        ["logs", ..] => every("/logs", Permission::READ),
        ["metrics"] => every("/metrics", Permission::READ),
        ["" | "favicon.ico" | "timezone" | "usage_stats_enabled" | "cluster_id"] | ["static", ..] => {
            Some(Route::new("/", Permission::READ, ModelUse::None))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::protocol::tests::check;

    #[test]
    fn table() {
        let rows = [
            ("GET", "/api/gcs_healthz", Some(("public", "-"))),
            ("GET", "/api/local_raylet_healthz", Some(("public", "-"))),
            ("GET", "/api/version", Some(("read", "-"))),
            ("GET", "/", Some(("read", "-"))),
            ("GET", "/static/js/main.js", Some(("read", "-"))),
            ("POST", "/", None),
            ("GET", "/api/jobs/", Some(("read", "*"))),
            ("GET", "/api/jobs/x", Some(("read", "*"))),
            ("GET", "/api/jobs/x/logs", Some(("read", "*"))),
            ("POST", "/api/jobs/", Some(("execute", "*"))),
            ("POST", "/api/jobs", None),
            ("POST", "/api/jobs/x/stop", Some(("execute", "*"))),
            ("DELETE", "/api/jobs/x", Some(("execute", "*"))),
            ("DELETE", "/api/jobs/", None),
            // Its name is looked up as what it is: a websocket, never a GET.
            ("GET", "/api/jobs/x/logs/tail", None),
            ("WEBSOCKET", "/api/jobs/x/logs/tail", Some(("read", "*"))),
            ("WEBSOCKET", "/api/jobs/x", None),
            ("PUT", "/api/packages/gcs/_ray_pkg_1.zip", Some(("deploy", "*"))),
            ("GET", "/api/packages/gcs/_ray_pkg_1.zip", Some(("read", "*"))),
            ("GET", "/api/serve/applications/", Some(("read", "*"))),
            ("PUT", "/api/serve/applications/", Some(("deploy", "*"))),
            ("DELETE", "/api/serve/applications/", Some(("deploy", "*"))),
            ("POST", "/api/v1/applications/app/deployments/d/scale", Some(("deploy", "app"))),
            ("GET", "/api/v0/actors", Some(("read", "*"))),
            ("GET", "/api/v0/logs/file", Some(("read", "*"))),
            ("GET", "/api/v0/delay/3600", None),
            ("POST", "/api/v0/actors", None),
            ("GET", "/nodes", Some(("read", "*"))),
            ("GET", "/logical/actors/a", Some(("read", "*"))),
            ("GET", "/worker/traceback", Some(("admin", "*"))),
            ("GET", "/worker/cpu_profile", Some(("admin", "*"))),
            ("GET", "/task/cpu_profile", Some(("admin", "*"))),
            ("GET", "/memory_profile", Some(("admin", "*"))),
            ("GET", "/test/dump", Some(("admin", "*"))),
            ("GET", "/metrics", Some(("read", "*"))),
            ("POST", "/api/job_agent/jobs/", None),
            ("POST", "/report_events", None),
            ("POST", "/api/task_events", None),
            ("POST", "/api/authenticate", None),
            ("GET", "/API/jobs/", None),
        ];
        check(route, &rows);
    }
}
