//! How the operator comes to Keycloak: with rights in one realm alone, over TLS with a CA that is changed.

use std::{net::IpAddr, process::Command};

use serde_json::json;
use tokio::runtime::{Builder, Runtime};

use crate::{
    cluster::{Object, assert_says, kubectl, text, try_kubectl},
    eventually::{PATIENCE, POD_PATIENCE},
    front::{Authority, Front, authority},
    objects::{grant, http_endpoint, identity},
    stage::{Stage, internal_url},
    trouble::{kubernetes_token, without_rights},
};

/// Issue 4, "Least privilege": the account at the server may do nothing at all, so all that works is the realm's own.
#[test]
fn a_realm_with_credentials_of_its_own_needs_no_right_elsewhere() {
    let (stage, namespace) = without_rights("own");
    let printed = bootstrap(&stage);
    assert!(!printed.contains("KeycloakServer"), "{printed}");
    try_kubectl(&["apply", "-f", "-"], &printed).unwrap_or_else(|error| panic!("{error} in {printed}"));
    kubectl(&["label", "realm", &stage.id, &format!("e2e.example/stage={}", stage.id)]);
    let selector = json!({"selector": {"matchLabels": {"keywire.dev/realm": stage.id}}});
    stage.realm_object().patch(&json!({"spec": {"namespaces": selector, "displayName": "Own"}}));
    stage.realm_object().wait_condition("Rights", "True", "Exact");
    stage.realm_object().wait_ready(PATIENCE);

    stage.apply(http_endpoint(&stage.id, &namespace, "iris"));
    stage.apply(identity(&stage.id, &namespace, "labeler", &[("IRIS_URL", &namespace, "iris")]));
    stage.apply(grant(&namespace, "iris", (&namespace, "labeler"), &["read"]));
    let labeler = Object::in_namespace(&namespace, "workloadidentity", "labeler");
    labeler.wait_condition("Granted", "True", "Granted");
    labeler.wait_ready(PATIENCE);
    stage.keycloak.client(&stage.id, &format!("labeler.{namespace}.workload"));
    assert_eq!(text(&stage.keycloak.get(&format!("/{}", stage.id)).1["displayName"]), "Own");

    // The clean-up is by the same login.
    labeler.delete();
    assert_eq!(stage.keycloak.clients(&stage.id, &format!("labeler.{namespace}.workload")).len(), 0);
}

/// What `keywire bootstrap` prints for one more realm of a server that has a KeycloakServer already.
fn bootstrap(stage: &Stage) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_keywire"))
        .args(["bootstrap", "--server", &internal_url(), "--via", stage.keycloak.url().as_str()])
        .args(["--realm", &stage.id, "--realm-only", "--name", &stage.id])
        .output()
        .expect("keywire can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("YAML")
}

/// Issue 4, "Session": a CA in a ConfigMap, that changes together with the certificate. Nobody touches the
/// KeycloakServer for it.
#[test]
fn a_ca_that_changes_is_followed() {
    // Outlives the stage, whose clean-up needs it.
    let outside = outside();
    let stage = Stage::empty("ca");
    let namespace = stage.namespace("trust");
    let (first, second, address) = (authority(), authority(), node());
    let front = outside.block_on(Front::start(&first, &address.to_string(), address, stage.keycloak.url()));
    let publish = |authority: &Authority| {
        stage
            .apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": namespace},
            "data": {"ca.crt": authority.pem()}}));
    };

    publish(&second);
    let mut server = stage.server_at(front.url.as_str().trim_end_matches('/'), kubernetes_token());
    server["spec"]["trust"] = json!({"configMap": {"namespace": namespace, "name": "ca", "key": "ca.crt"}});
    stage.apply(server);
    stage.apply(stage.realm());
    let message = stage.server_object().wait_condition("Ready", "False", "KeycloakUnreachable");
    assert_says(&message, &["not trusted", "CA"]);

    publish(&first);
    stage.server_object().wait_ready(PATIENCE);
    stage.realm_object().wait_ready(PATIENCE);

    publish(&second);
    front.change(&second);
    stage.apply(identity(&stage.id, &namespace, "later", &[]));
    Object::in_namespace(&namespace, "workloadidentity", "later").wait_ready(POD_PATIENCE);
    stage.server_object().wait_ready(PATIENCE);
}

/// What serves beside the test, until that is over.
fn outside() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// The machine as pods reach it.
fn node() -> IpAddr {
    let server = kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]);
    let url: url::Url = server.parse().expect("the API server's URL");
    url.host_str().expect("a host").parse().expect("an address")
}
