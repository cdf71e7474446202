//! What others change in Keycloak: undone or reported, and told with field and name.

use serde_json::{Value, json};

use crate::{
    cluster::{KEYWIRE, Object, assert_says, condition, kubectl, text, try_kubectl},
    eventually::{PATIENCE, POD_PATIENCE, eventually},
    objects::{grant, http_endpoint, identity, service_account},
    stage::Stage,
    trouble::eventually_told,
};

/// An endpoint and a caller with a grant.
struct Team {
    stage: Stage,
    namespace: String,
}

impl Team {
    fn new(test: &str) -> Self {
        Self::in_stage(Stage::with_realm(test))
    }

    fn in_stage(stage: Stage) -> Self {
        let namespace = stage.namespace("team");
        stage.apply(service_account(&namespace, "labeler"));
        stage.apply(http_endpoint(&stage.id, &namespace, "iris"));
        stage.apply(grant(&namespace, "iris", (&namespace, "labeler"), &["read"]));
        stage.apply(identity(&stage.id, &namespace, "labeler", &[("IRIS_URL", &namespace, "iris")]));
        let team = Self { stage, namespace };
        team.identity().wait_condition("Granted", "True", "Granted");
        team.identity().wait_ready(PATIENCE);
        team.stage.realm_object().wait_condition("DriftFeed", "True", "Reading");
        team
    }

    fn identity(&self) -> Object {
        Object::in_namespace(&self.namespace, "workloadidentity", "labeler")
    }

    fn client_id(&self) -> String {
        format!("labeler.{}.workload", self.namespace)
    }

    fn client(&self) -> Value {
        self.stage.keycloak.client(&self.stage.id, &self.client_id())
    }

    /// What somebody might do in Keycloak's console.
    fn change_client(&self, change: &Value) {
        let path = format!("/{}/clients/{}", self.stage.id, text(&self.client()["id"]));
        let (status, answer) = self.stage.keycloak.put(&path, change);
        assert_eq!(status, 204, "{answer}");
    }

    /// Where the roles of the endpoint are mapped to the labeler's service account.
    fn mappings(&self) -> String {
        let realm = &self.stage.id;
        let account = format!("/{realm}/clients/{}/service-account-user", text(&self.client()["id"]));
        let endpoint = self.stage.keycloak.client(realm, &format!("iris.{}.endpoint", self.namespace));
        let account = text(&self.stage.keycloak.get(&account).1["id"]);
        format!("/{realm}/users/{account}/role-mappings/clients/{}", text(&endpoint["id"]))
    }
}

/// Issue 4, "Drift": repaired, with an Event and a metric that name field and actor.
#[test]
fn a_change_by_hand_is_undone_and_told() {
    let team = Team::new("undone");
    team.change_client(
        &json!({"clientId": team.client_id(), "directAccessGrantsEnabled": true, "redirectUris": ["https://evil.example/*"]}),
    );
    eventually("the client is as it was", PATIENCE, || {
        let client = team.client();
        let is_back = client["directAccessGrantsEnabled"] == false && client["redirectUris"] == json!([]);
        if is_back { Ok(()) } else { Err(format!("{client}")) }
    });
    eventually_told(&team.identity(), &team.namespace, "DriftRepaired", "directAccessGrantsEnabled");
    eventually_told(&team.identity(), &team.namespace, "DriftRepaired", "redirectUris");
    eventually("the metric names the field", PATIENCE, || {
        let lines = drift_metrics()?;
        let names = |line: &&String| {
            line.contains(r#"field="directAccessGrantsEnabled""#) && line.contains(r#"action="repaired""#)
        };
        lines.iter().find(names).map(|_| ()).ok_or_else(|| format!("{lines:?}"))
    });
}

/// The leader's counters of drift.
fn drift_metrics() -> Result<Vec<String>, String> {
    let selector = "app.kubernetes.io/component=controller";
    let pods =
        try_kubectl(&["get", "pods", "-n", KEYWIRE, "-l", selector, "-o", "jsonpath={.items[*].metadata.name}"], "")?;
    let mut lines = Vec::new();
    for pod in pods.split_whitespace() {
        let path = format!("/api/v1/namespaces/{KEYWIRE}/pods/{pod}:8080/proxy/metrics");
        let text = try_kubectl(&["get", "--raw", &path], "")?;
        lines.extend(text.lines().filter(|line| line.starts_with("keywire_drift")).map(ToOwned::to_owned));
    }
    Ok(lines)
}

#[test]
fn a_role_that_is_taken_or_given_by_hand_is_put_right() {
    let team = Team::new("roles");
    let keycloak = &team.stage.keycloak;
    let mappings = team.mappings();
    let (status, answer) = keycloak.delete(&mappings);
    assert_eq!(status, 204, "{answer}");
    let roles = || keycloak.get(&mappings).1;
    let names = |expected: Value| {
        eventually("the role mapping is right again", PATIENCE, || {
            let found: Vec<_> = roles().as_array().into_iter().flatten().map(|role| role["name"].clone()).collect();
            if json!(found) == expected { Ok(()) } else { Err(format!("{found:?}")) }
        });
    };
    names(json!(["read"]));

    // A role of the endpoint that nobody granted: its grants decide, not the console.
    let endpoint = mappings.rsplit('/').next().expect("an id");
    let path = format!("/{}/clients/{endpoint}/roles/predict", team.stage.id);
    if keycloak.get(&path).0 == 404 {
        return;
    }
    let (status, answer) = keycloak.post(&mappings, &json!([keycloak.get(&path).1]));
    assert_eq!(status, 204, "{answer}");
    names(json!(["read"]));
}

#[test]
fn a_client_that_is_deleted_by_hand_is_made_again() {
    let team = Team::new("again");
    let (id, realm) = (text(&team.client()["id"]), &team.stage.id);
    let (status, answer) = team.stage.keycloak.delete(&format!("/{realm}/clients/{id}"));
    assert_eq!(status, 204, "{answer}");
    eventually("the client is there again", POD_PATIENCE, || {
        let found = team.stage.keycloak.clients(realm, &team.client_id());
        if found.len() == 1 { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

/// Issue 4, "Drift": `driftPolicy: Report`.
#[test]
fn a_change_is_only_reported_where_the_realm_says_so() {
    let stage = Stage::empty("report");
    stage.apply(stage.server());
    let mut realm = stage.realm();
    realm["spec"]["driftPolicy"] = json!("Report");
    stage.apply(realm);
    stage.realm_object().wait_ready(PATIENCE);
    let team = Team::in_stage(stage);
    team.change_client(&json!({"clientId": team.client_id(), "directAccessGrantsEnabled": true}));
    let message = team.identity().wait_condition("Drift", "True", "Reported");
    assert_says(&message, &["directAccessGrantsEnabled", "driftPolicy: Report"]);
    assert_eq!(team.client()["directAccessGrantsEnabled"], true, "reported, not repaired");

    // What the object itself asks for next is made, and with it the rest is put right.
    team.identity().patch(&json!({"spec": {"suspended": true}}));
    eventually("the identity is suspended, and nothing differs", PATIENCE, || {
        let (client, object) = (team.client(), team.identity().get()?);
        let is_right = client["enabled"] == false && client["directAccessGrantsEnabled"] == false;
        if is_right && condition(&object, "Drift").is_none() { Ok(()) } else { Err(format!("{client} {object}")) }
    });
}

/// A realm with a setting and a list of its own.
fn named_realm(test: &str, policy: &str) -> Stage {
    let stage = Stage::empty(test);
    stage.apply(stage.server());
    let mut realm = stage.realm();
    realm["spec"]["driftPolicy"] = json!(policy);
    realm["spec"]["displayName"] = json!("as written");
    realm["spec"]["roles"] = json!([{"name": "annotator", "description": "as written"}]);
    stage.apply(realm);
    stage.realm_object().wait_ready(PATIENCE);
    stage.realm_object().wait_condition("DriftFeed", "True", "Reading");
    stage
}

/// What somebody might do to it in Keycloak's console.
fn change_realm(stage: &Stage) {
    let role = format!("/{}/roles/annotator", stage.id);
    let made = [
        stage.keycloak.put(&format!("/{}", stage.id), &json!({"displayName": "by hand"})),
        stage.keycloak.put(&role, &json!({"name": "annotator", "description": "by hand"})),
    ];
    assert!(made.iter().all(|(status, _)| *status == 204), "changes by hand: {made:?}");
}

fn shown(stage: &Stage) -> [String; 2] {
    let realm = stage.keycloak.get(&format!("/{}", stage.id)).1;
    let role = stage.keycloak.get(&format!("/{}/roles/annotator", stage.id)).1;
    [text(&realm["displayName"]), text(&role["description"])]
}

fn eventually_shows(stage: &Stage, expected: [&str; 2]) {
    eventually("the realm and its role are as written", PATIENCE, || {
        let found = shown(stage);
        if found == expected { Ok(()) } else { Err(format!("{found:?}")) }
    });
}

#[test]
fn a_change_to_the_realm_itself_is_undone_and_told() {
    let stage = named_realm("realmundone", "Repair");
    change_realm(&stage);
    eventually_shows(&stage, ["as written", "as written"]);
    for words in ["displayName", "role annotator"] {
        eventually_told(&stage.realm_object(), "default", "DriftRepaired", words);
    }
    let own = json!({"spec": {"displayName": "written anew"}});
    stage.realm_object().patch(&own);
    eventually_shows(&stage, ["written anew", "as written"]);
    stage.realm_object().wait_ready(PATIENCE);
    let events =
        kubectl(&["get", "events", "-n", "default", "--field-selector", &format!("involvedObject.name={}", stage.id)]);
    assert!(!events.contains("written anew"), "what the object asks for is no drift: {events}");
}

#[test]
fn a_change_to_the_realm_itself_is_only_reported_where_it_says_so() {
    let stage = named_realm("realmreport", "Report");
    change_realm(&stage);
    eventually("both changes are reported", PATIENCE, || {
        let object = stage.realm_object().get()?;
        let message = condition(&object, "Drift").map(|found| text(&found["message"])).unwrap_or_default();
        let is_told = message.contains("displayName") && message.contains("role annotator");
        if is_told { Ok(()) } else { Err(format!("{object}")) }
    });
    stage.realm_object().wait_ready(PATIENCE);
    assert_eq!(shown(&stage), ["by hand", "by hand"], "reported, not repaired");

    stage.realm_object().patch(&json!({"spec": {"displayName": "written anew"}}));
    eventually_shows(&stage, ["written anew", "as written"]);
    eventually("nothing differs any more", PATIENCE, || {
        let object = stage.realm_object().get()?;
        if condition(&object, "Drift").is_none() { Ok(()) } else { Err(format!("{object}")) }
    });
}

/// Issue 4, "Ownership": moves between realms clean up behind them.
#[test]
fn an_identity_that_moves_leaves_nothing_behind() {
    let team = Team::new("moves");
    let other = Stage::with_realm("moves-to");
    let label = format!("keywire.dev/realm={}", other.id);
    kubectl(&["label", "namespace", &team.namespace, "--overwrite", &label]);
    team.identity().patch(&json!({"spec": {"realm": other.id, "targets": []}}));
    eventually("the client is in the other realm only", PATIENCE, || {
        let here = team.stage.keycloak.clients(&team.stage.id, &team.client_id());
        let there = other.keycloak.clients(&other.id, &team.client_id());
        if here.is_empty() && there.len() == 1 { Ok(()) } else { Err(format!("{here:?} {there:?}")) }
    });
    team.identity().wait_ready(PATIENCE);
    team.identity().delete();
    assert!(other.keycloak.clients(&other.id, &team.client_id()).is_empty(), "the client went with its object");
}

/// Issue 4, "Ownership": `deletionPolicy: Orphan`.
#[test]
fn an_orphaned_client_stays_and_is_found_again() {
    let team = Team::new("orphan");
    team.identity().patch(&json!({"spec": {"deletionPolicy": "Orphan"}}));
    let before = text(&team.client()["id"]);
    team.identity().delete();
    assert_eq!(text(&team.client()["id"]), before, "the client stays");
    let again = identity(&team.stage.id, &team.namespace, "labeler", &[("IRIS_URL", &team.namespace, "iris")]);
    team.stage.apply(again);
    team.identity().wait_ready(PATIENCE);
    assert_eq!(text(&team.client()["id"]), before, "and is the same object's again");
    team.identity().delete();
    assert!(team.stage.keycloak.clients(&team.stage.id, &team.client_id()).is_empty(), "Delete is the default");
}
