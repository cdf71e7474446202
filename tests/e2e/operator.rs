//! The operator itself: replicas that go, restarts, drift.

use serde_json::{Value, json};

use crate::{
    cluster::{KEYWIRE, Object, dry_run, kubectl, text, try_kubectl},
    eventually::{PATIENCE, POD_PATIENCE, eventually},
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    stage::Stage,
    trouble::{changes, record_changes},
};

/// An endpoint `iris` and an identity `labeler` with a grant, all in one namespace.
struct Pair {
    stage: Stage,
    namespace: String,
}

impl Pair {
    fn new(test: &str) -> Self {
        let stage = Stage::with_realm(test);
        let namespace = stage.namespace("team");
        stage.apply(service_account(&namespace, "labeler"));
        stage.apply(http_endpoint(&stage.id, &namespace, "iris"));
        stage.apply(identity(&stage.id, &namespace, "labeler", &[("IRIS_URL", &namespace, "iris")]));
        stage.apply(grant(&namespace, "iris", (&namespace, "labeler"), &["read"]));
        let pair = Self { stage, namespace };
        pair.endpoint().wait_ready(PATIENCE);
        eventually("the labeler holds the role", PATIENCE, || pair.holds_role());
        pair.identity().wait_condition("Granted", "True", "Granted");
        pair
    }

    fn endpoint(&self) -> Object {
        Object::in_namespace(&self.namespace, "modelendpoint", "iris")
    }

    fn identity(&self) -> Object {
        Object::in_namespace(&self.namespace, "workloadidentity", "labeler")
    }

    fn touch_all(&self, value: &str) {
        [self.stage.realm_object(), self.endpoint(), self.identity()].iter().for_each(|object| object.touch(value));
    }

    fn realm_path(&self) -> String {
        format!("/{}", self.stage.id)
    }

    fn get(&self, path: &str) -> Value {
        let path = format!("{}{path}", self.realm_path());
        let (status, found) = self.stage.keycloak.get(&path);
        assert_eq!(status, 200, "{path}: {found}");
        found
    }

    fn client_path(&self, name: &str) -> String {
        let client_id = format!("{name}.{}.{}", self.namespace, if name == "iris" { "endpoint" } else { "workload" });
        format!("/clients/{}", text(&self.stage.keycloak.client(&self.stage.id, &client_id)["id"]))
    }

    /// Where the roles of the endpoint are mapped to the labeler's service account.
    fn mappings_path(&self) -> String {
        let account = self.get(&format!("{}/service-account-user", self.client_path("labeler")));
        let endpoint = self.client_path("iris").replace("/clients/", "");
        format!("/users/{}/role-mappings/clients/{endpoint}", text(&account["id"]))
    }

    fn holds_role(&self) -> Result<(), String> {
        let roles = self.get(&self.mappings_path());
        let has = roles.as_array().is_some_and(|roles| roles.iter().any(|role| role["name"] == "read"));
        if has { Ok(()) } else { Err(format!("role mappings: {roles}")) }
    }

    fn role_is_described(&self) -> Result<(), String> {
        let role = self.get(&format!("{}/roles/read", self.client_path("iris")));
        if role["description"] == "by hand" { Err(format!("role: {role}")) } else { Ok(()) }
    }

    fn realm_is_named(&self) -> Result<(), String> {
        let realm = self.get("");
        if realm["displayName"] == "as written" { Ok(()) } else { Err(format!("named {}", realm["displayName"])) }
    }

    /// What somebody might do in Keycloak's console: one change to what each of the three objects keeps.
    fn drift(&self) {
        let (keycloak, realm) = (&self.stage.keycloak, self.realm_path());
        let (mappings, role) = (self.mappings_path(), format!("{}/roles/read", self.client_path("iris")));
        let mut described = self.get(&role);
        described["description"] = json!("by hand");
        let made = [
            keycloak.delete(&format!("{realm}{mappings}")),
            keycloak.put(&format!("{realm}{role}"), &described),
            keycloak.put(&realm, &json!({"displayName": "by hand"})),
        ];
        assert!(made.iter().all(|(status, _)| *status == 204), "changes by hand: {made:?}");
    }

    fn wait_repaired(&self) {
        eventually("the realm has its name again", POD_PATIENCE, || self.realm_is_named());
        eventually("the role is described again", POD_PATIENCE, || self.role_is_described());
        eventually("the role is mapped again", POD_PATIENCE, || self.holds_role());
    }
}

/// The controller's replicas.
fn replicas() -> Vec<String> {
    let selector = "app.kubernetes.io/component=controller";
    let pods = kubectl(&["get", "pods", "-n", KEYWIRE, "-l", selector, "-o", "jsonpath={.items[*].metadata.name}"]);
    pods.split_whitespace().map(ToOwned::to_owned).collect()
}

/// The replica that says of itself that it leads.
fn leader() -> Result<String, String> {
    let leads = |pod: &String| {
        let metrics = format!("/api/v1/namespaces/{KEYWIRE}/pods/{pod}:8080/proxy/metrics");
        try_kubectl(&["get", "--raw", &metrics], "")
            .is_ok_and(|text| text.lines().any(|line| line == "keywire_leader 1"))
    };
    let replicas = replicas();
    replicas.iter().find(|pod| leads(pod)).cloned().ok_or_else(|| format!("none of {replicas:?} leads"))
}

/// Issue 3, "What must work", 4: leader election.
#[test]
fn another_replica_takes_over_from_a_leader_that_goes() {
    let pair = Pair::new("leader");
    let before = eventually("a replica leads", PATIENCE, leader);
    kubectl(&["delete", "pod", "-n", KEYWIRE, &before, "--wait=false"]);
    let after = eventually(&format!("another replica than {before} leads"), POD_PATIENCE, || match leader()? {
        same if same == before => Err(format!("{same} still leads")),
        other => Ok(other),
    });
    assert_ne!(after, before);
    pair.stage.apply(identity(&pair.stage.id, &pair.namespace, "later", &[]));
    Object::in_namespace(&pair.namespace, "workloadidentity", "later").wait_ready(POD_PATIENCE);
    pair.stage.keycloak.client(&pair.stage.id, &format!("later.{}.workload", pair.namespace));
}

/// Design: a restart writes nothing, and what has drifted is repaired. Proved together: each of a realm, an endpoint
/// and an identity is changed by hand before a restart and once more after it, so that the repairs show that each was
/// looked at, and that there are no other writes shows that a look by itself changes nothing.
#[test]
fn a_restart_writes_only_what_has_drifted() {
    let pair = Pair::new("drift");
    pair.stage.realm_object().patch(&json!({"spec": {"displayName": "as written"}}));
    pair.stage.realm_object().wait_ready(PATIENCE);
    eventually("the realm has its name", PATIENCE, || pair.realm_is_named());
    record_changes(&pair.stage);

    pair.drift();
    kubectl(&["rollout", "restart", "-n", KEYWIRE, "deployment/keywire-controller"]);
    kubectl(&["rollout", "status", "-n", KEYWIRE, "deployment/keywire-controller", "--timeout=120s"]);
    pair.wait_repaired();
    pair.drift();
    pair.touch_all("drifted again");
    pair.wait_repaired();

    let (role, mappings) = (format!("{}/roles/read", pair.client_path("iris")), pair.mappings_path());
    let once = [format!("CREATE {}", &mappings[1..]), "UPDATE ".to_owned(), format!("UPDATE {}", &role[1..])];
    let mut expected = [once.clone(), once].concat();
    let mut found = changes(&pair.stage);
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "what the operator wrote");
}

/// Issue 3, "What must work", 5. While the webhook restarts an endpoint's pod comes in with its guard or not at all.
#[test]
fn a_restart_of_the_webhook_lets_no_pod_in_unguarded() {
    let pair = Pair::new("webhook");
    let pods = [http_pod(&pair.namespace, "iris"), caller_pod(&pair.namespace, "labeler")];
    let selector = "app.kubernetes.io/component=webhook";
    for pod in &pods {
        eventually("a pod is injected", PATIENCE, || injected(pod));
    }
    kubectl(&["delete", "pods", "-n", KEYWIRE, "-l", selector, "--wait=false"]);
    // Until the new ones answer: refused, or injected by one that is still there.
    let (mut answered, rolled_out) =
        (0, ["rollout", "status", "-n", KEYWIRE, "deployment/keywire-webhook", "--watch=false"]);
    eventually("pods are injected after the restart", POD_PATIENCE, || {
        let all: Vec<_> = pods.iter().map(injected).collect();
        answered = if all.iter().all(Result::is_ok) { answered + 1 } else { 0 };
        let status = kubectl(&rolled_out);
        if answered >= 3 && status.contains("successfully") { Ok(()) } else { Err(format!("{all:?}; {status}")) }
    });
}

/// Whether a pod would be injected; an error where it would be refused. One that is neither fails the test.
fn injected(pod: &Value) -> Result<(), String> {
    let made = dry_run(pod)?;
    let sidecar = &made["spec"]["initContainers"][0]["name"];
    assert_eq!(sidecar, "keywire-proxy", "a pod without its sidecar is let in: {made}");
    Ok(())
}
