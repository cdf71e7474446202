//! What is refused at `kubectl apply`, and what a selected pod becomes.

use serde_json::{Value, json};

use crate::{
    cluster::{Object, assert_says, dry_run, kubectl, text, try_kubectl},
    eventually::{PATIENCE, eventually},
    objects::{
        CALLER_IMAGE, caller_pod, cluster_object, grant, http_endpoint, http_pod, identity, model_endpoint, pod,
        service_account,
    },
    stage::Stage,
};

/// A valid object, a place in it, what to write there, and words of the sentence that it gets.
type BadField = (&'static str, Value, &'static [&'static str]);

/// Applies nothing: the API server only says what it would say.
fn refused(object: &Value) -> String {
    match dry_run(object) {
        Ok(_) => panic!("let in: {object}"),
        Err(sentence) => sentence,
    }
}

/// Each case is the valid object with one field set, so what is refused is refused for that field.
fn assert_bad_fields(valid: &Value, cases: Vec<BadField>) {
    dry_run(valid).unwrap_or_else(|error| panic!("the valid object is refused: {error}"));
    for (path, value, words) in cases {
        let mut bad = valid.clone();
        set(&mut bad, path, value);
        assert_says(&refused(&bad), words);
    }
}

/// Writes `value` at `spec.ports.0.port` and the like, making what is not there; null removes.
fn set(object: &mut Value, path: &str, value: Value) {
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut at = object;
    for part in parents.split('.').filter(|part| !part.is_empty()) {
        at = match part.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[part],
        };
    }
    match value {
        Value::Null => at.as_object_mut().map(|fields| fields.remove(last)).map(drop).unwrap_or_default(),
        value => at[last] = value,
    }
}

fn labels(count: usize) -> Value {
    (0..count).map(|number| (format!("l{number}"), json!("x"))).collect::<serde_json::Map<_, _>>().into()
}

/// Issue 3, "Bad input": an invalid object is refused at `kubectl apply` with a sentence that names the field.
#[test]
fn a_bad_keycloak_server_is_refused_by_field() {
    let token = json!({"clientId": "keywire-operator"});
    let spec = json!({"url": "https://auth.example.com", "credentials": {"kubernetesToken": token}});
    let secret = json!({"namespace": "a", "name": "b"});
    assert_bad_fields(
        &cluster_object("KeycloakServer", "e2e-valid", spec),
        vec![
            ("metadata.name", json!("n".repeat(64)), &["metadata.name must be at most 63 characters"]),
            ("spec.url", json!("https://auth.example.com/"), &["spec.url must not end with a slash"]),
            ("spec.url", json!("ftp://auth.example.com"), &["spec.url"]),
            ("spec.url", json!("https://auth.example.com/?x=1"), &["spec.url"]),
            ("spec.url", Value::Null, &["spec.url", "Required"]),
            ("spec.internalUrl", json!("http://kc:8080/"), &["spec.internalUrl must not end with a slash"]),
            (
                "spec.credentials",
                json!({}),
                &["spec.credentials needs exactly one of kubernetesToken, clientSecret and privateKeyJwt"],
            ),
            ("spec.credentials.clientSecret", secret, &["spec.credentials needs exactly one of"]),
            ("spec.limits", json!({"requestsPerSecond": 0}), &["spec.limits.requestsPerSecond"]),
            ("spec.limits", json!({"concurrent": 257}), &["spec.limits.concurrent"]),
        ],
    );
}

/// The same for realms.
#[test]
fn a_bad_realm_is_refused_by_field() {
    let name_of_master = &["spec.realm master", "ClientsOnly"];
    let valid = cluster_object("Realm", "e2e-valid", json!({"server": "main", "realm": "e2e-valid"}));
    let roles = json!([{"name": "twice"}, {"name": "twice"}]);
    assert_bad_fields(
        &valid,
        vec![
            ("metadata.name", json!("n".repeat(64)), &["metadata.name must be at most 63 characters"]),
            ("spec.realm", json!("master"), name_of_master),
            ("spec.realm", json!("a/b"), &["spec.realm"]),
            ("spec.server", json!(""), &["spec.server"]),
            ("spec.management", json!("Half"), &["spec.management", "Full", "ClientsOnly"]),
            ("spec.deletionPolicy", json!("Perhaps"), &["spec.deletionPolicy", "Orphan", "Delete"]),
            ("spec.tokens", json!({"accessTokenLifespan": "5 minutes"}), &["spec.tokens.accessTokenLifespan"]),
            ("spec.roles", roles, &["spec.roles", "Duplicate"]),
            ("spec.namespaces", json!({"selector": {"matchLabels": {}}}), &["spec.namespaces.selector.matchLabels"]),
            ("spec.workloadIssuer", json!({"alias": "No Alias"}), &["spec.workloadIssuer.alias"]),
        ],
    );
    assert_bad_fields(&valid, bad_settings());
    let mut others = valid;
    others["spec"]["management"] = json!("ClientsOnly");
    assert_bad_fields(
        &others,
        vec![
            ("spec.displayName", json!("Ours"), &["spec.management is ClientsOnly", "displayName"]),
            ("spec.tokens", json!({"accessTokenLifespan": "5m"}), &["spec.management is ClientsOnly", "tokens"]),
            ("spec.login", json!({"rememberMe": true}), &["spec.management is ClientsOnly", "login"]),
            ("spec.bruteForce", json!({"enabled": true}), &["spec.management is ClientsOnly", "bruteForce"]),
            ("spec.sslRequired", json!("All"), &["spec.management is ClientsOnly", "sslRequired"]),
            ("spec.keys", json!([{"algorithm": "RS256"}]), &["spec.management is ClientsOnly", "keys"]),
            ("spec.extra", json!({"otpPolicyDigits": 8}), &["spec.management is ClientsOnly", "extra"]),
            ("spec.deletionPolicy", json!("Delete"), &["spec.deletionPolicy Delete needs spec.management Full"]),
        ],
    );
}

fn bad_settings() -> Vec<BadField> {
    let keys =
        |rotate_every: &str| json!([{"algorithm": "RS256", "rotateEvery": rotate_every, "publishBefore": "40m"}]);
    let shared = json!({"duplicateEmails": true, "withEmail": false, "emailAsUsername": true});
    vec![
        ("spec.displayName", json!("x".repeat(256)), &["spec.displayName", "255"]),
        ("spec.tokens", json!({"signatureAlgorithm": "HS256"}), &["spec.tokens.signatureAlgorithm", "ES256"]),
        ("spec.login", json!({"duplicateEmails": true}), &["spec.login.duplicateEmails needs withEmail: false"]),
        ("spec.login", shared, &["spec.login.duplicateEmails and emailAsUsername exclude each other"]),
        ("spec.bruteForce", json!({"enabled": true, "maxTemporaryLockouts": 1}), &["set permanentLockout"]),
        ("spec.passwordPolicy", json!({"notation": "digits(1)", "digits": 1}), &["spec.passwordPolicy.notation"]),
        ("spec.locales", json!({"supported": ["de"], "default": "en"}), &["spec.locales.default must be one of"]),
        ("spec.keys", keys("1h"), &["rotateEvery must be at least twice publishBefore"]),
        ("spec.keys", json!([{"algorithm": "RS256"}, {"algorithm": "RS256"}]), &["spec.keys[1]", "Duplicate"]),
    ]
}

/// The same for endpoints.
#[test]
fn a_bad_endpoint_is_refused_by_field() {
    let ports = |port: Value| json!([port]);
    let rules = |rule: Value| json!([rule]);
    assert_bad_fields(
        &model_endpoint("ml", "default", "e2e-valid"),
        vec![
            ("metadata.name", json!("has.dots"), &["metadata.name must be a DNS label"]),
            ("metadata.name", json!("n".repeat(64)), &["metadata.name must be a DNS label", "63"]),
            ("spec.protocol", json!("HTTP"), &["spec.protocol HTTP", "spec.rules"]),
            ("spec.protocol", json!("Telepathy"), &["spec.protocol", "OpenInference"]),
            ("spec.workload", json!({"matchLabels": {}}), &["spec.workload.matchLabels"]),
            ("spec.workload", json!({"matchLabels": labels(17)}), &["spec.workload.matchLabels", "16"]),
            ("spec.ports", json!([]), &["spec.ports"]),
            ("spec.ports", ports(json!({"name": "http", "port": 60000})), &["spec.ports", "guardPort"]),
            ("spec.ports", ports(json!({"name": "http", "port": 0})), &["spec.ports[0].port"]),
            (
                "spec.ports",
                ports(json!({"name": "http", "port": 8080, "guardPort": 8080})),
                &["spec.ports: guardPort and port must differ"],
            ),
            (
                "spec.ports",
                ports(json!({"name": "http", "port": 8080, "guardPort": 80})),
                &["spec.ports[0].guardPort", "1024"],
            ),
            ("spec.ports", ports(json!({"name": "sixteen-letters-", "port": 80})), &["spec.ports[0].name"]),
            ("spec.models", json!([]), &["spec.models"]),
            ("spec.rules", rules(json!({"path": "/x"})), &["spec.rules: a route needs either a permission or public"]),
            (
                "spec.rules",
                rules(json!({"path": "/x", "permission": "read", "public": true})),
                &["spec.rules: a route needs either a permission or public"],
            ),
            ("spec.rules", rules(json!({"path": "x", "permission": "read"})), &["spec.rules[0].path"]),
            (
                "spec.rules",
                rules(json!({"path": "/x", "permission": "read", "methods": ["get"]})),
                &["spec.rules[0].methods"],
            ),
            ("spec.service", json!({"name": "1st"}), &["spec.service.name"]),
            ("spec.isolation", json!("Hope"), &["spec.isolation", "NetworkPolicy"]),
        ],
    );
}

/// The same for identities.
#[test]
fn a_bad_identity_is_refused_by_field() {
    let target = |env: &str| json!({"env": env, "endpoint": {"namespace": "vision", "name": "iris"}});
    let with = |field: &str, value: Value| {
        let mut target = target("URL");
        target[field] = value;
        json!([target])
    };
    assert_bad_fields(
        &identity("ml", "default", "e2e-valid", &[("IRIS_URL", "vision", "iris")]),
        vec![
            ("metadata.name", json!("has.dots"), &["metadata.name must be a DNS label"]),
            ("spec.targets", json!([target("A"), target("A")]), &["spec.targets: two targets name the same env"]),
            ("spec.targets", json!([target("A-B")]), &["spec.targets[0].env"]),
            ("spec.targets", with("port", json!(80)), &["spec.targets[0].port", "1024"]),
            ("spec.targets", with("endpoint", json!({"namespace": "vision"})), &["spec.targets[0].endpoint.name"]),
            ("spec.targets", (0..33).map(|n| target(&format!("A{n}"))).collect(), &["spec.targets", "32"]),
            ("spec.workload", json!({"matchLabels": {}}), &["spec.workload.matchLabels"]),
            ("spec.serviceAccountName", Value::Null, &["spec.serviceAccountName", "Required"]),
            ("spec.credential", json!("Password"), &["spec.credential", "KubernetesToken"]),
        ],
    );
}

/// The same for grants.
#[test]
fn a_bad_grant_is_refused_by_field() {
    let many: Vec<_> = (0..17).map(|number| format!("p{number}")).collect();
    assert_bad_fields(
        &grant("default", "e2e-valid", ("agents", "labeler"), &["read"]),
        vec![
            ("metadata.name", json!("has.dots"), &["metadata.name must be a DNS label"]),
            ("spec.endpoint", json!("Iris"), &["spec.endpoint"]),
            ("spec.subjects", json!([]), &["spec.subjects"]),
            ("spec.subjects", json!([{}]), &["spec.subjects: each subject must name exactly one of workloadIdentity"]),
            ("spec.permissions", json!([]), &["spec.permissions"]),
            ("spec.permissions", json!(many), &["spec.permissions", "16"]),
            ("spec.permissions", json!(["read", "read"]), &["spec.permissions", "Duplicate"]),
            ("spec.permissions", json!(["Read"]), &["spec.permissions"]),
            ("spec.models", json!([]), &["spec.models"]),
            ("spec.expiresAt", json!("tomorrow"), &["spec.expiresAt"]),
        ],
    );
}

/// The rule that needs an older self: a realm's name and server stay.
#[test]
fn a_realm_keeps_its_name_and_server() {
    let stage = Stage::empty("immutable");
    stage.apply(stage.realm());
    for patch in [json!({"spec": {"realm": "other"}}), json!({"spec": {"server": "other"}})] {
        let name = &format!("realm/{}", stage.id);
        let patch = ["patch", name, "--dry-run=server", "--type=merge", "-p", &patch.to_string()];
        let sentence = try_kubectl(&patch, "").expect_err("the realm's name or server changes");
        assert_says(&sentence, &["spec.server and spec.realm cannot change"]);
    }
}

/// Says what admission makes of a pod, once it answers with these words.
fn eventually_refused(pod: &Value, words: &[&str]) {
    eventually(&format!("a pod is refused with {words:?}"), PATIENCE, || match dry_run(pod) {
        Err(sentence) if words.iter().all(|word| sentence.contains(word)) => Ok(()),
        Err(other) => Err(other),
        Ok(pod) => Err(format!("let in: {pod}")),
    });
}

/// An endpoint `iris` and an identity `labeler` in one namespace. Keycloak has no part in admission.
fn injecting(test: &str) -> (Stage, String) {
    let stage = Stage::empty(test);
    let namespace = stage.namespace("pods");
    stage.apply(stage.server());
    stage.apply(stage.realm());
    stage.apply(http_endpoint(&stage.id, &namespace, "iris"));
    stage.apply(identity(&stage.id, &namespace, "labeler", &[("IRIS_URL", &namespace, "iris")]));
    stage.apply(service_account(&namespace, "labeler"));
    (stage, namespace)
}

/// Issue 3, "What must work", 5: the native sidecar and the projected token go into selected pods, also where Pod
/// Security is `restricted`; other pods stay as they are.
#[test]
fn selected_pods_get_a_sidecar_that_pod_security_accepts() {
    let (_stage, namespace) = injecting("inject");
    for pod in [http_pod(&namespace, "iris"), caller_pod(&namespace, "labeler")] {
        let name = text(&pod["metadata"]["name"]);
        let made = eventually(&format!("pod {name} is let in"), PATIENCE, || dry_run(&pod));
        let sidecar = &made["spec"]["initContainers"][0];
        assert_eq!(
            (&sidecar["name"], &sidecar["restartPolicy"]),
            (&json!("keywire-proxy"), &json!("Always")),
            "{made}"
        );
        let volumes = made["spec"]["volumes"].as_array().expect("volumes");
        let tokens = volumes.iter().find(|volume| volume["name"] == "keywire-tokens").expect("the tokens' volume");
        assert!(tokens["projected"]["sources"][0]["serviceAccountToken"]["audience"].is_string(), "{tokens}");
    }
    let other = dry_run(&pod(&namespace, "other", CALLER_IMAGE)).expect("a pod that nothing selects is let in");
    assert_eq!(other["spec"]["initContainers"], Value::Null, "a pod that nothing selects: {other}");
}

/// Design: ambiguous input is refused, not repaired; the message names the objects.
#[test]
fn pods_that_cannot_be_wired_are_refused_with_the_reason() {
    let (stage, namespace) = injecting("refuse");
    let labeler = caller_pod(&namespace, "labeler");

    let mut host_network = http_pod(&namespace, "iris");
    host_network["spec"]["hostNetwork"] = json!(true);
    eventually_refused(&host_network, &["spec.hostNetwork", &format!("ModelEndpoint {namespace}/iris")]);

    let mut taken = labeler.clone();
    taken["spec"]["containers"][0]["env"] = json!([{"name": "IRIS_URL", "value": "http://elsewhere"}]);
    eventually_refused(&taken, &["\"app\"", "\"IRIS_URL\"", &format!("WorkloadIdentity {namespace}/labeler")]);

    let mut port = http_pod(&namespace, "iris");
    port["spec"]["containers"][0]["ports"] = json!([{"containerPort": 18080}]);
    eventually_refused(&port, &["port 18080", &format!("ModelEndpoint {namespace}/iris")]);

    let mut twin = identity(&stage.id, &namespace, "twin", &[]);
    twin["spec"]["serviceAccountName"] = json!("labeler");
    twin["spec"]["workload"]["matchLabels"] = json!({"app": "labeler"});
    stage.apply(twin);
    eventually_refused(&labeler, &[&format!("{namespace}/labeler and {namespace}/twin")]);
}

/// Design: a selected pod that lacks the sidecar is denied, so an absent webhook fails closed.
#[test]
fn an_endpoints_pod_without_its_guard_is_denied() {
    let (_stage, namespace) = injecting("bypass");
    kubectl(&["label", "namespace", &namespace, "keywire.dev/injection=disabled"]);
    let endpoint = format!("ModelEndpoint {namespace}/iris");
    let words = ["keywire-sidecar", &endpoint, "lacks the guard", "keywire.dev/injection=disabled"];
    eventually_refused(&http_pod(&namespace, "iris"), &words);
    // A container that only looks like the guard does not help.
    let mut look_alike = http_pod(&namespace, "iris");
    let mut sidecar = look_alike["spec"]["containers"][0].clone();
    sidecar["name"] = json!("keywire-proxy");
    sidecar["restartPolicy"] = json!("Always");
    look_alike["spec"]["initContainers"] = json!([sidecar]);
    eventually_refused(&look_alike, &words);
    dry_run(&pod(&namespace, "other", CALLER_IMAGE)).expect("a pod that nothing selects is let in");
}

/// The objects of an identity that goes with its namespace leave nothing that would hold the namespace.
#[test]
fn a_namespace_can_be_deleted_with_everything_in_it() {
    let (stage, namespace) = injecting("vanish");
    let identity = Object::in_namespace(&namespace, "workloadidentity", "labeler");
    identity.wait_ready(PATIENCE);
    let client_id = format!("labeler.{namespace}.workload");
    stage.keycloak.client(&stage.id, &client_id);
    Object::cluster("namespace", &namespace).delete();
    assert_eq!(stage.keycloak.clients(&stage.id, &client_id), Vec::<Value>::new(), "client {client_id} stays");
}
