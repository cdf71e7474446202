//! Pods that were there before the object that selects them: named where their owner looks, until they are restarted.

use serde_json::json;

use crate::{
    cluster::{Object, assert_says, condition, kubectl},
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Request, start},
    stage::Stage,
};

#[test]
fn pods_that_predate_their_endpoint_and_identity_are_named() {
    let stage = Stage::with_realm("predate");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    stage.apply(service_account(&agents, "labeler"));
    let mut elsewhere = http_pod(&vision, "iris");
    elsewhere["spec"]["containers"][0]["ports"] = json!([{"containerPort": 8081}]);
    start(&elsewhere);
    start(&caller_pod(&agents, "labeler"));

    stage.apply(http_endpoint(&stage.id, &vision, "iris"));
    stage.apply(identity(&stage.id, &agents, "labeler", &[("IRIS_URL", &vision, "iris")]));
    stage.apply(grant(&vision, "iris", (&agents, "labeler"), &["read"]));
    let endpoint = Object::in_namespace(&vision, "modelendpoint", "iris");
    let caller = Object::in_namespace(&agents, "workloadidentity", "labeler");
    for (object, pod) in [(&endpoint, "iris"), (&caller, "labeler")] {
        let message = object.wait_condition("Injected", "False", "PodsNotInjected");
        assert!(message.contains(&format!("pod {pod} ")), "{message}");
    }
    // Whoever is unguarded is not ready; an identity may log in all the same.
    endpoint.wait_condition("Ready", "False", "PodsNotInjected");
    caller.wait_ready(crate::eventually::PATIENCE);
    let message = endpoint.wait_condition("Ports", "False", "PortNotDeclared");
    assert_says(&message, &["pod iris ", "8080", "8081"]);

    for (namespace, pod) in [(&vision, "iris"), (&agents, "labeler")] {
        kubectl(&["delete", "pod", "-n", namespace, pod]);
    }
    endpoint.wait_condition("Injected", "True", "Injected");
    caller.wait_condition("Injected", "True", "Injected");
    start(&http_pod(&vision, "iris")).wait_ready();
    let labeler = start(&caller_pod(&agents, "labeler")).wait_ready();
    labeler.call_until(200, &Request::get("$IRIS_URL/hello"));
    endpoint.wait_ready(crate::eventually::PATIENCE);
    assert_eq!(condition(&endpoint.get().expect("the endpoint"), "Ports"), None, "no pod names other ports any more");
}
