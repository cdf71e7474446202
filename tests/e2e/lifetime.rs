//! Identities of short-lived agents: they end by themselves, and nothing of them is left in Keycloak.

use serde_json::{Value, json};

use crate::{
    cluster::{Object, kubectl, text},
    eventually::{PATIENCE, eventually},
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::{Request, start},
    stage::Stage,
};

fn is_in_keycloak(stage: &Stage, client: &str) -> bool {
    let (status, found) = stage.keycloak.get(&format!("/{}/clients?clientId={client}", stage.id));
    assert_eq!(status, 200, "{found}");
    found.as_array().is_some_and(|found| !found.is_empty())
}

fn is_gone(stage: &Stage, identity: &Object, client: &str) {
    eventually(&format!("client {client} is gone"), PATIENCE * 2, || match identity.get() {
        Ok(_) => Err("the identity is still there".to_owned()),
        Err(_) if is_in_keycloak(stage, client) => Err("its client is still there".to_owned()),
        Err(_) => Ok(()),
    });
}

#[test]
fn an_identity_ends_with_its_ttl() {
    let stage = Stage::with_realm("ttl");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    stage.apply(http_endpoint(&stage.id, &vision, "iris"));
    stage.apply(service_account(&agents, "labeler"));
    stage.apply(identity(&stage.id, &agents, "labeler", &[("IRIS_URL", &vision, "iris")]));
    stage.apply(grant(&vision, "iris", (&agents, "labeler"), &["read"]));
    start(&http_pod(&vision, "iris")).wait_ready();
    let labeler = start(&caller_pod(&agents, "labeler")).wait_ready();
    labeler.call_until(200, &Request::get("$IRIS_URL/hello"));
    let (object, client) =
        (Object::in_namespace(&agents, "workloadidentity", "labeler"), format!("labeler.{agents}.workload"));
    assert!(is_in_keycloak(&stage, &client));
    // From now on it has lived long enough.
    object.patch(&json!({"spec": {"ttl": "1s"}}));
    is_gone(&stage, &object, &client);
    let granted = Object::in_namespace(&vision, "accessgrant", "iris-labeler");
    granted.wait_condition("Bound", "False", "SubjectNotFound");
    let refused = labeler.call_until(403, &Request::get("$IRIS_URL/hello"));
    assert!(["identity_deleted", "no_grant"].contains(&refused.reason()), "{refused:?}");
}

/// A Job that ends, with the identity that it owns.
#[test]
fn an_identity_goes_with_its_owner() {
    let stage = Stage::with_realm("owned");
    let agents = stage.namespace("agents");
    let mut template = caller_pod(&agents, "once");
    template["metadata"] = json!({"labels": {"app": "once"}});
    template["spec"]["restartPolicy"] = json!("Never");
    template["spec"]["containers"][0]["command"] = json!(["true"]);
    stage.apply(service_account(&agents, "once"));
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"namespace": agents, "name": "once"},
        "spec": {"suspend": true, "template": {"metadata": template["metadata"], "spec": template["spec"]}}});
    stage.apply(job);
    let job = Object::in_namespace(&agents, "job", "once");
    let mut owned = identity(&stage.id, &agents, "once", &[]);
    let uid = text(&job.get().expect("the Job")["metadata"]["uid"]);
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "once", "uid": uid}]);
    stage.apply(owned);
    let (object, client) =
        (Object::in_namespace(&agents, "workloadidentity", "once"), format!("once.{agents}.workload"));
    object.wait_ready(PATIENCE);
    assert!(is_in_keycloak(&stage, &client));
    job.patch(&json!({"spec": {"suspend": false}}));
    // The sidecar does not keep it from ending.
    let limit = format!("--timeout={}s", (PATIENCE * 2).as_secs());
    kubectl(&["wait", "-n", &agents, "job/once", "--for=condition=Complete", &limit]);
    kubectl(&["delete", "job", "-n", &agents, "once"]);
    is_gone(&stage, &object, &client);
}

/// What a NetworkPolicy says is all that can be seen here: the test cluster's network enforces none.
#[test]
fn restricted_pods_may_reach_what_they_need() {
    let stage = Stage::with_realm("confined");
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    stage.apply(http_endpoint(&stage.id, &vision, "iris"));
    stage.apply(service_account(&agents, "labeler"));
    let mut confined = identity(&stage.id, &agents, "labeler", &[("IRIS_URL", &vision, "iris")]);
    confined["spec"]["egress"] = json!("Restricted");
    stage.apply(confined);
    let object = Object::in_namespace(&agents, "workloadidentity", "labeler");
    object.wait_ready(PATIENCE);
    let policy = Object::in_namespace(&agents, "networkpolicy", "keywire.egress.labeler");
    let is_target = |rule: &Value| {
        rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == json!(vision)
            && rule["to"][0]["podSelector"]["matchLabels"] == json!({"app": "iris"})
            && rule["ports"] == json!([{"port": 18080, "protocol": "TCP"}])
    };
    eventually("the policy names its target", PATIENCE, || {
        let spec = policy.get()?["spec"].clone();
        let rules = spec["egress"].as_array().cloned().unwrap_or_default();
        let selects = spec["podSelector"]["matchLabels"] == json!({"app": "labeler"});
        if selects && rules.iter().any(is_target) && rules.len() == 4 { Ok(()) } else { Err(spec.to_string()) }
    });
    object.patch(&json!({"spec": {"egress": "Open"}}));
    eventually("the policy goes", PATIENCE, || match policy.get() {
        Ok(found) => Err(found.to_string()),
        Err(_) => Ok(()),
    });
}
