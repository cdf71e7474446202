//! The shapes that pods come in: what an identity's pods can do does not hang on who makes them, or what else is in them.

use serde_json::{Value, json};

use crate::{
    cluster::{Object, kubectl, try_kubectl},
    eventually::{PATIENCE, POD_PATIENCE, eventually},
    objects::{caller_pod, grant, http_endpoint, http_pod, identity, service_account},
    pods::start,
    stage::Stage,
};

/// Calls until it succeeds: the grant may have come a moment ago.
const CALL: &str = "until curl -fsS $IRIS_URL/hello; do sleep 0.2; done";

/// A server that is guarded, and a namespace whose pods `app: labeler` may call it.
fn granted(test: &str) -> (Stage, String) {
    let stage = Stage::with_realm(test);
    let (vision, agents) = (stage.namespace("vision"), stage.namespace("agents"));
    stage.apply(http_endpoint(&stage.id, &vision, "iris"));
    stage.apply(service_account(&agents, "labeler"));
    stage.apply(identity(&stage.id, &agents, "labeler", &[("IRIS_URL", &vision, "iris")]));
    stage.apply(grant(&vision, "iris", (&agents, "labeler"), &["read"]));
    start(&http_pod(&vision, "iris")).wait_ready();
    Object::in_namespace(&agents, "workloadidentity", "labeler").wait_ready(PATIENCE);
    (stage, agents)
}

/// A pod template of the labeler whose container runs a script.
fn template(namespace: &str, script: &str) -> Value {
    let mut pod = caller_pod(namespace, "labeler");
    pod["spec"]["containers"][0]["command"] = json!(["sh", "-c", script]);
    json!({"metadata": {"labels": pod["metadata"]["labels"]}, "spec": pod["spec"]})
}

/// One more container like the first.
fn another(template: &Value, name: &str, script: &str) -> Value {
    let mut container = template["spec"]["containers"][0].clone();
    container["name"] = json!(name);
    container["command"] = json!(["sh", "-c", script]);
    container
}

#[test]
fn an_init_container_may_call_and_a_cron_job_completes() {
    let (stage, agents) = granted("cron");
    let mut template = template(&agents, CALL);
    template["spec"]["restartPolicy"] = json!("Never");
    template["spec"]["initContainers"] = json!([another(&template, "fetch", CALL)]);
    stage.apply(json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"namespace": agents, "name": "nightly"},
        "spec": {"schedule": "0 3 * * *", "suspend": true, "jobTemplate": {"spec": {"template": template}}},
    }));
    kubectl(&["create", "job", "-n", &agents, "now", "--from=cronjob/nightly"]);
    let limit = format!("--timeout={}s", POD_PATIENCE.as_secs());
    kubectl(&["wait", "-n", &agents, "job/now", "--for=condition=Complete", &limit]);
}

#[test]
fn a_stateful_set_with_a_sidecar_of_its_own_becomes_ready() {
    let (stage, agents) = granted("stateful");
    let mut template = template(&agents, "sleep infinity");
    template["spec"]["containers"][0]["readinessProbe"] = json!({"exec": {"command": ["sh", "-c", "curl -fsS $IRIS_URL/hello"]}, "periodSeconds": 1, "timeoutSeconds": 5});
    let mut mesh = another(&template, "mesh", "sleep infinity");
    mesh["restartPolicy"] = json!("Always");
    template["spec"]["initContainers"] = json!([mesh]);
    stage.apply(json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": agents, "name": "labeler"},
        "spec": {"serviceName": "labeler", "replicas": 1, "selector": {"matchLabels": {"app": "labeler"}}, "template": template},
    }));
    let pod = Object::in_namespace(&agents, "pod", "labeler-0");
    eventually("the set has its pod", PATIENCE, || pod.get().map(drop));
    pod.wait_ready(POD_PATIENCE);
    let init = pod.get().expect("the pod")["spec"]["initContainers"].clone();
    assert_eq!((&init[0]["name"], &init[1]["name"]), (&json!("keywire-proxy"), &json!("mesh")), "ours is the first");
}

#[test]
fn each_of_fifty_containers_gets_its_variables() {
    let (_stage, agents) = granted("fifty");
    let mut pod = caller_pod(&agents, "labeler");
    let more = (1..50).map(|index| another(&pod, &format!("app-{index}"), "sleep infinity"));
    let containers: Vec<_> = [pod["spec"]["containers"][0].clone()].into_iter().chain(more).collect();
    pod["spec"]["containers"] = json!(containers);
    let create = ["create", "--dry-run=server", "-o", "json", "-f", "-"];
    let made = eventually("the pod is let in", PATIENCE, || try_kubectl(&create, &pod.to_string()));
    let made: Value = serde_json::from_str(&made).expect("kubectl prints JSON");
    let containers = made["spec"]["containers"].as_array().expect("containers");
    assert_eq!(containers.len(), 50);
    let is_wired = |container: &Value| container["env"][0]["name"] == "IRIS_URL";
    assert!(containers.iter().all(is_wired), "{made}");
    assert_eq!(made["spec"]["initContainers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn client_libraries_find_their_variables_and_the_token_where_it_is_offered() {
    let (stage, agents) = granted("client");
    let vision = format!("{}-vision", stage.id);
    let mut reader = identity(&stage.id, &agents, "reader", &[("OPENAI_BASE_URL", &vision, "iris")]);
    reader["spec"]["targets"][0]["token"] = json!("Offered");
    stage.apply(service_account(&agents, "reader"));
    stage.apply(reader);
    stage.apply(grant(&vision, "iris", (&agents, "reader"), &["read"]));
    let reader = start(&caller_pod(&agents, "reader")).wait_ready();
    let variables = reader.run("echo $OPENAI_BASE_URL $OPENAI_API_KEY");
    assert_eq!(variables.trim(), "http://127.0.0.1:15100/v1 keywire");

    let ask = "curl -s -m 20 -o /dev/null -w '%{http_code}'";
    let url = "http://127.0.0.1:15100/.keywire/token";
    assert_eq!(reader.run(&format!("{ask} {url}")), "403", "a URL alone is not enough");
    let whole = format!(
        "until {ask} -H 'X-Keywire-Token: request' {url} | grep -q 200; do sleep 0.2; done
        token=$(curl -s -m 20 -H 'X-Keywire-Token: request' {url} | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')
        {ask} -H \"Authorization: Bearer $token\" http://iris.{vision}.svc:8080/hello"
    );
    assert_eq!(reader.run(&whole), "200", "it opens its endpoint");
}
