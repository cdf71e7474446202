//! From a call to the login that it rests on: who called, with which token, and when Keycloak gave it out.

use serde_json::{Value, json};

use crate::{
    cluster::{kubectl, text},
    eventually::{PATIENCE, eventually},
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Request, start},
    stage::Stage,
};

/// The guard's record of a call and Keycloak's event of the login name the same token, client and account.
#[test]
fn a_call_leads_to_its_login() {
    let stage = Stage::with_realm("custody");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    let recorded = json!({"eventsEnabled": true, "enabledEventTypes": ["CLIENT_LOGIN"]});
    assert_eq!(stage.keycloak.put(&format!("/{}/events/config", stage.id), &recorded).0, 204);
    let mut endpoint = http_endpoint(&stage.id, &vision, "iris");
    endpoint["spec"]["audit"] = json!("All");
    stage.apply(endpoint);
    stage.apply(service_account(&agents, "labeler"));
    stage.apply(identity(&stage.id, &agents, "labeler", &[("IRIS_URL", &vision, "iris")]));
    stage.apply(grant(&vision, "iris", (&agents, "labeler"), &["read"]));
    let model = start(&http_pod(&vision, "iris")).wait_ready();
    let labeler = start(&caller_pod(&agents, "labeler")).wait_ready();
    labeler.call_until(200, &Request::get("$IRIS_URL/hello"));

    let client = format!("labeler.{agents}.workload");
    let call = eventually("the guard's record", PATIENCE, || {
        let log = kubectl(&["logs", "-n", &model.namespace, &model.name, "-c", "keywire-proxy"]);
        let records = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut calls = records.filter(|record| record["target"] == "audit" && record["decision"] == "allowed");
        calls.find(|record| record["client"] == *client).ok_or(log)
    });
    assert_eq!((&call["permission"], &call["grant"]), (&json!("read"), &json!("iris-labeler")), "{call}");
    let login = eventually("Keycloak's event", PATIENCE, || {
        let (_, events) = stage.keycloak.get(&format!("/{}/events?type=CLIENT_LOGIN&client={client}", stage.id));
        let mut found = events.as_array().into_iter().flatten();
        found.find(|event| event["details"]["token_id"] == call["jti"]).cloned().ok_or_else(|| events.to_string())
    });
    assert_eq!((text(&login["clientId"]), &login["userId"]), (client, &call["sub"]), "{login}");
}
