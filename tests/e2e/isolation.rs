//! The way around the guard: found where it is open, closed where the application listens on loopback.

use serde_json::{Value, json};

use crate::{
    cluster::Object,
    eventually::PATIENCE,
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Request, start},
    stage::Stage,
};

/// The test cluster's network enforces no NetworkPolicies, as that of many small clusters: nobody would notice by themselves.
#[test]
fn a_network_that_enforces_nothing_is_told_of() {
    let stage = Stage::with_realm("bypass");
    let vision = stage.namespace("vision");
    stage.apply(http_endpoint(&stage.id, &vision, "iris"));
    let endpoint = Object::in_namespace(&vision, "modelendpoint", "iris");
    endpoint.wait_condition("Isolated", "Unknown", "NoPods");
    start(&http_pod(&vision, "iris")).wait_ready();
    let message = endpoint.wait_condition("Isolated", "False", "BypassReachable");
    assert!(message.starts_with("port 8080 of pod iris answers past the guard"), "{message}");
    // Said loudly, but the endpoint does what it says.
    endpoint.wait_ready(PATIENCE);
}

/// A server of GET `/hello` on loopback, with a probe of each kind that it can answer.
fn loopback_pod(namespace: &str, name: &str) -> Value {
    let mut pod = http_pod(namespace, name);
    let serve = "mkdir /tmp/www; echo hello > /tmp/www/hello; exec busybox httpd -f -p 127.0.0.1:8080 -h /tmp/www";
    let container = &mut pod["spec"]["containers"][0];
    container["command"] = json!(["sh", "-c", serve]);
    container["ports"] = json!([{"name": "web", "containerPort": 8080}]);
    container["startupProbe"] = json!({"tcpSocket": {"port": "web"}, "periodSeconds": 1, "failureThreshold": 60});
    container["readinessProbe"] =
        json!({"httpGet": {"path": "/hello", "port": "web"}, "periodSeconds": 1, "failureThreshold": 1});
    pod
}

#[test]
fn an_application_on_loopback_is_reached_through_its_guard_alone() {
    let stage = Stage::with_realm("loopback");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    let mut endpoint = http_endpoint(&stage.id, &vision, "iris");
    endpoint["spec"]["isolation"] = json!("Loopback");
    stage.apply(endpoint);
    stage.apply(service_account(&agents, "labeler"));
    stage.apply(identity(&stage.id, &agents, "labeler", &[("IRIS_URL", &vision, "iris")]));
    stage.apply(grant(&vision, "iris", (&agents, "labeler"), &["read"]));
    let server = start(&loopback_pod(&vision, "iris")).wait_ready();
    let endpoint = Object::in_namespace(&vision, "modelendpoint", "iris");
    endpoint.wait_condition("Isolated", "True", "NotReachable");
    let labeler = start(&caller_pod(&agents, "labeler")).wait_ready();
    labeler.call_until(200, &Request::get("$IRIS_URL/hello"));
    let address = server.object().get().expect("the pod")["status"]["podIP"].as_str().expect("its address").to_owned();
    let around =
        labeler.run(&format!("curl -s -m 20 -o /dev/null -w '%{{http_code}}' http://{address}:8080/hello || true"));
    assert_eq!(around, "000", "nobody listens there");

    // The probe is the application's own: it fails as that would, and is good again.
    server.run("mv /tmp/www/hello /tmp/www/gone");
    server.object().wait_condition("Ready", "False", "ContainersNotReady");
    server.run("mv /tmp/www/gone /tmp/www/hello");
    server.wait_ready();
}
