//! Dagster's webserver (1.13).
//!
//! Nearly everything is GraphQL at one path, and the HTTP method says nothing of what it does (`core/body/graphql`). Any
//! path may be a page of its UI. With `--path-prefix` all of it is below another path, so what acts is looked for anywhere
//! in the path: where there is no prefix, that is a page or nothing.

use super::{Dialect, ModelUse, Route, WEBSOCKET, Wire};
use crate::core::{body::graphql::Asked, permission::Permission};

/// What the table can ask for.
pub const PERMISSIONS: &[&str] = &[Permission::READ, Permission::EXECUTE, Permission::DEPLOY, Permission::ADMIN];

/// Looks up `segments`, the path split at its slashes.
pub fn route<'a>(method: &str, segments: &[&'a str]) -> Option<Route<'a>> {
    let is_graphql = segments.last() == Some(&"graphql");
    match method {
        // An asset may be called `graphql`: it is not for its body to say what that needs.
        "POST" if segments.iter().any(|segment| reports(segment)) => {
            if is_graphql {
                None
            } else {
                every("/report_asset_{kind}", Permission::EXECUTE)
            }
        }
        "GET" | "POST" if is_graphql => Some(Route::in_body("/graphql", Dialect::GraphQl)),
        // It subscribes, and to nothing that is a mutation's (graphql-core looks its fields up in the subscriptions alone).
        WEBSOCKET if is_graphql => every("/graphql", Permission::READ).map(|route| route.over(Wire::WebSocket)),
        "GET" | "HEAD" if !is_graphql => Some(look(method, segments)),
        _ => None,
    }
}

/// The one thing that a GraphQL document asks for; `None`: several that differ.
pub fn call<'a>(asked: &Asked<'_>) -> Option<Route<'a>> {
    let looks = asked.looks.then_some(Permission::READ);
    let mut all = looks.into_iter().chain(asked.mutations.iter().map(|field| permission(field)));
    let first = all.next()?;
    if all.all(|other| other == first) { every("/graphql", first) } else { None }
}

/// What a mutation needs. What is gone for good, and what is not known, needs most.
fn permission(mutation: &str) -> &'static str {
    match mutation {
        // The browser's own affairs.
        "logTelemetry" | "setNuxSeen" => Permission::READ,
        "launchRun"
        | "launchMultipleRuns"
        | "launchRunReexecution"
        | "launchPipelineExecution"
        | "launchPipelineReexecution"
        | "terminateRun"
        | "terminateRuns"
        | "terminatePipelineExecution"
        | "launchPartitionBackfill"
        | "resumePartitionBackfill"
        | "reexecutePartitionBackfill"
        | "cancelPartitionBackfill"
        | "reportRunlessAssetEvents"
        | "reportAssetCheckEvaluations"
        | "addDynamicPartition" => Permission::EXECUTE,
        "startSchedule"
        | "stopRunningSchedule"
        | "resetSchedule"
        | "startSensor"
        | "stopSensor"
        | "resetSensor"
        | "setSensorCursor"
        | "sensorDryRun"
        | "scheduleDryRun"
        | "setAutoMaterializePaused"
        | "reloadRepositoryLocation"
        | "reloadWorkspace"
        | "shutdownRepositoryLocation"
        | "setAppManagedComponent"
        | "refreshComponentState"
        | "setConcurrencyLimit"
        | "freeConcurrencySlots"
        | "freeConcurrencySlotsForRun" => Permission::DEPLOY,
        _ => Permission::ADMIN,
    }
}

/// Everything that is only looked at.
fn look<'a>(method: &str, segments: &[&'a str]) -> Route<'a> {
    match (method, segments) {
        ("GET", ["server_info" | "dagit_info"]) => Route::public("/server_info"),
        _ if segments.iter().any(|segment| shows(segment)) => Route::new("logs", Permission::READ, ModelUse::Every),
        _ => Route::new("pages", Permission::READ, ModelUse::None),
    }
}

fn every<'a>(name: &'static str, permission: &'static str) -> Option<Route<'a>> {
    Some(Route::new(name, permission, ModelUse::Every))
}

fn reports(segment: &str) -> bool {
    matches!(segment, "report_asset_materialization" | "report_asset_check" | "report_asset_observation")
}

/// Whether it shows something of runs, and is no page.
fn shows(segment: &str) -> bool {
    matches!(segment, "logs" | "notebook" | "download_debug")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::protocol::{Need, tests::check};

    #[test]
    fn one_thing_at_a_time() {
        for (looks, mutations, expected) in [
            (true, vec![], Some("read")),
            (false, vec!["launchRun"], Some("execute")),
            (false, vec!["launchRun", "terminateRuns", "launchPartitionBackfill"], Some("execute")),
            (false, vec!["reloadWorkspace", "stopSensor", "sensorDryRun"], Some("deploy")),
            (false, vec!["deleteRun", "wipeAssets", "deleteDynamicPartitions"], Some("admin")),
            (false, vec!["deleteConcurrencyLimit"], Some("admin")),
            (false, vec!["whatEverComesNext"], Some("admin")),
            (false, vec!["LaunchRun"], Some("admin")),
            (false, vec!["setNuxSeen"], Some("read")),
            (true, vec!["setNuxSeen"], Some("read")),
            (true, vec!["launchRun"], None),
            (false, vec!["launchRun", "deleteRun"], None),
            (false, vec!["launchRun", "stopSensor"], None),
            (false, vec![], None),
        ] {
            let asked = Asked { looks, mutations: mutations.iter().copied().collect() };
            let need = call(&asked).map(|route| (route.need, route.models));
            let expected = expected.map(|permission| (Need::Permission(permission), ModelUse::Every));
            assert_eq!(need, expected, "{looks} {mutations:?}");
        }
    }

    #[test]
    fn table() {
        let rows = [
            ("GET", "/server_info", Some(("public", "-"))),
            ("GET", "/dagit_info", Some(("public", "-"))),
            ("POST", "/server_info", None),
            ("POST", "/graphql", Some(("GraphQL", "-"))),
            ("GET", "/graphql", Some(("GraphQL", "-"))),
            ("PUT", "/graphql", None),
            ("HEAD", "/graphql", None),
            ("WEBSOCKET", "/graphql", Some(("read", "*"))),
            ("WEBSOCKET", "/other", None),
            ("POST", "/graphql/", None),
            ("POST", "/GraphQL", None),
            ("POST", "/report_asset_materialization/a/b", Some(("execute", "*"))),
            ("POST", "/report_asset_check/a", Some(("execute", "*"))),
            ("POST", "/report_asset_observation/", Some(("execute", "*"))),
            ("POST", "/report_asset_other/a", None),
            ("POST", "/report_asset_check/graphql", None),
            ("GET", "/download_debug/server_info", Some(("read", "*"))),
            ("GET", "/logs/run/compute.out", Some(("read", "*"))),
            ("GET", "/notebook", Some(("read", "*"))),
            ("GET", "/dagit/notebook", Some(("read", "*"))),
            ("GET", "/download_debug/r", Some(("read", "*"))),
            ("GET", "/", Some(("read", "-"))),
            ("GET", "/runs/r", Some(("read", "-"))),
            ("GET", "/_next/static/a.js", Some(("read", "-"))),
            ("POST", "/runs/r", None),
            // Behind a prefix the same is asked for.
            ("GET", "/dagster/graphql", Some(("GraphQL", "-"))),
            ("POST", "/dagster/graphql", Some(("GraphQL", "-"))),
            ("GET", "/dagster/logs/r", Some(("read", "*"))),
        ];
        check(route, &rows);
    }
}
