//! Keycloak away, a login that does not work, a right that is missing: a condition says which; nothing is lost.

use serde_json::{Value, json};

use crate::{
    cluster::{KEYWIRE, Object, assert_says, kubectl, text},
    eventually::{PATIENCE, eventually},
    objects::{grant, http_endpoint, identity},
    stage::{Stage, internal_url},
};

/// The controller's own loopback, where nobody listens.
const NOWHERE: &str = "http://127.0.0.1:9";
/// What no log and no status may hold.
const SECRET: &str = "e2e-never-to-be-seen-";

/// Issue 3, "Bad input": Keycloak down: a condition that says so. It heals when Keycloak answers.
#[test]
fn a_server_out_of_reach_says_so() {
    let stage = Stage::empty("dead");
    stage.apply(stage.server_at(NOWHERE, kubernetes_token()));
    stage.apply(stage.realm());
    let message = stage.server_object().wait_condition("Ready", "False", "KeycloakUnreachable");
    assert_says(&message, &["127.0.0.1:9"]);
    stage.realm_object().wait_condition("Synced", "False", "KeycloakUnreachable");
    stage.apply(stage.server());
    stage.server_object().wait_ready(PATIENCE);
    stage.realm_object().wait_ready(PATIENCE);
}

/// Issue 3, "Bad input": wrong password: a condition that says which; design: secrets never in status, events or logs.
#[test]
fn a_wrong_secret_is_told_by_client_and_shown_to_nobody() {
    let mut stage = Stage::empty("secret");
    let secret = format!("{SECRET}{}", stage.id);
    let client_id = stage.login_without_rights("the-right-one");
    let namespace = stage.namespace("login");
    apply_login(&stage, &namespace, &client_id, &secret);
    let message = stage.server_object().wait_condition("Ready", "False", "LoginFailed");
    assert_says(&message, &[&client_id, "secret"]);
    apply_secret(&stage, &namespace, &client_id, "the-right-one");
    stage.server_object().touch("secret corrected");
    stage.server_object().wait_ready(PATIENCE);
    let seen = [
        kubectl(&["get", "keywire", "-A", "-o", "json"]),
        kubectl(&["get", "events", "-A", "-o", "json"]),
        kubectl(&["logs", "-n", KEYWIRE, "-l", "app.kubernetes.io/name=keywire", "--tail=-1"]),
    ];
    assert!(seen[0].contains(&stage.id) && seen[1].contains(&stage.id) && seen[2].contains(&stage.id), "{}", stage.id);
    for text in seen {
        assert!(!text.contains(&secret), "the secret is shown: {}", around(&text, &secret));
    }
}

/// Issue 3, "Bad input": a missing right: a condition that says which.
#[test]
fn a_missing_right_is_named() {
    let (stage, _) = without_rights("rights");
    stage.apply(stage.realm());
    let message = stage.realm_object().wait_condition("Ready", "False", "MissingRight");
    assert_says(&message, &["role create-realm of realm master"]);
    // The realm of somebody else: what is missing there is another right.
    stage.realm_object().delete();
    let (status, answer) = stage.keycloak.post("", &json!({"realm": stage.id, "enabled": true}));
    assert_eq!(status, 201, "realm {}: {answer}", stage.id);
    let mut realm = stage.realm();
    realm["spec"]["management"] = json!("ClientsOnly");
    realm["spec"]["deletionPolicy"] = json!("Orphan");
    stage.apply(realm);
    let message = stage.realm_object().wait_condition("Ready", "False", "MissingRight");
    assert_says(&message, &["role ", &format!("realm-management in realm {}", stage.id)]);
    // Without rights there is no clean-up either. The annotation that the README names lets the object go.
    stage.realm_object().begin_deletion();
    eventually_told(&stage.realm_object(), "default", "CleanupFailed", "keywire.dev/force-release=true");
    stage.realm_object().release_by_hand();
    stage.realm_object().wait_gone();
}

/// A server where the operator can log in and may do nothing; and the namespace of the login's Secret.
pub fn without_rights(test: &str) -> (Stage, String) {
    let mut stage = Stage::empty(test);
    let client_id = stage.login_without_rights("right");
    let namespace = stage.namespace("login");
    apply_login(&stage, &namespace, &client_id, "right");
    stage.server_object().wait_ready(PATIENCE);
    (stage, namespace)
}

/// Waits for an event about the test's objects with this reason and these words.
pub fn eventually_told(object: &Object, namespace: &str, reason: &str, words: &str) {
    eventually(&format!("{object:?} gets an event {reason} with {words:?}"), PATIENCE, || {
        let (kind, name) = object.kind_and_name();
        let which = format!("--field-selector=reason={reason},involvedObject.name={name}");
        let events = kubectl(&["get", "events", "-n", namespace, &which, "-o", "json"]);
        if events.contains(words) { Ok(()) } else { Err(format!("events of {kind} {name}: {events}")) }
    });
}

/// Issue 3: conditions tell a person what to do next. A Secret that is absent, or that the operator may not read.
#[test]
fn an_absent_secret_is_named_with_the_way_out() {
    let stage = Stage::empty("nosecret");
    let namespace = stage.namespace("login");
    stage.apply(stage.server_at(&internal_url(), client_secret(&namespace)));
    let secret = format!("Secret {namespace}/login");
    let message = stage.server_object().wait_condition("Ready", "False", "CredentialsNotFound");
    assert_says(&message, &[&secret, "forbidden", "credentialSecrets"]);
    allow_reading(&stage, &namespace);
    eventually(&format!("the server says that {secret} does not exist"), PATIENCE, || {
        stage.server_object().touch("allowed");
        let message = stage.server_object().wait_condition("Ready", "False", "CredentialsNotFound");
        if message.contains("not found") { Ok(()) } else { Err(message) }
    });
    apply_secret(&stage, &namespace, "keywire-operator", "");
    stage.server_object().touch("made");
    let message = stage.server_object().wait_condition("Ready", "False", "CredentialsIncomplete");
    assert_says(&message, &[&secret, "clientSecret"]);
}

/// Issue 4: the mail server's Secret may not be read, then is absent, then is there. Only the mail server waits for it.
#[test]
fn a_missing_mail_password_keeps_nothing_else_from_working() {
    let stage = Stage::empty("mail");
    let namespace = stage.namespace("corp");
    stage.apply(stage.server());
    let mut realm = stage.realm();
    let password = json!({"namespace": namespace, "name": "login", "key": "clientSecret"});
    realm["spec"]["displayName"] = json!("Mail");
    realm["spec"]["smtp"] =
        json!({"host": "mail.example", "from": "a@mail.example", "login": {"user": "keycloak", "password": password}});
    stage.apply(realm);
    let secret = format!("Secret {namespace}/login");
    let message = stage.realm_object().wait_condition("Settings", "False", "SecretForbidden");
    assert_says(&message, &[&secret, "spec.smtp.login.password", "secretNamespaces"]);
    stage.realm_object().wait_condition("Ready", "False", "SecretForbidden");
    stage.apply(http_endpoint(&stage.id, &namespace, "iris"));
    Object::in_namespace(&namespace, "modelendpoint", "iris").wait_ready(PATIENCE);
    let settings = || stage.keycloak.get(&format!("/{}", stage.id)).1;
    assert_eq!((text(&settings()["displayName"]), &settings()["smtpServer"]), ("Mail".into(), &json!({})));

    allow_reading(&stage, &namespace);
    eventually(&format!("the realm says that {secret} does not exist"), PATIENCE, || {
        stage.realm_object().touch("allowed");
        let message = stage.realm_object().wait_condition("Settings", "False", "SecretNotFound");
        if message.contains("does not exist") { Ok(()) } else { Err(message) }
    });
    apply_secret(&stage, &namespace, "keywire-operator", "sesame-of-the-mail-server");
    stage.realm_object().touch("made");
    stage.realm_object().wait_ready(PATIENCE);
    assert_eq!(settings()["smtpServer"]["host"], "mail.example");
    let shown = kubectl(&["get", "realm", &stage.id, "-o", "json"]);
    assert!(!shown.contains("sesame-of-the-mail-server"), "{shown}");
}

/// Issue 3, "Bad input": calls retried, nothing deleted, nothing lost; an object that goes meanwhile waits for its
/// clean-up and then goes.
#[test]
fn nothing_is_lost_while_keycloak_is_away() {
    let stage = Stage::with_realm("away");
    let team = Team::new(&stage);
    team.objects().iter().for_each(|object| object.wait_ready(PATIENCE));
    let before = team.state();
    record_changes(&stage);

    stage.apply(stage.server_at(NOWHERE, kubernetes_token()));
    for object in [stage.server_object(), stage.realm_object()] {
        object.wait_condition("Ready", "False", "KeycloakUnreachable");
    }
    // What Keycloak holds already is no news to anybody; what it does not hold yet waits.
    stage.apply(identity(&stage.id, &team.namespace, "coming", &[]));
    let coming = Object::in_namespace(&team.namespace, "workloadidentity", "coming");
    assert_says(&coming.wait_condition("Ready", "False", "Waiting"), &[&format!("Realm \"{}\"", stage.id)]);
    for object in [&team.staying, &team.leaving, &team.endpoint] {
        object.touch("while Keycloak is away");
        object.wait_ready(PATIENCE);
    }
    team.leaving.begin_deletion();
    eventually_told(&team.leaving, &team.namespace, "CleanupFailed", "127.0.0.1:9");
    let object = team.leaving.get().expect("the identity waits for its clean-up");
    assert!(object["metadata"]["finalizers"][0].is_string(), "{object}");
    assert_eq!(team.state(), before, "clients while Keycloak is away");

    stage.apply(stage.server());
    team.leaving.wait_gone();
    [&team.staying, &team.endpoint, &coming].iter().for_each(|object| object.wait_ready(PATIENCE));
    assert_eq!(team.state(), [before[0].clone(), Value::Null, before[2].clone()], "clients afterwards");
    let made = stage.keycloak.client(&stage.id, &format!("coming.{}.workload", team.namespace));
    let expected = [("CREATE", &made), ("DELETE", &before[1])];
    let expected = expected.map(|(verb, client)| format!("{verb} clients/{}", text(&client["id"])));
    let mut found = changes(&stage);
    found.sort();
    assert_eq!(found, expected, "everything that was written to Keycloak since");
}

/// An endpoint and two identities with grants.
struct Team<'a> {
    stage: &'a Stage,
    namespace: String,
    endpoint: Object,
    staying: Object,
    leaving: Object,
}

impl<'a> Team<'a> {
    fn new(stage: &'a Stage) -> Self {
        let namespace = stage.namespace("team");
        stage.apply(http_endpoint(&stage.id, &namespace, "iris"));
        for name in ["staying", "leaving"] {
            stage.apply(identity(&stage.id, &namespace, name, &[("IRIS_URL", &namespace, "iris")]));
            stage.apply(grant(&namespace, "iris", (&namespace, name), &["read"]));
        }
        let object = |kind, name| Object::in_namespace(&namespace, kind, name);
        Self {
            endpoint: object("modelendpoint", "iris"),
            staying: object("workloadidentity", "staying"),
            leaving: object("workloadidentity", "leaving"),
            namespace,
            stage,
        }
    }

    fn objects(&self) -> [Object; 5] {
        let grant = |name: &str| Object::in_namespace(&self.namespace, "accessgrant", name);
        let [first, second] = [grant("iris-staying"), grant("iris-leaving")];
        [self.endpoint.clone(), self.staying.clone(), self.leaving.clone(), first, second]
    }

    /// The three clients as Keycloak holds them; null where there is none.
    fn state(&self) -> [Value; 3] {
        ["staying", "leaving", "iris"].map(|name| {
            let kind = if name == "iris" { "endpoint" } else { "workload" };
            let client_id = format!("{name}.{}.{kind}", self.namespace);
            self.stage.keycloak.clients(&self.stage.id, &client_id).pop().unwrap_or_default()
        })
    }
}

/// Has Keycloak write down every change in the realm from now on.
pub fn record_changes(stage: &Stage) {
    let settings = json!({"adminEventsEnabled": true, "adminEventsDetailsEnabled": false});
    let (status, answer) = stage.keycloak.put(&format!("/{}", stage.id), &settings);
    assert_eq!(status, 204, "admin events of realm {}: {answer}", stage.id);
    // Keywire has had them written down from the start.
    let (status, answer) = stage.keycloak.delete(&format!("/{}/admin-events", stage.id));
    assert_eq!(status, 204, "admin events of realm {}: {answer}", stage.id);
}

/// What the operator has changed in the realm since then, oldest first: `CREATE clients/…`.
pub fn changes(stage: &Stage) -> Vec<String> {
    let operator = stage.keycloak.client("master", "keywire-operator")["id"].clone();
    let (status, events) = stage.keycloak.get(&format!("/{}/admin-events?max=1000", stage.id));
    assert_eq!(status, 200, "admin events of realm {}: {events}", stage.id);
    let said = |event: &Value| format!("{} {}", text(&event["operationType"]), text(&event["resourcePath"]));
    let ours = |event: &&Value| event["authDetails"]["clientId"] == operator;
    events.as_array().expect("a list").iter().rev().filter(ours).map(said).collect()
}

/// The operator's own login, without a secret.
pub fn kubernetes_token() -> Value {
    json!({"kubernetesToken": {"clientId": "keywire-operator"}})
}

fn client_secret(namespace: &str) -> Value {
    json!({"clientSecret": {"namespace": namespace, "name": "login"}})
}

/// A KeycloakServer whose login is a Secret that the operator may read.
fn apply_login(stage: &Stage, namespace: &str, client_id: &str, secret: &str) {
    allow_reading(stage, namespace);
    apply_secret(stage, namespace, client_id, secret);
    stage.apply(stage.server_at(&internal_url(), client_secret(namespace)));
}

/// A Secret `login` for a client.
pub fn apply_secret(stage: &Stage, namespace: &str, client_id: &str, secret: &str) {
    stage.apply(json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "login", "namespace": namespace},
        "stringData": {"clientId": client_id, "clientSecret": secret}}));
}

/// What the chart makes of `credentialSecrets`.
pub fn allow_reading(stage: &Stage, namespace: &str) {
    let (api, group) = ("rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io");
    let metadata = json!({"name": "keywire-credentials", "namespace": namespace});
    stage.apply(json!({"apiVersion": api, "kind": "Role", "metadata": metadata,
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["login"], "verbs": ["get"]}]}));
    stage.apply(json!({"apiVersion": api, "kind": "RoleBinding", "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "keywire-credentials"},
        "subjects": [{"kind": "ServiceAccount", "name": "keywire-controller", "namespace": KEYWIRE}]}));
}

/// The text around a finding, without the finding.
fn around(text: &str, found: &str) -> String {
    let before = text.split(found).next().unwrap_or_default();
    let tail: String = before.chars().rev().take(200).collect();
    tail.chars().rev().collect()
}

/// Design: a Realm that names a server that another needs waits; the server goes last.
#[test]
fn a_server_waits_for_its_realms() {
    let stage = Stage::with_realm("inuse");
    stage.server_object().begin_deletion();
    let message = stage.server_object().wait_condition("Ready", "False", "InUse");
    assert_says(&message, &["1 Realm"]);
    stage.realm_object().delete();
    stage.server_object().wait_gone();
}
