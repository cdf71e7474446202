//! Pods that were there before the object that selects them: named where their owner looks, until they are restarted.

use crate::{
    cluster::{Object, kubectl},
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Request, start},
    stage::Stage,
};

#[test]
fn pods_that_predate_their_endpoint_and_identity_are_named() {
    let stage = Stage::with_realm("predate");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    stage.apply(service_account(&agents, "labeler"));
    start(&http_pod(&vision, "iris"));
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

    for (namespace, pod) in [(&vision, "iris"), (&agents, "labeler")] {
        kubectl(&["delete", "pod", "-n", namespace, pod]);
    }
    endpoint.wait_condition("Injected", "True", "Injected");
    caller.wait_condition("Injected", "True", "Injected");
    start(&http_pod(&vision, "iris")).wait_ready();
    let labeler = start(&caller_pod(&agents, "labeler")).wait_ready();
    labeler.call_until(200, &Request::get("$IRIS_URL/hello"));
    endpoint.wait_ready(crate::eventually::PATIENCE);
}
