use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::admission::{
    Served,
    fixtures::{endpoint, identity, settings},
    select::SelectedIdentity,
};
use crate::api::Isolation;

fn selection(guard: bool, egress: bool) -> Selection {
    let object = Arc::new(identity("agents", "labeler", "x"));
    Selection {
        told: None,
        served: guard.then(|| Served::Endpoint(Arc::new(endpoint("vision", "iris", "x")))),
        guard_issuer: None,
        identity: egress.then(|| SelectedIdentity { object, issuer: "http://kc/realms/ml".into() }),
    }
}

fn mutated(pod: &Value, selection: &Selection) -> Result<Value, InjectError> {
    let typed: Pod = serde_json::from_value(pod.clone()).unwrap();
    let mut pod = pod.clone();
    inject(&typed, selection, &settings())?.apply(&mut pod)?;
    Ok(pod)
}

fn pods() -> Vec<(&'static str, Value)> {
    let containers: Vec<Value> = (0..50).map(|i| json!({"name": format!("c{i}"), "image": "x"})).collect();
    vec![
        ("plain", json!({"metadata": {}, "spec": {"containers": [{"name": "app"}]}})),
        (
            "nulls",
            json!({"metadata": {"annotations": null}, "spec": {"containers": [{"name": "app", "env": null}],
            "initContainers": null, "volumes": null}}),
        ),
        (
            "full",
            json!({"metadata": {"annotations": {"a": "b"}}, "spec": {"newField": 7,
            "initContainers": [{"name": "fetch", "newField": 8, "env": [{"name": "A", "value": "$(IRIS_URL)"}]},
                {"name": "mesh", "restartPolicy": "Always"}],
            "containers": [{"name": "app", "env": [{"name": "IRIS_URL", "value": "http://127.0.0.1:15100"}]}],
            "volumes": [{"name": "data", "emptyDir": {}}]}}),
        ),
        (
            "look-alike",
            json!({"metadata": {"annotations": {INJECTED: "evil"}}, "spec": {"containers": [{"name": "app"}],
            "initContainers": [{"name": "first"}, {"name": SIDECAR, "image": "evil", "command": ["sh"]}],
            "volumes": [{"name": "keywire-guard", "emptyDir": {}}, {"name": "data", "emptyDir": {}}]}}),
        ),
        (
            "probed",
            json!({"metadata": {}, "spec": {"containers": [{"name": "app",
                "ports": [{"name": "web", "containerPort": 8080}],
                "livenessProbe": {"httpGet": {"path": "/live", "port": "web"}, "periodSeconds": 3},
                "readinessProbe": {"exec": {"command": ["true"]}}}]}}),
        ),
        ("many", json!({"metadata": {}, "spec": {"containers": containers}})),
    ]
}

fn isolate(selection: &mut Selection, isolation: Isolation) {
    match &mut selection.served {
        Some(Served::Endpoint(endpoint)) => Arc::make_mut(endpoint).spec.isolation = isolation,
        Some(Served::App(app)) => Arc::make_mut(app).spec.isolation = isolation,
        None => {}
    }
}

#[test]
fn an_applications_sidecar_has_its_keys_and_a_token_to_log_in_with() {
    let app = Arc::new(crate::admission::fixtures::app("tools", "dagster", "x"));
    let selection = Selection {
        served: Some(Served::App(app)),
        guard_issuer: Some("http://kc/realms/ml".into()),
        told: None,
        identity: None,
    };
    let pod = mutated(&json!({"metadata": {}, "spec": {"containers": [{"name": "app"}]}}), &selection).unwrap();
    let sidecar = &pod["spec"]["initContainers"][0];
    let arguments = sidecar["args"].as_array().unwrap();
    for expected in ["--guard-identity=tools/dagster", "--guard-port=13000:3000", "--sign-in=/etc/keywire/sign-in"] {
        assert!(arguments.contains(&json!(expected)), "{expected}: {arguments:?}");
    }
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let of = |name: &str| volumes.iter().find(|volume| volume["name"] == name).unwrap();
    let items = &of("keywire-sign-in")["secret"]["items"];
    assert_eq!(items[0], json!({"key": "dagster.app.cookie.key", "path": "cookie.key"}));
    assert_eq!(items.as_array().unwrap().len(), 2, "and no other's keys");
    let tokens = of("keywire-tokens")["projected"]["sources"].to_string();
    assert!(tokens.contains("http://kc/realms/ml"), "{tokens}");
    assert!(pod["spec"]["containers"][0].get("volumeMounts").is_none(), "the application has none of it");
}

#[test]
fn mutation_is_idempotent() {
    for (guard, egress, isolation) in [
        (true, false, Isolation::NetworkPolicy),
        (false, true, Isolation::NetworkPolicy),
        (true, true, Isolation::NetworkPolicy),
        (true, true, Isolation::Loopback),
    ] {
        let mut selection = selection(guard, egress);
        isolate(&mut selection, isolation);
        for (name, pod) in pods() {
            let once = mutated(&pod, &selection).unwrap();
            assert_eq!(mutated(&once, &selection).unwrap(), once, "{name} {guard} {egress}");
            let patch = json_patch::diff(&pod, &once);
            let mut patched = pod.clone();
            json_patch::patch(&mut patched, &patch).unwrap();
            assert_eq!(patched, once, "{name}: the patch gives the same");
            let _: Pod = serde_json::from_value(once).unwrap();
        }
    }
}

#[test]
fn probes_lead_to_the_sidecar_where_the_application_is_on_loopback() {
    let (_, pod) = pods().into_iter().find(|(name, _)| *name == "probed").unwrap();
    let mut selection = selection(true, false);
    let before = mutated(&pod, &selection).unwrap();
    assert_eq!(before["spec"]["containers"], pod["spec"]["containers"], "only what it must");
    isolate(&mut selection, Isolation::Loopback);
    let pod = mutated(&pod, &selection).unwrap();
    let app = &pod["spec"]["containers"][0];
    assert_eq!(app["livenessProbe"]["httpGet"]["path"], "/app-health/app/livez");
    assert_eq!(app["livenessProbe"]["httpGet"]["port"], 15090);
    assert_eq!(app["livenessProbe"]["periodSeconds"], 3);
    assert_eq!(app["readinessProbe"], json!({"exec": {"command": ["true"]}}));
    let told = pod["spec"]["initContainers"][0]["args"].as_array().unwrap();
    assert!(told.iter().any(|told| told.as_str().unwrap().contains("\"path\":\"/live\"")), "{told:?}");
}

#[test]
fn the_genuine_sidecar_comes_first_and_alone() {
    for (name, pod) in pods() {
        let pod = mutated(&pod, &selection(true, true)).unwrap();
        let init = pod["spec"]["initContainers"].as_array().unwrap();
        assert_eq!(init.iter().filter(|c| c["name"] == SIDECAR).count(), 1, "{name}");
        assert_eq!(init[0]["image"], "keywire/proxy:1", "{name}");
        assert_eq!(init[0]["restartPolicy"], "Always");
        assert_eq!(init[0].get("command"), None);
        assert_eq!(pod["metadata"]["annotations"][INJECTED], "keywire/proxy:1");
    }
}

#[test]
fn arguments_say_everything() {
    let pod = mutated(&pods()[0].1, &selection(true, true)).unwrap();
    assert_eq!(
        pod["spec"]["initContainers"][0]["args"],
        json!([
            "--guard=/etc/keywire/guard",
            "--guard-identity=vision/iris",
            "--guard-port=18080:8080",
            "--guard-port=19000:8082",
            "--egress=/etc/keywire/egress",
            "--egress-identity=agents/labeler",
            "--egress-port=15100",
            "--egress-port=16000",
            "--tokens=/var/run/keywire/tokens",
            "--stream=https://keywire-policy.keywire-system.svc:8443",
            "--admin=0.0.0.0:15090",
        ])
    );
    assert_eq!(
        pod["spec"]["volumes"],
        json!([
            {"name": "keywire-guard", "configMap": {"name": "keywire-guard-iris", "optional": true}},
            {"name": "keywire-egress", "configMap": {"name": "keywire-egress-labeler", "optional": true}},
            {"name": "keywire-tokens", "projected": {"sources": [
                {"serviceAccountToken": {"path": "keycloak", "audience": "http://kc/realms/ml", "expirationSeconds": 3600}},
                {"serviceAccountToken": {"path": "policy", "audience": "keywire-policy", "expirationSeconds": 3600}},
            ]}},
        ])
    );
    let guard_only = mutated(&pods()[0].1, &selection(true, false)).unwrap();
    let tokens = &guard_only["spec"]["volumes"][1]["projected"]["sources"];
    assert_eq!(tokens.as_array().unwrap().len(), 1, "an endpoint gets no token for Keycloak: {tokens}");
    assert!(!guard_only["spec"]["initContainers"][0]["args"].to_string().contains("egress"));
}

#[test]
fn every_container_of_the_application_gets_the_targets_and_none_the_tokens() {
    let before = &pods()[2].1;
    let pod = mutated(before, &selection(false, true)).unwrap();
    let ours = [
        json!({"name": "IRIS_URL", "value": "http://127.0.0.1:15100"}),
        json!({"name": "SECOND_URL", "value": "http://127.0.0.1:16000"}),
    ];
    assert_eq!(pod["spec"]["containers"][0]["env"], json!([ours[1], ours[0]]), "what was there stays where it was");
    let fetch = &pod["spec"]["initContainers"][1];
    assert_eq!(fetch["env"], json!([ours[0], ours[1], {"name": "A", "value": "$(IRIS_URL)"}]));
    assert_eq!(pod["spec"]["initContainers"][2]["env"], json!(ours));
    assert_eq!(fetch["newField"], 8, "a field that we do not know stays with its container");
    assert_eq!(pod["spec"]["newField"], 7);
    assert_eq!(pod["spec"]["securityContext"], Value::Null, "the pod-level security context is not ours");
    let app = json!([pod["spec"]["containers"], fetch]).to_string();
    assert!(!app.contains("keywire-tokens"));
}

#[test]
fn what_cannot_work_is_refused_with_its_names() {
    let container = |extra: Value| {
        let mut container = json!({"name": "app"});
        container.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"containers": [container]})
    };
    for (spec, parts) in [
        (json!({"hostNetwork": true, "containers": []}), ["spec.hostNetwork", "ModelEndpoint vision/iris"]),
        (json!({"os": {"name": "windows"}, "containers": []}), ["spec.os.name", "windows"]),
        (json!({"containers": [{"name": SIDECAR}]}), [SIDECAR, "rename"]),
        (container(json!({"env": [{"name": "IRIS_URL", "value": "http://other"}]})), ["IRIS_URL", "agents/labeler"]),
        (
            container(json!({"env": [{"name": "IRIS_URL", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]})),
            ["IRIS_URL", "\"app\""],
        ),
        (
            container(json!({"volumeMounts": [{"name": "keywire-tokens", "mountPath": "/t"}]})),
            ["keywire-tokens", "\"app\""],
        ),
        (container(json!({"ports": [{"containerPort": 18080}]})), ["18080", "guard's port"]),
        (container(json!({"ports": [{"containerPort": 15100}]})), ["15100", "target IRIS_URL"]),
    ] {
        let refusal = mutated(&json!({"metadata": {}, "spec": spec}), &selection(true, true)).unwrap_err();
        assert!(matches!(refusal, InjectError::Refused(_)));
        let refusal = refusal.to_string();
        assert!(parts.iter().all(|part| refusal.contains(part)), "{refusal}");
    }
}

#[test]
fn client_libraries_find_what_they_read() {
    let mut selection = selection(false, true);
    let identity = selection.identity.as_mut().unwrap();
    let object = Arc::make_mut(&mut identity.object);
    object.spec.targets[0].env = "OPENAI_BASE_URL".into();
    object.spec.targets[1].env = "TOOLS_URL".into();
    object.spec.targets[1].path = Some("/mcp".into());
    let own = json!({"name": "OPENAI_API_KEY", "value": "own"});
    let pod = json!({"metadata": {}, "spec": {"containers": [{"name": "app"}, {"name": "second", "env": [own]}]}});
    let pod = mutated(&pod, &selection).unwrap();
    let url = json!({"name": "OPENAI_BASE_URL", "value": "http://127.0.0.1:15100/v1"});
    let tools = json!({"name": "TOOLS_URL", "value": "http://127.0.0.1:16000/mcp"});
    let key = json!({"name": "OPENAI_API_KEY", "value": "keywire"});
    assert_eq!(pod["spec"]["containers"][0]["env"], json!([url, tools, key]));
    assert_eq!(pod["spec"]["containers"][1]["env"], json!([url, tools, own]), "a key of its own is no conflict");
    assert_eq!(mutated(&pod, &selection).unwrap(), pod);
}
