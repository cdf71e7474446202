//! A real browser walks through a real sidecar and a real Keycloak. What it saw of our pages is kept beside the test's output.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    apps::Scene,
    cluster::{assert_says, kubectl, text},
    eventually::{PATIENCE, eventually},
    objects::pod,
    pods::{Pod, start},
    stage::Stage,
};

/// Chromium, and what drives it.
const BROWSER_IMAGE: &str = "localhost/keywire-env/browser:1";

/// The application at an address that browser and Keycloak both reach, and the browser's pod.
struct Walk {
    scene: Scene,
    pod: Pod,
    url: String,
}

impl Walk {
    fn new(test: &str, tokens: Value) -> Self {
        let stage = Stage::with_realm(test);
        stage.realm_object().patch(&json!({"spec": {"sslRequired": "None", "tokens": tokens}}));
        let users = json!({"name": "users", "people": [{"user": "ann"}]});
        let scene = Scene::on(stage, json!([users]));
        // Keycloak is on this machine and knows no name of the cluster's; it signs people out by calling the application.
        let path = "jsonpath={.spec.clusterIP}";
        let address = kubectl(&["get", "service", "board", "-n", &scene.tools, "-o", path]);
        let host = format!("{address}:8080");
        scene.stage.realm_object().patch(&json!({"spec": {"appHosts": [{"host": host}]}}));
        scene.app().patch(&json!({"spec": {"host": host}}));
        let redirect = json!([format!("http://{host}/.keywire/callback")]);
        let client_id = format!("board.{}.app", scene.tools);
        eventually("people are sent back there", PATIENCE, || {
            match scene.stage.keycloak.client(&scene.stage.id, &client_id)["redirectUris"].clone() {
                found if found == redirect => Ok(()),
                found => Err(found.to_string()),
            }
        });
        let browser = scene.stage.namespace("browser");
        let mut pod = pod(&browser, "browser", BROWSER_IMAGE);
        pod["spec"]["containers"][0]["command"] = json!(["sleep", "infinity"]);
        let walk = Self { pod: start(&pod).wait_ready(), url: format!("http://{host}"), scene };
        walk.scene.app().wait_ready(PATIENCE);
        // The guard has heard of its new address where it sends people to Keycloak with it.
        eventually("the guard leads there", PATIENCE, || {
            let told = walk.pod.run(&format!(
                "python -c \"import urllib.request as r; o=r.build_opener(); q=r.Request('{}/hello', headers={{'Accept': 'text/html'}}); print(o.open(q).url)\"",
                walk.url
            ));
            if told.contains("redirect_uri") && told.contains(&address) { Ok(()) } else { Err(told) }
        });
        walk
    }

    /// What each step gave.
    fn go(&self, steps: &Value) -> Vec<Value> {
        let (namespace, steps) = (&self.pod.namespace, steps.to_string());
        let exec = ["exec", "-n", namespace, "browser", "-c", "app", "--", "sh", "-c"];
        let script = r#"rm -rf /tmp/profile; python /app/drive.py "$0" 2>&1; true"#;
        let said = kubectl(&[&exec[..], &[script, &steps]].concat());
        let last = said.trim().lines().last().unwrap_or_default();
        match serde_json::from_str(last) {
            Ok(Value::Array(gave)) => gave,
            _ => panic!("the walk ended: {said}"),
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Keeps pictures that were made on the way.
    fn keep(&self, names: &[&str]) {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
        fs::create_dir_all(&folder).expect("a folder");
        for name in names {
            let picture = self.pod.run(&format!("base64 -w0 /tmp/{name}.png"));
            let picture = BASE64_STANDARD.decode(picture.trim()).expect("base64");
            assert!(picture.starts_with(b"\x89PNG") && picture.len() > 4000, "{name}: a picture of something");
            fs::write(folder.join(format!("{name}.png")), picture).expect("written");
        }
    }
}

#[test]
fn a_browser_signs_in_is_refused_and_signs_out() {
    let walk = Walk::new("walk", json!({}));
    let deep = walk.at("/hello?page=2");
    // A deep link, a script's call, and the way out, after which Keycloak asks again.
    let gave = walk.go(&json!([
        ["open", deep],
        ["log_in", "ann"],
        ["see", "hello"],
        ["url"],
        ["fetch", "/hello"],
        ["fetch", "/secret"],
        ["names"],
        ["open", walk.at("/.keywire/sign-out")],
        ["shot", "sign-out"],
        ["click", "button"],
        ["wait", "/.keywire/signed-out"],
        ["text"],
        ["names"],
        ["shot", "signed-out"],
        ["open", deep],
        ["wait", "/realms/"]
    ]));
    assert_eq!((text(&gave[3]), &gave[4], &gave[5]), (deep.clone(), &json!(200), &json!(403)));
    assert_eq!(gave[6], json!(["keywire-session"]));
    assert_says(&text(&gave[11]), &["signed out"]);
    assert_eq!(gave[12], json!([]), "nothing of it is left");

    // Who has an account and no role, and who brings back an answer that was never asked for.
    let gave = walk.go(&json!([
        ["open", deep],
        ["log_in", "ben"],
        ["see", "The Board"],
        ["text"],
        ["shot", "denied"],
        ["open", walk.at("/.keywire/callback?state=made-up&code=made-up")],
        ["text"],
        ["shot", "error"]
    ]));
    assert_says(&text(&gave[3]), &["no access", "Ask those who keep it."]);
    assert!(!text(&gave[6]).is_empty(), "it says what to do");
    walk.keep(&["sign-out", "signed-out", "denied", "error"]);
}

#[test]
fn a_session_is_one_browsers_and_as_long_as_it_lasts() {
    // A token of 40 s is renewed after ten.
    let walk = Walk::new("session", json!({"accessTokenLifespan": "40s"}));
    let page = walk.at("/hello");
    // Two tabs ask at once; each comes back to its own place.
    let gave = walk.go(&json!([
        ["tab", 0],
        ["open", walk.at("/hello?tab=1")],
        ["wait", "/realms/"],
        ["tab", 1],
        ["open", walk.at("/hello?tab=2")],
        ["wait", "/realms/"],
        ["log_in", "ann"],
        ["see", "hello"],
        ["url"],
        ["tab", 0],
        ["open", walk.at("/hello?tab=1")],
        ["see", "hello"],
        ["url"]
    ]));
    assert_eq!((text(&gave[8]), text(&gave[12])), (walk.at("/hello?tab=2"), walk.at("/hello?tab=1")));

    // Renewed on the way; one letter changed; brought back after the end.
    let gave = walk.go(&json!([
        ["open", page],
        ["log_in", "ann"],
        ["see", "hello"],
        ["renewed"],
        ["fetch", "/hello"],
        ["tamper"],
        ["fetch", "/hello"],
        ["open", page],
        ["see", "hello"],
        ["keep"],
        ["open", walk.at("/.keywire/sign-out")],
        ["click", "button"],
        ["wait", "/.keywire/signed-out"],
        ["replay"],
        ["open", walk.at("/hello")],
        ["wait", "/realms/"]
    ]));
    assert_eq!((&gave[4], &gave[6]), (&json!(200), &json!(401)));

    // Signed out at Keycloak itself, which tells the application.
    let logout =
        format!("{}/realms/{}/protocol/openid-connect/logout", crate::stage::internal_url(), walk.scene.stage.id);
    let gave = walk.go(&json!([
        ["open", page],
        ["log_in", "ann"],
        ["see", "hello"],
        ["tab", 1],
        ["open", logout],
        ["click", "#kc-logout"],
        ["see", "logged out"],
        ["tab", 0],
        ["fetch", "/hello"],
        ["open", page],
        ["wait", "/realms/"]
    ]));
    assert_eq!(gave[8], 401, "with the next request");
}
