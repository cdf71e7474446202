//! Endpoints that ask the realm of each token: what it takes back is refused at once, though it would still be good.

use serde_json::json;

use crate::{
    cluster::Object,
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Request, start},
    stage::Stage,
};

#[test]
fn a_token_that_was_taken_back_is_refused() {
    let stage = Stage::with_realm("asked");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    stage.apply(service_account(&vision, "server"));
    let mut endpoint = http_endpoint(&stage.id, &vision, "iris");
    endpoint["spec"]["introspection"] = json!({"serviceAccountName": "server"});
    stage.apply(endpoint);
    stage.apply(service_account(&agents, "labeler"));
    stage.apply(identity(&stage.id, &agents, "labeler", &[("IRIS_URL", &vision, "iris")]));
    stage.apply(grant(&vision, "iris", (&agents, "labeler"), &["read"]));
    let mut pod = http_pod(&vision, "iris");
    pod["spec"]["serviceAccountName"] = json!("server");
    start(&pod).wait_ready();
    let labeler = start(&caller_pod(&agents, "labeler")).wait_ready();
    labeler.call_until(200, &Request::get("$IRIS_URL/hello"));

    let token = stage.token_of(&labeler, &format!("iris.{vision}.endpoint:read"));
    let with_token = Request::get(&format!("http://iris.{vision}.svc:8080/hello")).with_token(&token);
    labeler.call_until(200, &with_token);
    let assertion = stage.assertion(&agents, "labeler");
    let (status, answer) = stage.revoke(&assertion, &token);
    assert_eq!(status, 200, "{answer}");
    let refused = labeler.call_until(401, &with_token);
    assert_eq!(refused.reason(), "token_invalid", "{refused:?}");
    labeler.call_until(200, &Request::get("$IRIS_URL/hello"));

    // Keycloak tells clients apart by their ServiceAccount.
    stage.apply(identity(&stage.id, &vision, "server", &[]));
    let second = Object::in_namespace(&vision, "workloadidentity", "server");
    second.wait_condition("Ready", "False", "Conflict");
}
