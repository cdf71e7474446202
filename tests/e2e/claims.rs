//! Claims: what an identity says of itself, as far as its realm lets it, and what endpoints and grants ask for.

use serde_json::json;

use crate::{
    cluster::Object,
    eventually::PATIENCE,
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Request, start},
    stage::Stage,
};

#[test]
fn what_an_identity_claims_is_what_it_may_use() {
    let stage = Stage::with_realm("claims");
    stage.realm_object().patch(&json!({"spec": {"claims": ["dataset_scope", "pipeline_group"]}}));
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    let mut endpoint = http_endpoint(&stage.id, &vision, "iris");
    endpoint["spec"]["require"] = json!([{"claim": "dataset_scope", "contains": "public"}]);
    stage.apply(endpoint);
    start(&http_pod(&vision, "iris")).wait_ready();
    let mut granted = grant(&vision, "iris", (&agents, "labeler"), &["read"]);
    granted["spec"]["claims"] = json!([{"claim": "pipeline_group", "in": ["labeling", "review"]}]);
    stage.apply(granted);
    stage.apply(service_account(&agents, "labeler"));
    let mut labeler = identity(&stage.id, &agents, "labeler", &[("IRIS_URL", &vision, "iris")]);
    labeler["spec"]["claims"] = json!([
        {"name": "dataset_scope", "values": ["public", "internal"]},
        {"name": "pipeline_group", "value": "labeling"},
    ]);
    stage.apply(labeler);
    let pod = start(&caller_pod(&agents, "labeler")).wait_ready();
    let hello = Request::get("$IRIS_URL/hello");
    pod.call_until(200, &hello);

    // The owner narrows the grant: tokens that are good carry the wrong group from now on.
    let owners = Object::in_namespace(&vision, "accessgrant", "iris-labeler");
    owners.patch(&json!({"spec": {"claims": [{"claim": "pipeline_group", "equals": "training"}]}}));
    let refused = pod.call_until(403, &hello);
    assert_eq!(refused.reason(), "claim_not_granted", "{refused:?}");
    owners.patch(&json!({"spec": {"claims": [{"claim": "pipeline_group", "equals": "labeling"}]}}));
    pod.call_until(200, &hello);
    let iris = Object::in_namespace(&vision, "modelendpoint", "iris");
    iris.patch(&json!({"spec": {"require": [{"claim": "dataset_scope", "contains": "secret"}]}}));
    let refused = pod.call_until(403, &hello);
    assert_eq!(refused.reason(), "claim_required", "{refused:?}");
    assert!(refused.message().contains("dataset_scope contains \"secret\""), "{refused:?}");

    // A claim that the realm does not list is not an identity's to set.
    let object = Object::in_namespace(&agents, "workloadidentity", "labeler");
    object.patch(&json!({"spec": {"claims": [{"name": "clearance", "value": "top"}]}}));
    let message = object.wait_condition("Claims", "False", "ClaimNotListed");
    assert!(message.contains("\"clearance\""), "{message}");
    stage.realm_object().patch(&json!({"spec": {"claims": ["clearance"]}}));
    object.wait_condition("Claims", "True", "Set");
    object.wait_ready(PATIENCE);
}
