//! Prefect 3's server (3.8.8), below `/api`, and its pages.
//!
//! Who may look may not see the blocks: they hold secrets, and only workers ask for them. What a run does to itself
//! (`set_state`, runs of its subflows) and what a person does to it are the same routes, so a worker is granted `read`,
//! `execute` and `work`. There are no models here: a grant narrowed to some opens what is about the server as such.

use super::{ModelUse, Route, WEBSOCKET, Wire};
use crate::core::permission::Permission;

/// What the table can ask for.
pub const PERMISSIONS: &[&str] =
    &[Permission::READ, Permission::EXECUTE, Permission::WORK, Permission::DEPLOY, Permission::ADMIN];

/// The collections below `/api` that are looked at with GET.
const LOOKED_AT: [&str; 22] = [
    "artifacts",
    "automations",
    "block_capabilities",
    "block_documents",
    "block_schemas",
    "block_types",
    "collections",
    "concurrency_limits",
    "deployments",
    "events",
    "flow_run_states",
    "flow_runs",
    "flows",
    "logs",
    "saved_searches",
    "task_run_states",
    "task_runs",
    "ui",
    "v2",
    "variables",
    "work_pools",
    "work_queues",
];

/// Where the pages of its UI are.
const PAGES: [&str; 25] = [
    "",
    "artifacts",
    "assets",
    "automations",
    "blocks",
    "concurrency-limits",
    "dashboard",
    "deployments",
    "docs",
    "events",
    "flow-runs",
    "flows",
    "ico",
    "login",
    "notifications",
    "openapi.json",
    "redoc",
    "runs",
    "settings",
    "task-runs",
    "ui-settings",
    "v2",
    "variables",
    "work-pools",
    "work-queues",
];

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("GET", ["api", "health"]) => Some(Route::public("/api/health")),
        ("GET", ["api", "ready"]) => Some(Route::public("/api/ready")),
        (WEBSOCKET, ["api", rest @ ..]) => websocket(rest),
        (_, ["api", "admin", rest @ ..]) => admin(method, rest),
        ("GET", ["api", rest @ ..]) => look(rest),
        ("POST", ["api", rest @ ..]) => view(rest).or_else(|| post(rest)),
        (_, ["api", rest @ ..]) => change(method, rest),
        ("GET" | "HEAD", [first, rest @ ..]) if is_page(first, rest) => about_server("pages"),
        _ => None,
    }
}

fn about_server<'a>(name: &'static str) -> Option<Route<'a>> {
    Some(Route::new(name, Permission::READ, ModelUse::None))
}

fn every<'a>(name: &'a str, permission: &'static str) -> Option<Route<'a>> {
    Some(Route::new(name, permission, ModelUse::Every))
}

/// A page or a file beside it. Not just anything: with another base path the API would be among it.
fn is_page(first: &str, rest: &[&str]) -> bool {
    PAGES.contains(&first) || (rest.is_empty() && first.contains('.'))
}

/// Below `/api/admin`.
fn admin<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("GET", ["version"]) => about_server("/api/admin/version"),
        // Where results are kept: with the block that opens it.
        ("GET", ["storage"]) => every("/api/admin/storage", Permission::WORK),
        _ => every("/api/admin", Permission::ADMIN),
    }
}

/// What is looked at.
fn look<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    match segments {
        ["version" | "hello" | "csrf-token" | "docs" | "redoc" | "openapi.json"] | ["docs", _] | ["static", ..] => {
            about_server("/api/version")
        }
        // Secrets: by id, and by the type's name.
        ["block_documents", ..] | ["block_types", _, _, "block_documents", ..] => {
            every("block_documents", Permission::WORK)
        }
        ["metrics"] => every("/api/metrics", Permission::READ),
        [collection, ..] if LOOKED_AT.contains(collection) => every(collection, Permission::READ),
        _ => None,
    }
}

/// What is looked at with a POST.
fn view<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    match segments {
        // With secrets, where its body says so.
        ["block_documents", "filter"] => every("block_documents", Permission::WORK),
        ["ui", ..] => every("ui", Permission::READ),
        ["events", "count-by", _] => every("events", Permission::READ),
        ["flow_runs", "lateness"] => every("/api/flow_runs/lateness", Permission::READ),
        ["task_workers", "filter"] => every("/api/task_workers/filter", Permission::READ),
        ["templates", "validate"] | ["automations", "templates", "validate"] => {
            every("/api/templates/validate", Permission::READ)
        }
        ["work_pools" | "work_queues", _, "concurrency_status"] => every("concurrency_status", Permission::READ),
        [collection, .., "filter" | "count" | "paginate" | "history"] if LOOKED_AT.contains(collection) => {
            every(collection, Permission::READ)
        }
        _ => None,
    }
}

/// What is done with a POST.
fn post<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    if let Some(route) = run(segments).or_else(|| work(segments)) {
        return Some(route);
    }
    match segments {
        ["deployments", ""] => every("/api/deployments/", Permission::DEPLOY),
        ["deployments", _, "schedules" | "pause_deployment" | "resume_deployment"] => {
            every("/api/deployments/{id}/schedules", Permission::DEPLOY)
        }
        ["deployments" | "flow_runs" | "flows", "bulk_delete"] | ["flow_runs", "bulk_set_state"] => {
            every("bulk", Permission::ADMIN)
        }
        [
            collection @ ("automations" | "block_documents" | "block_schemas" | "block_types" | "concurrency_limits"
            | "variables" | "work_pools" | "work_queues"),
            "",
        ] => every(collection, Permission::ADMIN),
        ["v2", "concurrency_limits", ""] | ["concurrency_limits", "tag", _, "reset"] => {
            every("concurrency_limits", Permission::ADMIN)
        }
        ["block_types", "install_system_block_types"] => every("block_types", Permission::ADMIN),
        ["work_pools", _, "queues"] => every("work_pools", Permission::ADMIN),
        _ => None,
    }
}

/// What starts, steers and ends runs: the run itself, and who may run it. A flow's name is written with each of its runs.
fn run<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    let name = match segments {
        ["deployments", _, "create_flow_run"] | ["deployments", _, "create_flow_run", "bulk"] => {
            "/api/deployments/{id}/create_flow_run"
        }
        ["deployments", _, "schedule"] => "/api/deployments/{id}/schedule",
        ["flow_runs", ""] => "/api/flow_runs/",
        ["flow_runs", _, "set_state"] => "/api/flow_runs/{id}/set_state",
        ["flow_runs", _, "resume"] => "/api/flow_runs/{id}/resume",
        ["flow_runs", _, "input"] => "/api/flow_runs/{id}/input",
        ["flows", ""] => "/api/flows/",
        _ => return None,
    };
    every(name, Permission::EXECUTE)
}

/// What workers and runs report.
fn work<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    let name = match segments {
        ["work_pools", _, "get_scheduled_flow_runs"]
        | ["deployments", "get_scheduled_flow_runs"]
        | ["work_queues", _, "get_runs"] => "get_scheduled_flow_runs",
        ["work_pools", _, "workers", "heartbeat"] => "/api/work_pools/{pool}/workers/heartbeat",
        ["task_runs", ""] => "/api/task_runs/",
        ["task_runs", _, "set_state"] => "/api/task_runs/{id}/set_state",
        ["artifacts", ""] => "/api/artifacts/",
        ["logs", ""] => "/api/logs/",
        ["events"] => "/api/events",
        ["concurrency_limits", "increment" | "decrement"]
        | ["v2", "concurrency_limits", "increment" | "decrement" | "increment-with-lease" | "decrement-with-lease"]
        | ["v2", "concurrency_limits", "leases", _, "renew"] => "/api/concurrency_limits/increment",
        _ => return None,
    };
    every(name, Permission::WORK)
}

/// PUT, PATCH and DELETE.
fn change<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    match (method, segments) {
        ("PATCH", ["flow_runs", _] | ["flow_runs", _, "labels"] | ["task_runs", _] | ["artifacts", _])
        | ("DELETE", ["flow_runs", _, "input", _]) => every("/api/flow_runs/{id}", Permission::WORK),
        ("PATCH" | "DELETE", ["deployments", _] | ["deployments", _, "schedules", _]) => {
            every("/api/deployments/{id}", Permission::DEPLOY)
        }
        ("PATCH", ["flows", _]) => every("/api/flows/{id}", Permission::DEPLOY),
        // `prefect deploy` writes a deployment's triggers anew.
        ("DELETE", ["automations", "owned-by", _]) => every("/api/automations/owned-by/{id}", Permission::DEPLOY),
        ("PUT" | "PATCH" | "DELETE", [collection, ..]) if LOOKED_AT.contains(collection) => {
            every(collection, Permission::ADMIN)
        }
        _ => None,
    }
}

/// The streams of events and of work.
fn websocket<'a>(segments: &[&'a str]) -> Option<Route<'a>> {
    let (name, permission) = match segments {
        ["events", "in"] => ("/api/events/in", Permission::WORK),
        ["events", "out"] => ("/api/events/out", Permission::READ),
        ["logs", "out"] => ("/api/logs/out", Permission::READ),
        ["work_pools", _, "workers", "connect"] => ("/api/work_pools/{pool}/workers/connect", Permission::WORK),
        ["task_runs", "subscriptions", "scheduled"] => ("/api/task_runs/subscriptions/scheduled", Permission::WORK),
        _ => return None,
    };
    every(name, permission).map(|route| route.over(Wire::WebSocket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::protocol::tests::check;

    #[test]
    fn looking() {
        let rows = [
            ("GET", "/api/health", Some(("public", "-"))),
            ("GET", "/api/ready", Some(("public", "-"))),
            ("POST", "/api/health", None),
            ("GET", "/api/version", Some(("read", "-"))),
            ("GET", "/api/csrf-token", Some(("read", "-"))),
            ("GET", "/api/admin/version", Some(("read", "-"))),
            ("GET", "/api/flow_runs/x", Some(("read", "*"))),
            ("GET", "/api/flow_runs/x/graph-v2", Some(("read", "*"))),
            ("GET", "/api/deployments/name/f/d", Some(("read", "*"))),
            ("GET", "/api/v2/concurrency_limits/x", Some(("read", "*"))),
            ("GET", "/api/block_types/slug/s3", Some(("read", "*"))),
            ("GET", "/api/unknown/x", None),
            ("POST", "/api/flow_runs/filter", Some(("read", "*"))),
            ("POST", "/api/flow_runs/count", Some(("read", "*"))),
            ("POST", "/api/flow_runs/history", Some(("read", "*"))),
            ("POST", "/api/deployments/paginate", Some(("read", "*"))),
            ("POST", "/api/flow_runs/lateness", Some(("read", "*"))),
            ("POST", "/api/artifacts/latest/filter", Some(("read", "*"))),
            ("POST", "/api/work_pools/p/queues/filter", Some(("read", "*"))),
            ("POST", "/api/ui/flow_runs/count-task-runs", Some(("read", "*"))),
            ("POST", "/api/events/count-by/day", Some(("read", "*"))),
            ("POST", "/api/unknown/filter", None),
            // Secrets.
            ("GET", "/api/block_documents/x", Some(("work", "*"))),
            ("POST", "/api/block_documents/filter", Some(("work", "*"))),
            ("POST", "/api/block_documents/count", Some(("read", "*"))),
            ("GET", "/api/block_types/slug/s3/block_documents", Some(("work", "*"))),
            ("GET", "/api/block_types/slug/s3/block_documents/name/n", Some(("work", "*"))),
            ("GET", "/api/admin/storage", Some(("work", "*"))),
            ("GET", "/api/admin/settings", Some(("admin", "*"))),
            ("GET", "/", Some(("read", "-"))),
            ("GET", "/runs/flow-run/x", Some(("read", "-"))),
            ("GET", "/assets/index.js", Some(("read", "-"))),
            ("GET", "/favicon.ico", Some(("read", "-"))),
            // A base path of its own: the API would be read as pages.
            ("GET", "/prefect/api/block_documents/x", None),
            ("GET", "/API/block_documents/x", None),
            ("HEAD", "/api/block_documents/x", None),
        ];
        check(route, &rows);
    }

    #[test]
    fn doing() {
        let rows = [
            ("POST", "/api/deployments/x/create_flow_run", Some(("execute", "*"))),
            ("POST", "/api/deployments/x/create_flow_run/bulk", Some(("execute", "*"))),
            ("POST", "/api/flow_runs/", Some(("execute", "*"))),
            ("POST", "/api/flow_runs/x/set_state", Some(("execute", "*"))),
            ("POST", "/api/flow_runs/x/resume", Some(("execute", "*"))),
            ("POST", "/api/flow_runs/x/input", Some(("execute", "*"))),
            ("POST", "/api/flow_runs/x/input/filter", Some(("read", "*"))),
            ("POST", "/api/flows/", Some(("execute", "*"))),
            ("POST", "/api/work_pools/p/get_scheduled_flow_runs", Some(("work", "*"))),
            ("POST", "/api/work_pools/p/workers/heartbeat", Some(("work", "*"))),
            ("PATCH", "/api/flow_runs/x", Some(("work", "*"))),
            ("PATCH", "/api/flow_runs/x/labels", Some(("work", "*"))),
            ("POST", "/api/task_runs/", Some(("work", "*"))),
            ("POST", "/api/task_runs/x/set_state", Some(("work", "*"))),
            ("POST", "/api/logs/", Some(("work", "*"))),
            ("POST", "/api/events", Some(("work", "*"))),
            ("POST", "/api/concurrency_limits/increment", Some(("work", "*"))),
            ("POST", "/api/v2/concurrency_limits/increment-with-lease", Some(("work", "*"))),
            ("POST", "/api/v2/concurrency_limits/leases/l/renew", Some(("work", "*"))),
            ("POST", "/api/deployments/", Some(("deploy", "*"))),
            ("PATCH", "/api/deployments/x", Some(("deploy", "*"))),
            ("DELETE", "/api/deployments/x/schedules/s", Some(("deploy", "*"))),
            ("POST", "/api/deployments/x/pause_deployment", Some(("deploy", "*"))),
            ("DELETE", "/api/automations/owned-by/r", Some(("deploy", "*"))),
            ("POST", "/api/work_pools/", Some(("admin", "*"))),
            ("PATCH", "/api/work_pools/p", Some(("admin", "*"))),
            ("DELETE", "/api/work_pools/p/workers/w", Some(("admin", "*"))),
            ("POST", "/api/work_pools/p/queues", Some(("admin", "*"))),
            ("POST", "/api/block_documents/", Some(("admin", "*"))),
            ("PATCH", "/api/block_documents/x", Some(("admin", "*"))),
            ("POST", "/api/variables/", Some(("admin", "*"))),
            ("POST", "/api/automations/", Some(("admin", "*"))),
            ("POST", "/api/flow_runs/bulk_delete", Some(("admin", "*"))),
            ("POST", "/api/flow_runs/bulk_set_state", Some(("admin", "*"))),
            ("DELETE", "/api/flow_runs/x", Some(("admin", "*"))),
            ("PUT", "/api/admin/storage", Some(("admin", "*"))),
            ("DELETE", "/api/admin/storage", Some(("admin", "*"))),
            ("POST", "/api/admin/database/clear", Some(("admin", "*"))),
            ("POST", "/api/flow_runs", None),
            ("POST", "/api/flow_runs/x/SET_STATE", None),
            ("WEBSOCKET", "/api/events/in", Some(("work", "*"))),
            ("WEBSOCKET", "/api/events/out", Some(("read", "*"))),
            ("WEBSOCKET", "/api/logs/out", Some(("read", "*"))),
            ("WEBSOCKET", "/api/work_pools/p/workers/connect", Some(("work", "*"))),
            ("WEBSOCKET", "/api/task_runs/subscriptions/scheduled", Some(("work", "*"))),
            ("WEBSOCKET", "/api/flow_runs/x", None),
            ("WEBSOCKET", "/api/admin/version", None),
            ("WEBSOCKET", "/", None),
        ];
        check(route, &rows);
    }
}
