//! A real browser walks through a real sidecar and a real Keycloak. What it saw of our pages is kept beside the test's output.

use std::{fs, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    apps::Scene,
    cluster::{Object, assert_says, kubectl, text},
    eventually::{PATIENCE, eventually},
    objects::{object, pod, service_account},
    pods::{Pod, start},
    stage::Stage,
};

/// Chromium, and what drives it.
const BROWSER_IMAGE: &str = "localhost/keywire-env/browser:1";

/// An application at an address that browser and Keycloak both reach, and the browser's pod.
struct Walk {
    stage: Stage,
    pod: Pod,
    url: String,
}

impl Walk {
    /// To the pages of [`Scene`].
    fn to_board(test: &str, tokens: Value) -> Self {
        let stage = Stage::with_realm(test);
        stage.realm_object().patch(&json!({"spec": {"sslRequired": "None", "tokens": tokens}}));
        let users = json!({"name": "users", "people": [{"user": "ann"}]});
        let Scene { stage, tools, .. } = Scene::on(stage, json!([users]));
        Self::to(stage, &tools, "board", 8080)
    }

    /// To a tool of which ann may see everything, and ben change it as well: `spec` says the rest.
    fn to_tool(test: &str, name: &str, pod: impl FnOnce(&str) -> Value, spec: &Value) -> Self {
        let stage = Stage::with_realm(test);
        stage.realm_object().patch(&json!({"spec": {"sslRequired": "None", "appHosts": [{"host": "*.e2e.example"}]}}));
        let tools = stage.namespace("tools");
        ["ann", "ben"].iter().for_each(|person| drop(stage.accounts().make_user(person)));
        stage.apply(service_account(&tools, name));
        let mut app = json!({"realm": stage.id, "host": format!("{name}.e2e.example"), "scheme": "http", "signIn": "Sidecar",
            "serviceAccountName": name, "workload": {"matchLabels": {"app": name}}});
        for (field, value) in spec.as_object().into_iter().flatten() {
            app[field] = value.clone();
        }
        stage.apply(object("WebApp", &tools, name, app));
        let mut pod = pod(&tools);
        pod["spec"]["serviceAccountName"] = json!(name);
        start(&pod).wait_ready();
        let port = spec["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        Self::to(stage, &tools, name, port)
    }

    /// Keycloak is on this machine and knows no name of the cluster's, and calls the application when somebody signs out: its
    /// host becomes its Service's address.
    fn to(stage: Stage, tools: &str, name: &str, port: u16) -> Self {
        let app = Object::in_namespace(tools, "webapp", name);
        app.wait_ready(PATIENCE);
        let path = "jsonpath={.spec.clusterIP}";
        let host = format!("{}:{port}", kubectl(&["get", "service", name, "-n", tools, "-o", path]));
        stage.realm_object().patch(&json!({"spec": {"appHosts": [{"host": host}]}}));
        app.patch(&json!({"spec": {"host": host}}));
        let redirect = json!([format!("http://{host}/.keywire/callback")]);
        eventually("people are sent back there", PATIENCE, || {
            match stage.keycloak.client(&stage.id, &format!("{name}.{tools}.app"))["redirectUris"].clone() {
                found if found == redirect => Ok(()),
                found => Err(found.to_string()),
            }
        });
        let mut pod = pod(&stage.namespace("browser"), "browser", BROWSER_IMAGE);
        pod["spec"]["containers"][0]["command"] = json!(["sleep", "infinity"]);
        let walk = Self { pod: start(&pod).wait_ready(), url: format!("http://{host}"), stage };
        // The guard has heard of its new address where it sends people to Keycloak with it.
        eventually("the guard leads there", PATIENCE, || {
            let told = walk.pod.run(&format!(
                "python -c \"import urllib.request as r; o=r.build_opener(); q=r.Request('{}/', headers={{'Accept': 'text/html'}}); print(o.open(q).url)\" 2>/dev/null || true",
                walk.url
            ));
            let address = host.split(':').next().unwrap_or_default();
            if told.contains("redirect_uri") && told.contains(address) { Ok(()) } else { Err(told) }
        });
        app.wait_ready(PATIENCE);
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
    let walk = Walk::to_board("walk", json!({}));
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
    let walk = Walk::to_board("session", json!({"accessTokenLifespan": "40s"}));
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
    let logout = format!("{}/realms/{}/protocol/openid-connect/logout", crate::stage::internal_url(), walk.stage.id);
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

const DAGSTER_IMAGE: &str = "localhost/keywire-env/dagster:1.13.27";
const MLFLOW_IMAGE: &str = "localhost/keywire-env/mlflow:3.17.2";

/// The pod of a tool whose image has a shell.
fn tool(namespace: &str, (name, image): (&str, &str), script: &str, (port, health): (u16, &str)) -> Value {
    let mut pod = pod(namespace, name, image);
    let container = &mut pod["spec"]["containers"][0];
    container["command"] = json!(["sh", "-c", script]);
    container["ports"] = json!([{"containerPort": port}]);
    container["readinessProbe"] = json!({"httpGet": {"path": health, "port": port}, "periodSeconds": 1});
    pod
}

fn access(of_ann: &[&str], of_ben: &[&str]) -> Value {
    let may = |user: &str, permissions: &[&str]| json!({"name": user, "people": [{"user": user}], "permissions": permissions});
    json!([may("ann", of_ann), may("ben", of_ben)])
}

#[test]
fn dagster_is_looked_at_and_changed_by_who_may() {
    let assets = include_str!("../servers/apps/dagster_assets.py");
    let settings = include_str!("../servers/apps/dagster.yaml");
    let script = format!(
        "mkdir /tmp/home; cd /tmp; cat > assets.py <<'E'\n{assets}\nE\ncat > home/dagster.yaml <<'E'\n{settings}\nE\n\
         export DAGSTER_HOME=/tmp/home; exec dagster-webserver -h 0.0.0.0 -p 3000 -f assets.py"
    );
    let pod = |namespace: &str| tool(namespace, ("dagster", DAGSTER_IMAGE), &script, (3000, "/server_info"));
    let spec = json!({"port": 3000, "protocol": "Dagster", "api": ["/graphql"],
        "access": access(&["read"], &["read", "execute", "deploy"])});
    let walk = Walk::to_tool("dagster", "dagster", pod, &spec);
    let mutation = json!({"query": "mutation{reloadWorkspace{__typename}}"});
    let subscription =
        "subscription{pipelineRunLogs(runId:\"none\"){__typename ... on PipelineRunLogsSubscriptionFailure{message}}}";
    let steps = |name: &str| {
        json!([
            ["open", walk.at("/runs")],
            ["log_in", name],
            ["see", "Runs"],
            ["shot", "dagster"],
            ["subscribe", "/graphql", subscription],
            ["post", "/graphql", mutation]
        ])
    };
    let ann = walk.go(&steps("ann"));
    assert!(text(&ann[4]).contains("PipelineRunLogsSubscriptionFailure"), "over the websocket: {}", ann[4]);
    assert_eq!(ann[5][0], 403, "she looks: {}", ann[5]);
    let ben = walk.go(&steps("ben"));
    assert_eq!(ben[5][0], 200, "he may: {}", ben[5]);
    walk.keep(&["dagster"]);
}

#[test]
fn mlflow_takes_an_upload_from_who_may() {
    let script = "cd /tmp; exec mlflow server --host 0.0.0.0 --port 5000 --workers 1 --backend-store-uri sqlite:////tmp/m.db \
        --artifacts-destination /tmp/artifacts --allowed-hosts '*' --cors-allowed-origins '*'";
    let pod = |namespace: &str| tool(namespace, ("mlflow", MLFLOW_IMAGE), script, (5000, "/health"));
    let spec = json!({"port": 5000, "protocol": "MLflow", "access": access(&["read"], &["read", "train"])});
    let walk = Walk::to_tool("upload", "mlflow", pod, &spec);
    let place = "/api/2.0/mlflow-artifacts/artifacts/0/note.txt";
    let steps = |name: &str| {
        json!([
            ["open", walk.at("/")],
            ["log_in", name],
            ["see", "Experiments"],
            ["shot", "mlflow"],
            ["put", place, "a note"],
            ["get", place]
        ])
    };
    let ann = walk.go(&steps("ann"));
    assert_eq!((&ann[4][0], &ann[5][0]), (&json!(403), &json!(404)), "{ann:?}");
    let ben = walk.go(&steps("ben"));
    assert_eq!((&ben[4][0], &ben[5]), (&json!(200), &json!([200, "a note"])), "{ben:?}");
    walk.keep(&["mlflow"]);
}
