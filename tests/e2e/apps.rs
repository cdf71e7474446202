//! Tools that people open in a browser: signed in by the sidecar, or by the page itself.

use std::net::IpAddr;

use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::{
    accounts::Accounts,
    browser::{Browser, Page},
    cluster::{Object, assert_says, dry_run, kubectl, text, try_kubectl},
    eventually::{PATIENCE, eventually},
    objects::{http_pod, object, pod, service_account},
    pods::start,
    stage::Stage,
};

/// Where the application is, as browsers know it.
const HOST: &str = "board.e2e.example:8080";
/// The Secret in which the keys of sessions lie.
const SECRET: &str = "keywire-credentials";

/// An application behind its sidecar, and people.
pub struct Scene {
    pub stage: Stage,
    pub tools: String,
    url: Url,
    pub runtime: Runtime,
}

impl Scene {
    fn new(test: &str, access: Value) -> Self {
        Self::on(Stage::with_realm(test), access)
    }

    /// In a realm that is there. It has a page `hello`, and a page `secret` that needs the permission `admin`.
    pub fn on(stage: Stage, access: Value) -> Self {
        stage.realm_object().patch(&json!({"spec": {"appHosts": [{"host": "*.e2e.example"}]}}));
        let tools = stage.namespace("tools");
        stage.apply(service_account(&tools, "board"));
        let url = Url::parse(&format!("http://{HOST}/")).expect("a URL");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let scene = Self { stage, tools, url, runtime };
        scene.accounts().make_user("ann");
        scene.accounts().make_user("ben");
        let rules = json!([{"path": "/secret", "permission": "admin"}]);
        let spec = json!({"realm": scene.stage.id, "host": HOST, "scheme": "http", "signIn": "Sidecar",
            "serviceAccountName": "board", "workload": {"matchLabels": {"app": "board"}}, "port": 8080,
            "rules": rules, "access": access, "brand": {"name": "The Board", "contact": "Ask those who keep it."}});
        scene.stage.apply(object("WebApp", &scene.tools, "board", spec));
        let mut pod = http_pod(&scene.tools, "board");
        let serve =
            "mkdir /tmp/www; cd /tmp/www; echo hello > hello; echo hidden > secret; exec busybox httpd -f -p 8080 -h .";
        pod["spec"]["containers"][0]["command"] = json!(["sh", "-c", serve]);
        pod["spec"]["serviceAccountName"] = json!("board");
        start(&pod).wait_ready();
        scene.app().wait_ready(PATIENCE);
        scene
    }

    fn accounts(&self) -> Accounts<'_> {
        self.stage.accounts()
    }

    pub fn app(&self) -> Object {
        Object::in_namespace(&self.tools, "webapp", "board")
    }

    pub fn place(&self, path: &str) -> Url {
        self.url.join(path).expect("a URL")
    }

    pub fn browser(&self) -> Browser {
        let path = "jsonpath={.spec.clusterIP}";
        let address: IpAddr =
            kubectl(&["get", "service", "board", "-n", &self.tools, "-o", path]).parse().expect("an address");
        Browser::new(self.stage.keycloak.url()).finds(&self.url, address)
    }

    /// Opens a page and logs in where Keycloak wants that.
    fn log_in(&self, browser: &mut Browser, name: &str) -> Page {
        self.runtime.block_on(async {
            let form = browser.open(&self.place("/hello")).await;
            assert!(form.url.path().contains("/realms/"), "at Keycloak: {}", form.url);
            browser.submit(&form, &[("username", name), ("password", name)]).await
        })
    }

    /// The same, whatever is answered then.
    fn try_log_in(&self, browser: &mut Browser, name: &str) {
        self.runtime.block_on(async {
            let form = browser.open(&self.place("/hello")).await;
            browser.send(&form, &[("username", name), ("password", name)]).await
        });
    }

    fn look(&self, browser: &Browser, path: &str) -> (u16, String) {
        self.runtime.block_on(browser.look(&self.place(path)))
    }

    fn look_until(&self, browser: &Browser, path: &str, status: u16, what: &str) -> String {
        eventually(what, PATIENCE, || match self.look(browser, path) {
            (found, page) if found == status => Ok(page),
            (found, _) => Err(format!("status {found}")),
        })
    }
}

#[test]
fn people_sign_in_and_open_what_is_open_to_them() {
    let users = json!({"name": "users", "people": [{"user": "ann"}]});
    let scene = Scene::new("app", json!([users]));
    let (mut ann, mut ben) = (scene.browser(), scene.browser());
    assert_eq!(scene.runtime.block_on(ann.fetch(&scene.place("/hello"))), 401, "a script is led nowhere");
    let page = scene.log_in(&mut ann, "ann");
    assert_eq!((page.url.path(), page.html.trim()), ("/hello", "hello"));
    assert_eq!(scene.look(&ann, "/secret").0, 403, "a route of its own needs a permission of its own");

    // Ben has an account, and the application is not open to him.
    scene.try_log_in(&mut ben, "ben");
    let refused = scene.look_until(&ben, "/hello", 403, "ben is told that it is not open to him");
    assert_says(&refused, &["The Board", "Ask those who keep it."]);

    // What ann may do changes while she is signed in.
    let admins = json!({"name": "admins", "people": [{"user": "ann"}], "permissions": ["use", "admin"]});
    scene.app().patch(&json!({"spec": {"access": [admins]}}));
    eventually("ann may open the rest, with the next token", PATIENCE, || {
        let mut again = scene.browser();
        scene.try_log_in(&mut again, "ann");
        match scene.look(&again, "/secret") {
            (200, _) => Ok(()),
            (status, _) => Err(format!("status {status}")),
        }
    });
    scene.app().patch(&json!({"spec": {"access": []}}));
    let (status, _) = eventually("nobody may open it", PATIENCE, || match scene.look(&ann, "/hello") {
        (200, _) => Err("she may".to_owned()),
        other => Ok(other),
    });
    assert!(matches!(status, 302 | 303 | 401 | 403), "{status}");
}

#[test]
fn an_application_is_guarded_and_leaves_nothing_behind() {
    let scene = Scene::new("kept", json!([{"name": "users", "people": [{"group": "/nobody"}]}]));
    let client = scene.stage.keycloak.client(&scene.stage.id, &format!("board.{}.app", scene.tools));
    let redirects = json!([format!("http://{HOST}/.keywire/callback")]);
    assert_eq!((&client["redirectUris"], &client["webOrigins"]), (&redirects, &json!([])));
    let flags = ["publicClient", "implicitFlowEnabled", "directAccessGrantsEnabled", "serviceAccountsEnabled"];
    assert!(flags.iter().all(|flag| client[flag] == false), "{client}");
    assert_eq!(client["attributes"]["pkce.code.challenge.method"], "S256");
    assert_eq!(client["attributes"]["jwt.credential.sub"], format!("system:serviceaccount:{}:board", scene.tools));
    let message = scene.app().wait_condition("People", "True", "SomeNotFound");
    assert_says(&message, &["/nobody"]);

    // Somebody opens it up in Keycloak.
    let path = format!("/{}/clients/{}", scene.stage.id, text(&client["id"]));
    let mut open = client.clone();
    open["redirectUris"] = json!(["*"]);
    assert_eq!(scene.stage.keycloak.put(&path, &open).0, 204);
    eventually("it is closed again", PATIENCE, || match scene.stage.keycloak.get(&path).1["redirectUris"].clone() {
        found if found == redirects => Ok(()),
        found => Err(found.to_string()),
    });

    // Its keys are in the Secret, and nowhere else.
    let key =
        kubectl(&["get", "secret", SECRET, "-n", &scene.tools, "-o", "jsonpath={.data.board\\.app\\.cookie\\.key}"]);
    assert!(key.len() > 40, "a key");
    for what in ["pods", "configmaps", "webapps", "events"] {
        assert!(!kubectl(&["get", what, "-n", &scene.tools, "-o", "json"]).contains(&key), "the key is in {what}");
    }

    // A pod of its own making, without the sidecar, is not let in: here another one's name is on it.
    let mut look_alike = pod(&scene.tools, "other", "localhost/keywire-env/caller:1");
    look_alike["metadata"]["labels"]["app"] = json!("board");
    let refused = dry_run(&look_alike).expect_err("its ServiceAccount is another");
    assert_says(&refused, &["WebApp", "board", "ServiceAccount"]);

    scene.app().delete();
    assert_eq!(scene.stage.keycloak.clients(&scene.stage.id, &format!("board.{}.app", scene.tools)).len(), 0);
    eventually("its keys go with it", PATIENCE, || {
        match try_kubectl(&["get", "secret", SECRET, "-n", &scene.tools, "-o", "jsonpath={.data}"], "") {
            Ok(data) if data.contains("board") => Err("they are there".to_owned()),
            _ => Ok(()),
        }
    });
}

#[test]
fn a_host_that_the_realm_does_not_list_is_refused() {
    let stage = Stage::with_realm("hosts");
    let tools = stage.namespace("tools");
    let spec = json!({"realm": stage.id, "host": "board.e2e.example", "signIn": "Public",
        "public": {"redirectPaths": ["/callback"]}});
    stage.apply(object("WebApp", &tools, "board", spec));
    let app = Object::in_namespace(&tools, "webapp", "board");
    let message = app.wait_condition("Accepted", "False", "HostNotListed");
    assert_says(&message, &["board.e2e.example", "spec.appHosts"]);
    assert_eq!(stage.keycloak.clients(&stage.id, &format!("board.{tools}.app")).len(), 0);
    stage.realm_object().patch(&json!({"spec": {"appHosts": [{"host": "board.e2e.example"}]}}));
    app.wait_ready(PATIENCE);

    let client = stage.keycloak.client(&stage.id, &format!("board.{tools}.app"));
    assert_eq!(client["redirectUris"], json!(["https://board.e2e.example/callback"]));
    assert_eq!(client["webOrigins"], json!(["https://board.e2e.example"]));
    assert_eq!((&client["publicClient"], &client["fullScopeAllowed"]), (&json!(true), &json!(false)));
    // Bad input is told by field.
    let bad = |spec: Value| dry_run(&object("WebApp", &tools, "bad", spec)).expect_err("refused");
    assert_says(&bad(json!({"realm": "x", "host": "a.example", "signIn": "Sidecar"})), &["spec.serviceAccountName"]);
    assert_says(&bad(json!({"realm": "x", "host": "a.example", "signIn": "Public"})), &["spec.public"]);
    assert_says(&bad(json!({"realm": "x", "host": "a.example/path", "signIn": "Public"})), &["spec.host"]);
}
