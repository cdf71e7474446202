//! Applications that sign people in themselves, and are told with what.

use std::net::IpAddr;

use serde_json::{Value, json};
use tokio::runtime::Builder;
use url::Url;

use crate::{
    browser::Browser,
    cluster::{Object, assert_says, condition, dry_run, kubectl, text, try_kubectl},
    eventually::{PATIENCE, eventually},
    objects::{http_pod, object, pod},
    pods::start,
    stage::Stage,
};

/// MLflow with its plug-in for sign-in.
const MLFLOW_IMAGE: &str = "localhost/keywire-env/mlflow:3.17.2";
/// The Secret in which the secrets of clients lie.
const SECRET: &str = "keywire-credentials";

/// A realm with people, and a namespace for tools.
fn scene(test: &str) -> (Stage, String) {
    let stage = Stage::with_realm(test);
    stage.realm_object().patch(&json!({"spec": {"appHosts": [{"host": "*.e2e.example"}]}}));
    let tools = stage.namespace("tools");
    ["ann", "ben", "cyd"].iter().for_each(|name| drop(stage.accounts().make_user(name)));
    (stage, tools)
}

fn app(stage: &Stage, tools: &str, name: &str, native: &Value) -> Object {
    let of = |user: &str, role: &str| json!({"name": role, "people": [{"user": user}], "permissions": [role]});
    let spec = json!({"realm": stage.id, "host": format!("{name}.e2e.example:5000"), "scheme": "http", "signIn": "Native",
        "native": native, "workload": {"matchLabels": {"app": name}}, "access": [of("ann", "use"), of("cyd", "admin")]});
    stage.apply(object("WebApp", tools, name, spec));
    let app = Object::in_namespace(tools, "webapp", name);
    app.wait_ready(PATIENCE);
    app
}

#[test]
fn mlflow_signs_people_in_with_what_it_is_told() {
    let (stage, tools) = scene("mlflow");
    let app = app(&stage, &tools, "mlflow", &json!({"preset": "MLflow"}));
    let mut pod = pod(&tools, "mlflow", MLFLOW_IMAGE);
    let container = &mut pod["spec"]["containers"][0];
    container["command"] = json!([
        "sh",
        "-c",
        "cd /tmp; exec mlflow server --app-name oidc-auth --host 0.0.0.0 --port 5000 \
        --workers 1 --backend-store-uri sqlite:////tmp/mlflow.db --default-artifact-root /tmp/artifacts"
    ]);
    container["env"] = json!([{"name": "SECRET_KEY", "value": "of this test alone"},
        {"name": "OIDC_USERS_DB_URI", "value": "sqlite:////tmp/auth.db"},
        {"name": "MLFLOW_SERVER_ALLOWED_HOSTS", "value": "*"}]);
    container["ports"] = json!([{"containerPort": 5000}]);
    container["readinessProbe"] = json!({"httpGet": {"path": "/health", "port": 5000}, "periodSeconds": 1});
    start(&pod).wait_ready();
    app.wait_condition("Injected", "True", "Injected");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": tools, "name": "mlflow"},
        "spec": {"selector": {"app": "mlflow"}, "ports": [{"port": 5000}]}});
    stage.apply(service);
    let path = "jsonpath={.spec.clusterIP}";
    let address: IpAddr = kubectl(&["get", "service", "mlflow", "-n", &tools, "-o", path]).parse().expect("an address");

    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let url = Url::parse("http://mlflow.e2e.example:5000/").expect("a URL");
    let place = |path: &str| url.join(path).expect("a URL");
    let sign_in = |name: &str| {
        let mut browser = Browser::new(stage.keycloak.url()).finds(&url, address);
        runtime.block_on(async {
            let form = browser.open(&place("/login")).await;
            assert!(form.url.path().contains("/realms/"), "at Keycloak: {}", form.url);
            browser.send(&form, &[("username", name), ("password", name)]).await;
        });
        browser
    };
    // Who MLflow takes somebody for; none: for nobody.
    let who = |browser: &Browser| match runtime.block_on(browser.look(&place("/api/2.0/mlflow/users/current"))) {
        (200, told) => Some(serde_json::from_str::<Value>(&told).expect("JSON")),
        (status, _) => {
            assert!(matches!(status, 302 | 401 | 403), "{status}");
            None
        }
    };
    let nobody = Browser::new(stage.keycloak.url()).finds(&url, address);
    assert_eq!(who(&nobody), None);
    let [ann, ben, cyd] = ["ann", "ben", "cyd"].map(|name| who(&sign_in(name)));
    assert_eq!(ben, None, "he has an account, and no role there");
    let is_admin = |who: &Option<Value>| who.as_ref().map(|who| who["is_admin"].clone());
    assert_eq!((is_admin(&ann), is_admin(&cyd)), (Some(json!(false)), Some(json!(true))), "{ann:?} {cyd:?}");
}

/// What the pod was told by this variable.
fn variable(pod: &Value, name: &str) -> Value {
    let env = pod["spec"]["containers"][0]["env"].as_array().cloned().unwrap_or_default();
    env.into_iter().find(|found| found["name"] == name).unwrap_or_default()
}

fn entry(tools: &str, name: &str) -> String {
    let path = format!("jsonpath={{.data.{}}}", name.replace('.', "\\."));
    try_kubectl(&["get", "secret", SECRET, "-n", tools, "-o", &path], "").unwrap_or_default()
}

#[test]
fn the_secret_is_kept_and_told_to_its_pods_alone() {
    let (stage, tools) = scene("native");
    let native = json!({"redirectPaths": ["/back"], "roles": ["use", "admin"], "secretEnv": "SECRET",
        "env": [{"name": "ID", "value": "${clientId}"}, {"name": "FILE", "value": "${secretFile}"}]});
    let app = app(&stage, &tools, "board", &native);
    let client_id = format!("board.{tools}.app");
    let running = start(&http_pod(&tools, "board")).wait_ready();
    let made = running.object().get().expect("it");
    assert_eq!(variable(&made, "ID")["value"], json!(client_id));
    assert_eq!(variable(&made, "SECRET")["valueFrom"]["secretKeyRef"]["key"], "board.app.client-secret");
    assert_eq!(running.run("test \"$(cat $FILE)\" = \"$SECRET\" && echo same").trim(), "same");
    let secret = running.run("cat $FILE");
    let client = || stage.keycloak.client(&stage.id, &client_id);
    assert_eq!((&client()["secret"], secret.len()), (&json!(secret), 43), "whole, and no newline");
    assert!(made["spec"]["initContainers"].is_null(), "no sidecar");
    for what in ["pods", "configmaps", "webapps", "events"] {
        assert!(!kubectl(&["get", what, "-n", &tools, "-o", "json"]).contains(&secret), "the secret is in {what}");
    }
    let told = kubectl(&["get", "configmap", "keywire-sign-in-board", "-n", &tools, "-o", "jsonpath={.data.ID}"]);
    assert_eq!(told, client_id);

    // Somebody takes it away, here and there.
    let before = entry(&tools, "board.app.client-secret");
    let removal = r#"[{"op": "remove", "path": "/data/board.app.client-secret"}]"#;
    kubectl(&["patch", "secret", SECRET, "-n", &tools, "--type=json", "-p", removal]);
    eventually("it is put back as it was", PATIENCE, || match entry(&tools, "board.app.client-secret") {
        found if found == before => Ok(()),
        _ => Err("it is not".to_owned()),
    });
    let path = format!("/{}/clients/{}", stage.id, text(&client()["id"]));
    assert_eq!(stage.keycloak.post(&format!("{path}/client-secret"), &json!({})).0, 200);
    eventually("Keycloak has it again", PATIENCE, || match client()["secret"] == json!(secret) {
        true => Ok(()),
        false => Err("another".to_owned()),
    });

    // Another one is asked for: its pods have the old one until they start anew.
    kubectl(&["annotate", "webapp", "board", "-n", &tools, "keywire.dev/rotate=once"]);
    let message = app.wait_condition("Injected", "False", "PodsNotInjected");
    assert_says(&message, &["pod board", "restart"]);
    assert_ne!(client()["secret"], json!(secret));
    running.object().delete();
    let running = start(&http_pod(&tools, "board")).wait_ready();
    app.wait_condition("Injected", "True", "Injected");
    assert_eq!(json!(running.run("cat $FILE")), client()["secret"]);

    // A pod that is not told does not start: here no webhook is asked.
    running.object().delete();
    kubectl(&["label", "namespace", &tools, "keywire.dev/injection=disabled"]);
    let refused = dry_run(&http_pod(&tools, "board")).expect_err("it would ask nobody to sign in");
    assert_says(&refused, &["WebApp", "board", "keywire.dev/injection"]);
    kubectl(&["label", "namespace", &tools, "keywire.dev/injection-"]);
    let mut other = http_pod(&tools, "board");
    other["spec"]["containers"][0]["env"] = json!([{"name": "ID", "value": "mine"}]);
    assert_says(&dry_run(&other).expect_err("two things"), &["\"app\"", "ID", "spec.native.env"]);

    app.delete();
    assert_eq!(stage.keycloak.clients(&stage.id, &client_id).len(), 0);
    eventually("its secret goes with it", PATIENCE, || match entry(&tools, "board.app.client-secret") {
        found if found.is_empty() => Ok(()),
        _ => Err("it is there".to_owned()),
    });
}

#[test]
fn what_an_earlier_way_of_signing_in_needed_is_taken_away() {
    let (stage, tools) = scene("ways");
    let app = app(&stage, &tools, "board", &json!({"redirectPaths": ["/back"], "roles": ["use", "admin"]}));
    let there = |what: &str, name: &str| try_kubectl(&["get", what, name, "-n", &tools, "-o", "name"], "").is_ok();
    let all = || {
        let kinds = [("service", "board"), ("networkpolicy", "keywire-board"), ("configmap", "keywire-sign-in-board")];
        let keys = ["board.app.cookie.key", "board.app.client-secret"].map(|name| !entry(&tools, name).is_empty());
        (kinds.map(|(what, name)| there(what, name)), keys)
    };
    let becomes = |spec: Value, expected: ([bool; 3], [bool; 2])| {
        app.patch(&json!({"spec": spec}));
        eventually("it has what it needs and nothing else", PATIENCE, || match all() {
            found if found == expected => Ok(()),
            found => Err(format!("{found:?}")),
        });
        eventually("it is ready", PATIENCE, || {
            let object = app.get()?;
            let ready = condition(&object, "Ready").cloned().unwrap_or_default();
            match ready["status"] == "True" && ready["observedGeneration"] == object["metadata"]["generation"] {
                true => Ok(()),
                false => Err(ready.to_string()),
            }
        });
    };
    let native = json!({"native": {"redirectPaths": ["/back"], "roles": ["use", "admin"]}, "signIn": "Native",
        "port": null, "serviceAccountName": null, "workload": null, "public": null, "access": []});
    let sidecar = json!({"native": null, "signIn": "Sidecar", "port": 8080, "serviceAccountName": "board",
        "workload": {"matchLabels": {"app": "board"}}, "public": null, "access": []});
    let public = json!({"native": null, "signIn": "Public", "port": null, "serviceAccountName": null, "workload": null,
        "public": {"redirectPaths": ["/back"]}, "access": []});
    becomes(sidecar.clone(), ([true, true, false], [true, false]));
    becomes(public.clone(), ([false; 3], [false; 2]));
    becomes(native.clone(), ([false, false, true], [false, true]));
    becomes(sidecar, ([true, true, false], [true, false]));
    becomes(native, ([false, false, true], [false, true]));
    becomes(public, ([false; 3], [false; 2]));
}
