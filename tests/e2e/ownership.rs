//! What is not ours stays as it is, in Keycloak and in the cluster.

use serde_json::{Value, json};

use crate::{
    cluster::{Object, assert_says, dry_run},
    eventually::PATIENCE,
    objects::{http_endpoint, identity},
    stage::Stage,
};

/// A client made by hand, and all that Keycloak says of it.
fn client_by_hand(stage: &Stage, client_id: &str) -> Value {
    let body = json!({"clientId": client_id, "name": "made by hand", "enabled": true, "publicClient": false,
        "standardFlowEnabled": true, "redirectUris": ["https://example.com/*"], "attributes": {"note": "mine"}});
    let (status, answer) = stage.keycloak.post(&format!("/{}/clients", stage.id), &body);
    assert_eq!(status, 201, "client {client_id}: {answer}");
    everything_about(stage, client_id)
}

/// The client with its roles and scopes.
fn everything_about(stage: &Stage, client_id: &str) -> Value {
    let client = stage.keycloak.client(&stage.id, client_id);
    let path = format!("/{}/clients/{}", stage.id, client["id"].as_str().expect("an id"));
    let part = |name: &str| stage.keycloak.get(&format!("{path}/{name}"));
    let parts = ["roles", "default-client-scopes", "optional-client-scopes", "protocol-mappers/models"].map(part);
    json!([client, parts])
}

/// Issue 3, "Bad input": a client in Keycloak that is not ours: conflict, untouched. Also after our object has gone.
#[test]
fn a_client_made_by_hand_is_a_conflict_and_stays_as_it_is() {
    let stage = Stage::with_realm("foreign");
    let team = stage.namespace("team");
    let cases = [
        ("modelendpoint", "iris", format!("iris.{team}.endpoint"), http_endpoint(&stage.id, &team, "iris")),
        ("workloadidentity", "labeler", format!("labeler.{team}.workload"), identity(&stage.id, &team, "labeler", &[])),
    ];
    for (kind, name, client_id, ours) in cases {
        let before = client_by_hand(&stage, &client_id);
        stage.apply(ours);
        let object = Object::in_namespace(&team, kind, name);
        let message = object.wait_condition("Synced", "False", "Conflict");
        assert_says(&message, &[&client_id, "adopt"]);
        assert_eq!(everything_about(&stage, &client_id), before, "client {client_id} during the conflict");
        object.delete();
        assert_eq!(everything_about(&stage, &client_id), before, "client {client_id} after {name} has gone");
    }
}

/// The message's way out: `adopt: true` makes it ours.
#[test]
fn an_adopted_client_becomes_ours() {
    let stage = Stage::with_realm("adopt");
    let team = stage.namespace("team");
    let client_id = format!("iris.{team}.endpoint");
    let before = client_by_hand(&stage, &client_id);
    let endpoint = Object::in_namespace(&team, "modelendpoint", "iris");
    stage.apply(http_endpoint(&stage.id, &team, "iris"));
    endpoint.wait_condition("Synced", "False", "Conflict");
    endpoint.patch(&json!({"spec": {"adopt": true}}));
    endpoint.wait_condition("Synced", "True", "Synced");
    endpoint.wait_ready(PATIENCE);
    let client = stage.keycloak.client(&stage.id, &client_id);
    assert_eq!(client["id"], before[0]["id"], "the id of the adopted client");
    assert_eq!(client["standardFlowEnabled"], json!(false), "the adopted client takes no sign-ins: {client}");
    assert!(
        stage.keycloak.scopes(&stage.id, &client_id).contains(&format!("{client_id}:read")),
        "scopes of {client_id}"
    );
}

/// The same in the cluster: a Service of the name that the endpoint would take.
#[test]
fn a_service_of_somebody_else_is_a_conflict_and_stays_as_it_is() {
    let stage = Stage::with_realm("service");
    let team = stage.namespace("team");
    stage.apply(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "iris", "namespace": team},
        "spec": {"selector": {"app": "mine"}, "ports": [{"name": "http", "port": 8080}]}}));
    let (service, endpoint) =
        (Object::in_namespace(&team, "service", "iris"), Object::in_namespace(&team, "modelendpoint", "iris"));
    let before = service.get().expect("the Service");
    stage.apply(http_endpoint(&stage.id, &team, "iris"));
    assert_says(&endpoint.wait_condition("Published", "False", "Conflict"), &["Service", "\"iris\""]);
    assert_eq!(service.get().expect("the Service"), before, "the Service during the conflict");
    endpoint.patch(&json!({"spec": {"service": {"name": "iris-guarded"}}}));
    endpoint.wait_ready(PATIENCE);
    endpoint.delete();
    assert_eq!(service.get().expect("the Service"), before, "the Service after the endpoint has gone");
}

/// A realm that exists already: with `Full` a conflict, untouched; with `ClientsOnly` used, its settings left alone.
#[test]
fn a_realm_of_somebody_else_keeps_its_settings() {
    let stage = Stage::empty("others");
    let realm =
        json!({"realm": stage.id, "enabled": true, "displayName": "Somebody else's", "accessTokenLifespan": 123});
    assert_eq!(stage.keycloak.post("", &realm).0, 201, "realm {}", stage.id);
    let settings = || stage.keycloak.get(&format!("/{}", stage.id)).1;
    let before = settings();
    stage.apply(stage.server());
    stage.apply(stage.realm());
    let message = stage.realm_object().wait_condition("Ready", "False", "MissingRight");
    assert_says(&message, &[&stage.id]);
    stage.may_manage_realm();
    stage.realm_object().touch("rights given");
    let message = stage.realm_object().wait_condition("Ready", "False", "Conflict");
    assert_says(&message, &[&stage.id, "adopt"]);
    assert_eq!(settings(), before, "realm {} during the conflict", stage.id);
    stage.realm_object().patch(&json!({"spec": {"management": "ClientsOnly", "deletionPolicy": "Orphan"}}));
    stage.realm_object().wait_ready(PATIENCE);
    stage.realm_object().delete();
    assert_eq!(settings(), before, "realm {} after the object has gone", stage.id);
}

/// A realm goes when those that it admitted have gone: nobody else keeps it by naming it.
#[test]
fn a_realm_is_not_kept_by_one_that_it_never_admitted() {
    let stage = Stage::with_realm("kept");
    let outside = stage.namespace_outside("outside");
    stage.apply(identity(&stage.id, &outside, "labeler", &[]));
    let stranger = Object::in_namespace(&outside, "workloadidentity", "labeler");
    stranger.wait_condition("Ready", "False", "NamespaceNotAllowed");
    stage.realm_object().delete();
    assert_eq!(stage.keycloak.get(&format!("/{}", stage.id)).0, 404, "realm {}", stage.id);
    stranger.wait_condition("Ready", "False", "RealmNotFound");
    stranger.delete();
}

/// Objects come in with the finalizer by which they are cleaned up behind, beside those of others.
#[test]
fn a_new_object_has_its_finalizer_from_the_start() {
    let stage = Stage::empty("finalizer");
    let namespace = stage.namespace("team");
    for mut object in [identity(&stage.id, &namespace, "labeler", &[]), http_endpoint(&stage.id, &namespace, "iris")] {
        object["metadata"]["finalizers"] = json!(["example.com/theirs"]);
        let made = dry_run(&object).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(made["metadata"]["finalizers"], json!(["example.com/theirs", "keywire.dev/keycloak"]));
    }
}

/// Two objects that claim one realm: the first keeps it, and the second's going takes nothing with it.
#[test]
fn of_two_realms_with_one_name_the_second_changes_nothing() {
    let stage = Stage::with_realm("twins");
    let settings = || stage.keycloak.get(&format!("/{}", stage.id)).1;
    let before = settings();
    let name = format!("{}-twin", stage.id);
    let mut second = stage.realm();
    second["metadata"]["name"] = json!(name);
    second["spec"]["displayName"] = json!("The second");
    stage.apply(second);
    let twin = Object::cluster("realm", &name);
    let message = twin.wait_condition("Ready", "False", "Conflict");
    assert_says(&message, &[&stage.id]);
    twin.delete();
    assert_eq!(settings(), before, "realm {} after its second claimant has come and gone", stage.id);
    stage.realm_object().wait_ready(PATIENCE);
}
