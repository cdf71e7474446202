//! References to what is absent or may not be used: said by name, healed by themselves.

use serde_json::json;

use crate::{
    cluster::{Object, assert_says, kubectl},
    eventually::PATIENCE,
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Pod, Request, start},
    stage::Stage,
};

const LABEL: &str = "keywire.dev/realm";

/// The endpoint `iris`, the identity `labeler` that targets it and the grant between them, all in one namespace.
struct Trio {
    endpoint: Object,
    identity: Object,
    grant: Object,
}

impl Trio {
    fn in_namespace(namespace: &str) -> Self {
        Self {
            endpoint: Object::in_namespace(namespace, "modelendpoint", "iris"),
            identity: Object::in_namespace(namespace, "workloadidentity", "labeler"),
            grant: Object::in_namespace(namespace, "accessgrant", "iris-labeler"),
        }
    }

    fn wait_ready(&self) {
        [&self.endpoint, &self.identity, &self.grant].iter().for_each(|object| object.wait_ready(PATIENCE));
    }
}

fn apply_endpoint(stage: &Stage, namespace: &str) {
    stage.apply(http_endpoint(&stage.id, namespace, "iris"));
}

fn apply_identity(stage: &Stage, namespace: &str, endpoint_namespace: &str) {
    stage.apply(identity(&stage.id, namespace, "labeler", &[("IRIS_URL", endpoint_namespace, "iris")]));
}

fn apply_grant(stage: &Stage, namespace: &str, subject_namespace: &str) {
    stage.apply(grant(namespace, "iris", (subject_namespace, "labeler"), &["read"]));
}

/// Issue 3, "Bad input": a reference to something absent: `Ready=False`, the missing name in the message, and it heals
/// by itself when the thing appears. Here the realm, then its server: everything is applied in the wrong order.
#[test]
fn an_absent_realm_and_server_are_named_and_healed() {
    let stage = Stage::empty("order");
    let namespace = stage.namespace("team");
    let trio = Trio::in_namespace(&namespace);
    apply_grant(&stage, &namespace, &namespace);
    apply_identity(&stage, &namespace, &namespace);
    apply_endpoint(&stage, &namespace);
    for object in [&trio.endpoint, &trio.identity] {
        assert_says(&object.wait_condition("Ready", "False", "RealmNotFound"), &[&stage.id]);
    }
    stage.apply(stage.realm());
    assert_says(&stage.realm_object().wait_condition("Ready", "False", "ServerNotFound"), &[&stage.id]);
    stage.apply(stage.server());
    stage.realm_object().wait_ready(PATIENCE);
    trio.wait_ready();
}

/// The same for an endpoint that an identity targets and a grant is of, and for a grant's subject.
#[test]
fn an_absent_endpoint_and_subject_are_named_and_healed() {
    let stage = Stage::with_realm("absent");
    let namespace = stage.namespace("team");
    let (trio, endpoint, subject) =
        (Trio::in_namespace(&namespace), format!("{namespace}/iris"), format!("{namespace}/labeler"));
    apply_identity(&stage, &namespace, &namespace);
    apply_grant(&stage, &namespace, &namespace);
    assert_says(&trio.identity.wait_condition("Ready", "False", "EndpointNotFound"), &["IRIS_URL", &endpoint]);
    let message = trio.grant.wait_condition("Ready", "False", "EndpointNotFound");
    assert_says(&message, &["\"iris\"", &namespace, "spec.endpoint"]);
    trio.identity.delete();
    apply_endpoint(&stage, &namespace);
    assert_says(&trio.grant.wait_condition("Ready", "False", "SubjectNotFound"), &[&subject]);
    apply_identity(&stage, &namespace, &namespace);
    trio.wait_ready();
    let client = stage.keycloak.client(&stage.id, &format!("labeler.{namespace}.workload"));
    assert_eq!(client["enabled"], json!(true), "the client of the healed identity: {client}");
}

/// Design: a Realm says which namespaces may use it; nothing means nobody. Taken back, it closes again.
#[test]
fn a_realm_is_open_to_the_namespaces_that_it_selects() {
    let stage = Stage::with_realm("namespace");
    let (vision, agents) = (stage.namespace_outside("vision"), stage.namespace_outside("agents"));
    apply_endpoint(&stage, &vision);
    apply_identity(&stage, &agents, &vision);
    apply_grant(&stage, &vision, &agents);
    stage.apply(service_account(&agents, "labeler"));
    let (endpoint, identity) = (Trio::in_namespace(&vision).endpoint, Trio::in_namespace(&agents).identity);
    for (object, namespace) in [(&endpoint, &vision), (&identity, &agents)] {
        let message = object.wait_condition("Ready", "False", "NamespaceNotAllowed");
        assert_says(&message, &[&stage.id, namespace]);
        admit(&stage, namespace);
        object.wait_ready(PATIENCE);
    }
    let pods = [http_pod(&vision, "iris"), caller_pod(&agents, "labeler")];
    let [_, labeler] = pods.map(|pod| start(&pod)).map(Pod::wait_ready);
    let hello = Request::get("$IRIS_URL/hello");
    for namespace in [&vision, &agents] {
        labeler.call_until(200, &hello);
        kubectl(&["label", "namespace", namespace, &format!("{LABEL}-")]);
        labeler.call_until(403, &hello);
        admit(&stage, namespace);
    }
    labeler.call_until(200, &hello);
}

fn admit(stage: &Stage, namespace: &str) {
    kubectl(&["label", "namespace", namespace, &format!("{LABEL}={}", stage.id)]);
}

/// Design: one identity per (realm, ServiceAccount), since Keycloak takes the second silently. The older one stays.
#[test]
fn of_two_identities_with_one_service_account_the_younger_waits() {
    let stage = Stage::with_realm("claim");
    let namespace = stage.namespace("team");
    let apply = |name: &str| {
        let mut identity = identity(&stage.id, &namespace, name, &[]);
        identity["spec"]["serviceAccountName"] = json!("shared");
        stage.apply(identity);
        Object::in_namespace(&namespace, "workloadidentity", name)
    };
    let elder = apply("zz-elder");
    elder.wait_ready(PATIENCE);
    let younger = apply("aa-younger");
    let message = younger.wait_condition("Ready", "False", "Conflict");
    assert_says(&message, &[&format!("{namespace}/zz-elder"), "\"shared\"", &stage.id]);
    let client_id = format!("aa-younger.{namespace}.workload");
    assert!(stage.keycloak.clients(&stage.id, &client_id).is_empty(), "client {client_id} is made beside the elder's");
    elder.wait_ready(PATIENCE);
    elder.delete();
    younger.wait_ready(PATIENCE);
    stage.keycloak.client(&stage.id, &client_id);
}
