//! Credentials that an identity keeps: handed out, replaced under load, suspected, given up.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    cluster::{Object, assert_says, condition, kubectl, text, try_kubectl},
    eventually::{PATIENCE, eventually},
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Pod, Request, start},
    stage::Stage,
};

/// How often a credential is replaced under load; more with `KEYWIRE_ROTATIONS`.
const ROTATIONS: usize = 10;
/// The Secret in which credentials lie.
const SECRET: &str = "keywire-credentials";
/// Tokens that each pod renews while a test lasts.
const SHORT: &str = "60s";
/// Where the application finds its credential.
const FILES: &str = "/var/run/credential";

/// Calls from when the first call is answered, and writes down each status that is not 200, and how many there were.
const LOAD: &str = "until curl -fsS -o /dev/null $IRIS_URL/hello; do sleep 0.2; done; count=0
while :; do
    code=$(curl -s -m 20 -o /tmp/answer -w '%{http_code}' $IRIS_URL/hello); count=$((count + 1))
    [ $code = 200 ] || { echo $code; cat /tmp/answer; } >> /tmp/failed
    echo $count > /tmp/next; mv /tmp/next /tmp/count; sleep 0.05
done";

/// A guarded server and an identity that keeps a credential.
struct Scene {
    stage: Stage,
    vision: String,
    agents: String,
}

impl Scene {
    fn new(test: &str, credential: &str, lifespan: &str, more: &Value) -> Self {
        let stage = Stage::empty(test);
        let mut realm = stage.realm();
        realm["spec"]["tokens"] = json!({"accessTokenLifespan": lifespan});
        stage.apply(stage.server());
        stage.apply(realm);
        stage.realm_object().wait_ready(PATIENCE);
        let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
        let mut runner = identity(&stage.id, &agents, "runner", &[("IRIS_URL", &vision, "iris")]);
        runner["spec"]["credential"] = json!(credential);
        runner["spec"]["targets"][0]["token"] = json!("Offered");
        for (field, value) in more.as_object().into_iter().flatten() {
            runner["spec"][field] = value.clone();
        }
        stage.apply(http_endpoint(&stage.id, &vision, "iris"));
        stage.apply(service_account(&agents, "runner"));
        stage.apply(runner);
        stage.apply(grant(&vision, "iris", (&agents, "runner"), &["read"]));
        start(&http_pod(&vision, "iris")).wait_ready();
        let scene = Self { stage, vision, agents };
        scene.identity().wait_ready(PATIENCE);
        scene
    }

    fn identity(&self) -> Object {
        Object::in_namespace(&self.agents, "workloadidentity", "runner")
    }

    /// A pod of the identity under a name of its own.
    fn pod(&self, name: &str, script: &str) -> Pod {
        let mut pod = caller_pod(&self.agents, "runner");
        pod["metadata"]["name"] = json!(name);
        pod["spec"]["containers"][0]["command"] = json!(["sh", "-c", script]);
        start(&pod).wait_ready()
    }

    /// The number of the credential in use, once there is no other.
    fn settled(&self, after: i64) -> i64 {
        eventually("there is a newer credential, and no other", PATIENCE, || {
            let status = self.identity().get()?["status"].clone();
            let number = status["credential"]["number"].as_i64().unwrap_or_default();
            let is_alone = status["credential"]["overlapping"].is_null();
            if number > after && is_alone { Ok(number) } else { Err(status["credential"].to_string()) }
        })
    }

    fn annotate(&self, annotation: &str) {
        kubectl(&["annotate", "--overwrite", "-n", &self.agents, "workloadidentity", "runner", annotation]);
    }

    /// The client in Keycloak.
    fn client(&self, middle: &str) -> Value {
        self.stage.keycloak.client(&self.stage.id, &format!("runner.{}{middle}.workload", self.agents))
    }

    /// What is offered to the application.
    fn token(&self, pod: &Pod) -> String {
        let url = "http://127.0.0.1:15100/.keywire/token";
        let script = format!(
            "until answer=$(curl -fsS -m 20 -H 'X-Keywire-Token: request' {url}); do sleep 0.2; done; printf '%s' \"$answer\""
        );
        let answer: Value = serde_json::from_str(&pod.run(&script)).expect("JSON");
        text(&answer["access_token"])
    }

    /// Calls the guard with a token of one's own.
    fn call(&self, pod: &Pod, token: &str) -> u16 {
        let url = format!("http://iris.{}.svc:8080/hello", self.vision);
        pod.call(&Request::get(&url).with_token(token)).status
    }
}

/// The public keys by which Keycloak takes assertions of a client.
fn keys(client: &Value) -> BTreeSet<String> {
    let set: Value = serde_json::from_str(&text(&client["attributes"]["jwks.string"])).expect("a set of keys");
    set["keys"].as_array().expect("keys").iter().map(|key| text(&key["kid"])).collect()
}

/// `make rotations` replaces it a thousand times.
#[test]
fn a_key_is_replaced_under_load_and_no_call_fails() {
    let scene = Scene::new("keys", "PrivateKeyJwt", SHORT, &json!({}));
    let callers = [scene.pod("one", LOAD), scene.pod("two", LOAD)];
    let rotations = std::env::var("KEYWIRE_ROTATIONS").map_or(ROTATIONS, |count| count.parse().expect("a number"));
    let (mut number, mut seen) = (scene.settled(0), BTreeSet::new());
    let client = scene.client("");
    assert_eq!(client["clientAuthenticatorType"], "client-jwt");
    assert_eq!(client["attributes"].get("jwt.credential.sub"), None, "no ServiceAccount token is taken for it");
    for round in 1..=rotations {
        seen.extend(keys(&scene.client("")));
        scene.annotate(&format!("keywire.dev/rotate={round}"));
        number = scene.settled(number);
    }
    let last = eventually("Keycloak knows the last key alone", PATIENCE, || {
        let keys = keys(&scene.client(""));
        if keys.len() == 1 && keys.is_disjoint(&seen) { Ok(keys) } else { Err(format!("{keys:?}")) }
    });
    assert_eq!((seen.len(), last.len()), (rotations, 1), "each round had a key of its own");
    for pod in &callers {
        assert_eq!(pod.run("cat /tmp/failed 2>/dev/null || true"), "", "calls of {} that failed", pod.name);
        let count: usize = pod.run("cat /tmp/count").trim().parse().expect("a number");
        println!("{} calls of {} during {rotations} rotations", count, pod.name);
        assert!(count > rotations, "{count} calls");
    }
    let message = scene.identity().wait_condition("Credential", "True", "Current");
    assert_says(&message, &["newest", "due"]);
}

#[test]
fn a_secret_takes_turns_and_the_application_reads_it_from_files() {
    let scene = Scene::new("secrets", "ClientSecret", SHORT, &json!({"credentialFiles": {"mountPath": FILES}}));
    let pod = scene.pod("reader", LOAD);
    let read = |file: &str| pod.run(&format!("cat {FILES}/{file}"));
    let log_in = |client: &str, secret: &str| {
        let form = [("grant_type", "client_credentials"), ("client_id", client), ("client_secret", secret)];
        scene.stage.keycloak.token(&scene.stage.id, &form).0
    };
    let mut number = scene.settled(0);
    let mut before: Option<(String, String)> = None;
    for (round, middle) in ["", ".second", ""].into_iter().enumerate() {
        let expected = format!("runner.{}{middle}.workload", scene.agents);
        let (client, secret) = eventually("the application is given the newest", PATIENCE, || {
            let found = (read("client-id"), read("client-secret"));
            if found.0 == expected { Ok(found) } else { Err(found.0) }
        });
        assert_eq!(log_in(&client, &secret), 200, "round {round}");
        if let Some((client, secret)) = before.replace((client, secret)) {
            eventually("the old one is refused", PATIENCE, || match log_in(&client, &secret) {
                401 => Ok(()),
                status => Err(format!("status {status}")),
            });
        }
        if round < 2 {
            scene.annotate(&format!("keywire.dev/rotate={round}"));
            number = scene.settled(number);
        }
    }
    assert_eq!(pod.run("cat /tmp/failed 2>/dev/null || true"), "", "calls that failed");
    let enabled = [scene.client("")["enabled"].clone(), scene.client(".second")["enabled"].clone()];
    assert_eq!(enabled, [json!(true), json!(false)]);

    // Nothing of it is anywhere but in the Secret and in Keycloak.
    let secret = before.map(|(_, secret)| secret).expect("the last one");
    for what in ["pods", "configmaps", "workloadidentities", "events"] {
        let all = kubectl(&["get", what, "-n", &scene.agents, "-o", "json"]);
        assert!(!all.contains(&secret), "the secret is in {what}");
    }
    assert!(!pod.run("env; cat /proc/1/environ").contains(&secret));

    scene.identity().patch(&json!({"spec": {"credential": "KubernetesToken", "credentialFiles": null}}));
    eventually("the second client is gone", PATIENCE, || {
        match scene.stage.keycloak.clients(&scene.stage.id, &format!("runner.{}.second.workload", scene.agents)).len() {
            0 => Ok(()),
            count => Err(format!("{count} clients")),
        }
    });
    assert_eq!(scene.client("")["clientAuthenticatorType"], "federated-jwt");
    eventually("nothing is kept any more", PATIENCE, || {
        let kept = try_kubectl(&["get", "secret", SECRET, "-n", &scene.agents, "-o", "jsonpath={.data}"], "")?;
        if kept.contains("runner") { Err("the Secret has it still".to_owned()) } else { Ok(()) }
    });
    // The pod was admitted with a credential, and says what is to be done.
    let message = scene.identity().wait_condition("Injected", "False", "PodsNotInjected");
    assert_says(&message, &["reader", "restart"]);
}

#[test]
fn a_suspected_key_and_every_token_of_it_die_at_once() {
    let scene = Scene::new("stolen", "PrivateKeyJwt", "1h", &json!({}));
    let pod = scene.pod("thief", "sleep infinity");
    let number = scene.settled(0);
    let stolen = scene.token(&pod);
    pod.call_until(200, &Request::get("$IRIS_URL/hello"));
    assert_eq!(scene.call(&pod, &stolen), 200);
    let key = keys(&scene.client(""));
    scene.annotate("keywire.dev/revoke-now=seen-in-a-log");
    eventually("the stolen token is refused", PATIENCE, || match scene.call(&pod, &stolen) {
        401 => Ok(()),
        status => Err(format!("status {status}")),
    });
    assert!(scene.settled(number) > number);
    assert!(keys(&scene.client("")).is_disjoint(&key), "Keycloak does not know the stolen key any more");
    pod.call_until(200, &Request::get("$IRIS_URL/hello"));
    let status = scene.identity().get().expect("there")["status"].clone();
    assert!(status["credential"]["revokedBefore"].is_i64(), "{status}");
    let events = kubectl(&["get", "events", "-n", &scene.agents, "-o", "jsonpath={.items[*].message}"]);
    assert_says(&events, &["suspected"]);
}

#[test]
fn a_credential_that_somebody_deletes_is_put_back() {
    let scene = Scene::new("deleted", "PrivateKeyJwt", SHORT, &json!({}));
    let number = scene.settled(0);
    kubectl(&["delete", "secret", SECRET, "-n", &scene.agents]);
    eventually("it is put back", PATIENCE, || {
        let kept = try_kubectl(&["get", "secret", SECRET, "-n", &scene.agents, "-o", "jsonpath={.data}"], "")?;
        if kept.contains("runner.json") { Ok(()) } else { Err(format!("{} bytes", kept.len())) }
    });
    let pod = scene.pod("late", "sleep infinity");
    pod.call_until(200, &Request::get("$IRIS_URL/hello"));
    let object = scene.identity().get().expect("there");
    assert_eq!(object["status"]["credential"]["number"], json!(number), "the same one");
    assert!(condition(&object, "Credential").is_some());
    // It goes with its identity.
    scene.identity().delete();
    eventually("the Secret goes with its last identity", PATIENCE, || {
        match try_kubectl(&["get", "secret", SECRET, "-n", &scene.agents], "") {
            Err(error) if error.contains("NotFound") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}
