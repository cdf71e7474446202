//! The main road: a real model, called by pods that hold no secret.

use serde_json::{Value, json};

use crate::{
    cluster::{Object, assert_says, text},
    eventually::PATIENCE,
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, model_endpoint, model_pod, service_account},
    pods::{Pod, Request, start},
    stage::Stage,
};

/// A model that is guarded, a labeler that may call it and a visitor that may not.
struct Play {
    stage: Stage,
    vision: String,
    agents: String,
}

impl Play {
    fn new(test: &str) -> Self {
        let stage = Stage::with_realm(test);
        let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
        stage.apply(model_endpoint(&stage.id, &vision, "iris"));
        Self { stage, vision, agents }
    }

    fn model(&self) -> Pod {
        start(&model_pod(&self.vision, "iris"))
    }

    /// An identity that targets the model, and its pod.
    fn caller(&self, name: &str) -> Pod {
        self.stage.apply(service_account(&self.agents, name));
        self.stage.apply(identity(&self.stage.id, &self.agents, name, &[("IRIS_URL", &self.vision, "iris")]));
        start(&caller_pod(&self.agents, name))
    }

    fn grant(&self) -> Value {
        grant(&self.vision, "iris", (&self.agents, "labeler"), &["predict", "read"])
    }

    fn endpoint(&self) -> Object {
        Object::in_namespace(&self.vision, "modelendpoint", "iris")
    }

    fn identity(&self, name: &str) -> Object {
        Object::in_namespace(&self.agents, "workloadidentity", name)
    }

    fn grant_object(&self) -> Object {
        Object::in_namespace(&self.vision, "accessgrant", "iris-labeler")
    }
}

/// Two irises: a setosa and a virginica.
fn infer(url: &str) -> Request {
    let flowers = json!([5.1, 3.5, 1.4, 0.2, 6.7, 3.0, 5.2, 2.3]);
    let input = json!({"name": "x", "shape": [2, 4], "datatype": "FP64", "data": flowers});
    Request::post(&format!("{url}/v2/models/iris/infer"), &json!({"inputs": [input]}))
}

fn metadata() -> Request {
    Request::get("$IRIS_URL/v2/models/iris")
}

/// Issue 3, "What must work", 1: no token → 401; the labeler → a prediction; a pod without a grant → 403 with the
/// reason; grant deleted → 403; grant restored → works; identity removed → its client is gone from Keycloak.
/// And 4: finalizers that clean up.
#[test]
fn a_model_is_open_to_those_with_a_grant_and_to_nobody_else() {
    let play = Play::new("journey");
    play.stage.apply(play.grant());
    let (model, labeler, visitor) = (play.model(), play.caller("labeler"), play.caller("visitor"));
    let (_, labeler, visitor) = (model.wait_ready(), labeler.wait_ready(), visitor.wait_ready());
    play.grant_object().wait_ready(PATIENCE);
    nobody_gets_in_without_a_token(&play, &labeler);
    the_labeler_gets_a_prediction(&labeler);
    the_visitor_is_told_what_is_missing(&play, &visitor);
    a_deleted_grant_is_refused_until_it_is_restored(&play, &labeler);
    a_deleted_identity_leaves_nothing(&play, &visitor);
    a_deleted_endpoint_leaves_nothing(&play);
    a_deleted_realm_leaves_nothing(&play);
}

fn nobody_gets_in_without_a_token(play: &Play, labeler: &Pod) {
    // Past its own sidecar, straight to the Service.
    let answer = labeler.call(&infer(&format!("http://iris.{}.svc:8080", play.vision)));
    assert_eq!((answer.status, answer.reason()), (401, "token_missing"), "{answer:?}");
    let challenge = answer.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Bearer "), "WWW-Authenticate of {answer:?}");
}

fn the_labeler_gets_a_prediction(labeler: &Pod) {
    let answer = labeler.call_until(200, &infer("$IRIS_URL"));
    assert_eq!(answer.body["outputs"][0]["data"], json!([0, 2]), "setosa and virginica: {answer:?}");
}

fn the_visitor_is_told_what_is_missing(play: &Play, visitor: &Pod) {
    let answer = visitor.call_until(403, &infer("$IRIS_URL"));
    assert_eq!(answer.reason(), "not_granted", "{answer:?}");
    assert_says(answer.message(), &[&format!("{}/visitor", play.agents), &format!("{}/iris", play.vision)]);
    let message = play.identity("visitor").wait_condition("Granted", "False", "NotGranted");
    assert_says(&message, &[&format!("{}/iris", play.vision)]);
}

fn a_deleted_grant_is_refused_until_it_is_restored(play: &Play, labeler: &Pod) {
    play.grant_object().delete();
    labeler.call_until(403, &infer("$IRIS_URL"));
    play.stage.apply(play.grant());
    labeler.call_until(200, &infer("$IRIS_URL"));
}

fn a_deleted_identity_leaves_nothing(play: &Play, visitor: &Pod) {
    let (realm, client_id) = (&play.stage.id, format!("visitor.{}.workload", play.agents));
    play.stage.keycloak.client(realm, &client_id);
    play.identity("visitor").delete();
    assert_eq!(play.stage.keycloak.clients(realm, &client_id), Vec::<Value>::new(), "client {client_id} stays");
    assert_ne!(visitor.call(&metadata()).status, 200, "the visitor without its identity");
}

fn a_deleted_endpoint_leaves_nothing(play: &Play) {
    let (realm, client_id) = (&play.stage.id, format!("iris.{}.endpoint", play.vision));
    let keycloak = &play.stage.keycloak;
    keycloak.client(realm, &client_id);
    assert!(keycloak.scopes(realm, &client_id).contains(&format!("{client_id}:predict")), "scopes of {client_id}");
    play.endpoint().delete();
    assert_eq!(keycloak.clients(realm, &client_id), Vec::<Value>::new(), "client {client_id} stays");
    assert_eq!(keycloak.scopes(realm, &client_id), Vec::<String>::new(), "scopes of {client_id} stay");
}

fn a_deleted_realm_leaves_nothing(play: &Play) {
    let realm = &play.stage.id;
    assert_eq!(play.stage.keycloak.get(&format!("/{realm}")).0, 200, "realm {realm} is in Keycloak");
    play.identity("labeler").delete();
    play.stage.realm_object().delete();
    assert_eq!(play.stage.keycloak.get(&format!("/{realm}")).0, 404, "realm {realm} stays");
}

/// Issue 3, "What must work", 6: the guard's role, route → permission and model narrowing; design: suspension, expiry.
#[test]
fn a_grant_gives_what_it_names_and_no_more() {
    let play = Play::new("narrow");
    play.stage.apply(play.grant());
    let (model, labeler) = (play.model(), play.caller("labeler"));
    let (_, labeler) = (model.wait_ready(), labeler.wait_ready());
    labeler.call_until(200, &infer("$IRIS_URL"));
    only_the_named_models(&play, &labeler);
    only_the_named_permissions(&play, &labeler);
    nothing_while_suspended(&play, &labeler);
    nothing_after_its_end(&play, &labeler);
}

fn only_the_named_models(play: &Play, labeler: &Pod) {
    let mut narrow = play.grant();
    narrow["spec"]["models"] = json!(["other"]);
    play.stage.apply(narrow);
    let answer = labeler.call_until(403, &infer("$IRIS_URL"));
    assert_eq!(answer.reason(), "model_not_granted", "{answer:?}");
    assert_says(answer.message(), &["\"iris\"", &format!("{}/iris", play.vision)]);
    play.stage.apply(play.grant());
    labeler.call_until(200, &infer("$IRIS_URL"));
}

fn only_the_named_permissions(play: &Play, labeler: &Pod) {
    play.stage.apply(grant(&play.vision, "iris", (&play.agents, "labeler"), &["read"]));
    let answer = labeler.call_until(403, &infer("$IRIS_URL"));
    assert_says(answer.message(), &["\"predict\"", &format!("{}/iris", play.vision)]);
    let answer = labeler.call(&metadata());
    assert_eq!((answer.status, &answer.body["name"]), (200, &json!("iris")), "metadata: {answer:?}");
    play.stage.apply(play.grant());
    labeler.call_until(200, &infer("$IRIS_URL"));
}

fn nothing_while_suspended(play: &Play, labeler: &Pod) {
    play.identity("labeler").patch(&json!({"spec": {"suspended": true}}));
    labeler.call_until(403, &infer("$IRIS_URL"));
    play.identity("labeler").wait_ready(PATIENCE);
    let client = play.stage.keycloak.client(&play.stage.id, &format!("labeler.{}.workload", play.agents));
    assert_eq!(client["enabled"], json!(false), "the client of a suspended identity: {client}");
    play.identity("labeler").patch(&json!({"spec": {"suspended": false}}));
    labeler.call_until(200, &infer("$IRIS_URL"));
}

fn nothing_after_its_end(play: &Play, labeler: &Pod) {
    let mut over = play.grant();
    over["spec"]["expiresAt"] = json!("2020-01-01T00:00:00Z");
    play.stage.apply(over);
    labeler.call_until(403, &infer("$IRIS_URL"));
    assert_says(&play.grant_object().wait_condition("Ready", "False", "Expired"), &["expired", "spec.expiresAt"]);
}

/// Issue 3, "What must work", 1: the caller is an ordinary pod with no token, library or secret of its own.
/// Design: a token has exactly one audience, so that an endpoint cannot replay what it receives.
#[test]
fn a_pod_holds_no_secret_and_a_token_is_good_for_one_endpoint() {
    let stage = Stage::with_realm("token");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    for name in ["first", "second"] {
        stage.apply(http_endpoint(&stage.id, &vision, name));
        stage.apply(grant(&vision, name, (&agents, "labeler"), &["read"]));
    }
    stage.apply(service_account(&agents, "labeler"));
    let targets = [("FIRST_URL", &*vision, "first"), ("SECOND_URL", &*vision, "second")];
    stage.apply(identity(&stage.id, &agents, "labeler", &targets));
    let pods = [http_pod(&vision, "first"), http_pod(&vision, "second"), caller_pod(&agents, "labeler")];
    let [_, _, labeler] = pods.map(|pod| start(&pod)).map(Pod::wait_ready);
    labeler.call_until(200, &Request::get("$FIRST_URL/hello"));
    labeler.call_until(200, &Request::get("$SECOND_URL/hello"));
    the_application_sees_no_secret(&labeler);
    the_sidecars_volumes_are_its_own(&labeler);
    a_token_opens_its_own_endpoint_only(&stage, &vision, &labeler);
}

fn the_application_sees_no_secret(labeler: &Pod) {
    assert_eq!(labeler.run("echo $FIRST_URL").trim(), "http://127.0.0.1:15100", "the variable of the target");
    assert_eq!(labeler.run("env | grep -iE 'token|secret|password|eyJ' || true"), "", "secrets in the environment");
    let files =
        labeler.run("find /var/run/secrets /run/secrets /var/run/keywire /etc/keywire -type f 2>/dev/null || true");
    assert_eq!(files, "", "secrets in files");
}

fn the_sidecars_volumes_are_its_own(labeler: &Pod) {
    let pod = labeler.object().get().expect("the pod");
    let mounts = |container: &Value| -> Vec<String> {
        container["volumeMounts"].as_array().into_iter().flatten().map(|mount| text(&mount["name"])).collect()
    };
    assert_eq!(mounts(&pod["spec"]["containers"][0]), ["tmp"], "what the application mounts");
    let sidecar = &pod["spec"]["initContainers"][0];
    assert!(mounts(sidecar).contains(&"keywire-tokens".to_owned()), "what the sidecar mounts: {sidecar}");
}

fn a_token_opens_its_own_endpoint_only(stage: &Stage, vision: &str, labeler: &Pod) {
    let token = stage.token_of(labeler, &format!("first.{vision}.endpoint:read"));
    let hello = |name: &str| Request::get(&format!("http://{name}.{vision}.svc:8080/hello")).with_token(&token);
    assert_eq!(labeler.call(&hello("first")).status, 200, "its own endpoint");
    let answer = labeler.call(&hello("second"));
    assert_eq!((answer.status, answer.reason()), (401, "token_invalid"), "the other endpoint: {answer:?}");
}
