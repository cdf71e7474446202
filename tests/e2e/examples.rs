//! The examples, applied as they are: real servers, and clients that know nothing of Keywire.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    accounts::Accounts,
    cluster::{Object, kubectl, try_kubectl},
    eventually::{PATIENCE, POD_PATIENCE, eventually},
    keycloak::Administrator,
};

/// An example in the cluster, for as long as this lives.
struct Example {
    /// What `kubectl` takes it by: `-f` and a folder of objects, or `-k` and one with a kustomization.
    how: &'static str,
    folder: String,
    /// Where its clients are.
    clients: &'static str,
    /// What their containers run: the container's name, and the program.
    program: [&'static str; 3],
}

impl Example {
    /// Applies a folder, and waits for its Deployments, by namespace.
    fn apply(name: &str, clients: &'static str, program: [&'static str; 3], deployments: &[(&str, &str)]) -> Self {
        Self::applied("-f", &format!("deploy/examples/{name}"), clients, program, deployments)
    }

    /// The same for one whose manifests name others' images: with those that the test environment has.
    fn kustomize(name: &str, clients: &'static str, program: [&'static str; 3], deployments: &[(&str, &str)]) -> Self {
        Self::applied("-k", &format!("tests/e2e/examples/{name}"), clients, program, deployments)
    }

    fn applied(
        how: &'static str,
        folder: &str,
        clients: &'static str,
        program: [&'static str; 3],
        deployments: &[(&str, &str)],
    ) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).display().to_string();
        let example = Self { how, folder, clients, program };
        kubectl(&["apply", how, &example.folder]);
        let limit = format!("--timeout={}s", POD_PATIENCE.as_secs());
        for (namespace, deployment) in deployments {
            kubectl(&["rollout", "status", "-n", namespace, &format!("deployment/{deployment}"), &limit]);
        }
        example
    }

    /// What a client's program says, in its last line where its library prints before it.
    fn ask(&self, client: &str, arguments: &[&str]) -> Value {
        let (deployment, [container, interpreter, program]) = (format!("deploy/{client}"), self.program);
        let exec = ["exec", "-n", self.clients, &deployment, "-c", container, "--", interpreter, program];
        let said = kubectl(&[&exec[..], arguments].concat());
        let last = said.trim().lines().last().unwrap_or_default();
        serde_json::from_str(said.trim())
            .or_else(|_| serde_json::from_str(last))
            .unwrap_or_else(|error| panic!("{client} {arguments:?}: {error}: {said}"))
    }

    /// Waits until it says this.
    fn until(&self, client: &str, arguments: &[&str], expected: &Value) {
        eventually(&format!("{client} {arguments:?} gives {expected}"), PATIENCE, || {
            let said = self.ask(client, arguments);
            if said == *expected { Ok(()) } else { Err(said.to_string()) }
        });
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let limit = format!("--timeout={}s", (PATIENCE * 2).as_secs());
        if let Err(error) = try_kubectl(&["delete", self.how, &self.folder, "--ignore-not-found", &limit], "") {
            eprintln!("the example could not be removed: {error}");
        }
    }
}

/// Waits until an endpoint is guarded and nothing leads around its guard.
fn wait_isolated(namespace: &str, endpoint: &str) {
    let endpoint = Object::in_namespace(namespace, "modelendpoint", endpoint);
    endpoint.wait_ready(PATIENCE);
    endpoint.wait_condition("Isolated", "True", "NotReachable");
}

/// Whether an answer is a refusal by the guard.
fn is_refused(said: &Value) -> bool {
    said["status"] == 403 || said["code"].is_i64()
}

#[test]
fn agents_use_the_tools_that_they_were_granted() {
    const TEAM: &str = "agents-team";
    let deployments =
        [("agents-tools", "search"), ("agents-tools", "files"), (TEAM, "researcher"), (TEAM, "archivist")];
    let example = Example::apply("ai-agents", TEAM, ["agent", "python", "/app/agent.py"], &deployments);
    wait_isolated("agents-tools", "search");
    wait_isolated("agents-tools", "files");
    example.until("researcher", &["FILES_URL"], &json!(["write_file", "list_files"]));
    let search = ["SEARCH_URL", "search_documents", r#"{"word": "soup"}"#];
    example.until("researcher", &search, &json!([r#"["menu"]"#]));
    let soup = r#"{"name": "soup", "text": "yes"}"#;
    assert_eq!(example.ask("researcher", &["FILES_URL", "write_file", soup]), json!(["wrote soup"]));
    let delete = ["FILES_URL", "delete_file", r#"{"name": "soup"}"#];
    let refused = example.ask("researcher", &delete);
    assert!(is_refused(&refused), "{refused}");
    // It is still there.
    example.until("archivist", &["FILES_URL", "list_files"], &json!([r#"["soup"]"#]));
    assert_eq!(example.ask("archivist", &delete), json!(["deleted soup"]));
    let limit = format!("--timeout={}s", POD_PATIENCE.as_secs());
    kubectl(&["wait", "-n", TEAM, "job/errand", "--for=condition=Complete", &limit]);
    assert!(kubectl(&["logs", "-n", TEAM, "job/errand", "-c", "agent"]).contains("menu"));

    // One of them is stopped; the others go on.
    Object::in_namespace(TEAM, "workloadidentity", "researcher").patch(&json!({"spec": {"suspended": true}}));
    eventually("the researcher is refused", PATIENCE, || match example.ask("researcher", &["SEARCH_URL"]) {
        refused if is_refused(&refused) => Ok(()),
        other => Err(other.to_string()),
    });
    assert_eq!(example.ask("archivist", &["FILES_URL", "list_files"]), json!(["[]"]));
}

#[test]
fn a_language_model_is_asked_by_those_who_may() {
    let deployments = [("slm-models", "slm"), ("slm-apps", "assistant"), ("slm-apps", "trainer")];
    let program = ["app", "python", "/app/ask.py"];
    let example = Example::apply("small-language-model", "slm-apps", program, &deployments);
    wait_isolated("slm-models", "slm");
    example.until("assistant", &["models"], &json!(["small"]));
    example.until("trainer", &["models"], &json!(["large", "small"]));
    assert_eq!(example.ask("assistant", &["chat", "small"]), json!("a small answer"));
    assert_eq!(example.ask("trainer", &["chat", "large"]), json!("a large answer"));
    let refused = |code: &str| json!({"status": 403, "code": code});
    assert_eq!(example.ask("assistant", &["chat", "large"]), refused("model_not_granted"));
    assert_eq!(example.ask("assistant", &["tune", "small"]), refused("permission_not_granted"));
    let tuned = example.ask("trainer", &["tune", "small"]);
    assert_eq!(tuned["status"], 404, "past the guard; llama.cpp has no such route: {tuned}");
}

#[test]
fn a_model_is_asked_trained_and_deployed_by_three() {
    let teams = ["labeller", "trainer", "deployer", "transcriber"].map(|name| ("tf-teams", name));
    let deployments = [&[("tf-models", "images")][..], &teams].concat();
    let example = Example::kustomize("tensorflow-serving", "tf-teams", ["app", "sh", "-c"], &deployments);
    Object::in_namespace("tf-models", "modelendpoint", "images").wait_condition("Synced", "True", "Synced");
    let post =
        |url: &str, body: &Value| format!("curl -sS -m 60 {url} -H 'content-type: application/json' -d '{body}'");
    let predict = post("$MODEL_URL/v1/models/images:predict", &json!({"instances": [1, 2]}));
    let train = post("$PIPELINE_URL/pipeline/images/train", &json!({"examples": [[0, 0], [1, 3]]}));
    let deploy = post("$PIPELINE_URL/pipeline/images/deploy", &json!({"version": 2}));
    // The server's own form of an error has no room for the reason.
    let refused = |client: &str, script: &str, reason: &str| {
        let said = example.ask(client, &[&format!("{script} -o /dev/null -w '\"%header{{x-keywire-reason}}\"'")]);
        assert_eq!(said, reason, "{client}");
    };

    example.until("labeller", &[&predict], &json!({"predictions": [2.5, 3.0]}));
    refused("labeller", &train, "permission_not_granted");
    refused("labeller", &deploy, "permission_not_granted");
    example.until("trainer", &["curl -sS -m 60 $PIPELINE_URL/pipeline/images"], &json!({"trained": [], "served": [1]}));
    assert_eq!(example.ask("trainer", &[&train]), json!({"version": 2}));
    refused("trainer", &deploy, "permission_not_granted");
    refused("trainer", &predict, "permission_not_granted");
    // Not served as yet.
    assert_eq!(example.ask("labeller", &[&predict]), json!({"predictions": [2.5, 3.0]}));
    example.until("deployer", &[&deploy], &json!({"served": 2}));
    example.until("labeller", &[&predict], &json!({"predictions": [3.0, 6.0]}));
    let older = post("$MODEL_URL/v1/models/images/versions/1:predict", &json!({"instances": [1, 2]}));
    assert_eq!(example.ask("labeller", &[&older]), json!({"predictions": [2.5, 3.0]}));

    let limit = format!("--timeout={}s", POD_PATIENCE.as_secs());
    // The transcriber was granted what the labeller was, and its data are others.
    refused("transcriber", &predict, "claim_required");
    // The labeller joins a pipeline: its grant is for those outside.
    let labeller = Object::in_namespace("tf-teams", "workloadidentity", "labeller");
    let claims = |group: &str, version: &str| {
        let scope = json!({"name": "dataset_scope", "values": ["images"]});
        let mut claims = vec![scope, json!({"name": "model_version", "value": version})];
        claims.extend((!group.is_empty()).then(|| json!({"name": "pipeline_group", "value": group})));
        json!({"spec": {"claims": claims}})
    };
    for other in [claims("training", "stable"), claims("", "candidate")] {
        labeller.patch(&other);
        // What it was given before says what it said then. A pod that is new asks anew, once Keycloak knows.
        labeller.wait_ready(PATIENCE);
        kubectl(&["rollout", "restart", "-n", "tf-teams", "deployment/labeller"]);
        kubectl(&["rollout", "status", "-n", "tf-teams", "deployment/labeller", &limit]);
        refused("labeller", &predict, "claim_not_granted");
    }
}

/// A flow is deployed by one, asked for by the same, run by Prefect's own worker in another pod, and looked at by a third.
#[test]
fn a_prefect_worker_runs_flows_with_no_more_rights_than_it_needs() {
    let deployments =
        [("prefect", "prefect"), ("data-team", "releaser"), ("data-team", "operator"), ("data-team", "dashboard")];
    let program = ["app", "python", "/flows/client.py"];
    let example = Example::kustomize("prefect", "data-team", program, &deployments);
    wait_isolated("prefect", "prefect");
    let refused = |code: &str| json!({"status": 403, "reason": code});
    example.until("operator", &["pool"], &json!("metal"));
    // It ended while there was no pool, and is started again.
    kubectl(&["rollout", "restart", "-n", "data-team", "deployment/worker"]);
    let limit = format!("--timeout={}s", POD_PATIENCE.as_secs());
    kubectl(&["rollout", "status", "-n", "data-team", "deployment/worker", &limit]);
    assert_eq!(example.ask("worker", &["deploy"]), refused("permission_not_granted"));
    assert_eq!(example.ask("worker", &["delete"]), refused("permission_not_granted"));
    example.until("releaser", &["deploy"], &json!("doubled/nightly"));
    assert_eq!(example.ask("dashboard", &["run"]), refused("permission_not_granted"));
    let run = example.ask("releaser", &["run"]);
    let run = run.as_str().expect("a run's id");
    example.until("dashboard", &["state", run], &json!("COMPLETED"));
    // Logs arrive in batches, after the run.
    example.until("dashboard", &["logs", run], &json!(["doubled: 42"]));
    assert_eq!(example.ask("dashboard", &["flows"]), json!(["doubled"]));
    assert_eq!(example.ask("releaser", &["delete"]), refused("permission_not_granted"));
    assert_eq!(example.ask("operator", &["deploy"]), refused("permission_not_granted"));

    // People have the roles of their groups, with tokens of their own.
    let keycloak = Administrator::from_env();
    let people = Accounts { keycloak: &keycloak, realm: "prefect" };
    let scope = |permission: &str| format!("prefect.prefect.endpoint:{permission}");
    people.make_client(&["read", "execute", "admin"].map(scope));
    for (name, group) in [("ann", "prefect-operators"), ("ben", "prefect-viewers")] {
        people.join(&people.make_user(name), &people.group(group));
    }
    let ask_as = |name: &str, permissions: &[&str], program: &str| {
        let scopes: Vec<_> = permissions.iter().copied().map(scope).collect();
        let token = eventually(&format!("a token of {name}'s"), PATIENCE, || people.token(name, &scopes));
        prefect_as(&token, program)
    };
    assert_eq!(ask_as("ben", &["read"], "flows"), json!(["doubled"]));
    assert_eq!(ask_as("ben", &["read"], "delete"), refused("permission_not_granted"));
    assert!(people.token("ben", &[scope("admin")]).is_err(), "his group has no such role");
    assert_eq!(ask_as("ann", &["read", "execute", "admin"], "pool"), json!("metal"));
    assert_eq!(ask_as("ann", &["read", "execute", "admin"], "deploy"), refused("permission_not_granted"));
}

/// What Prefect's own client says with a person's token, which it is given on its standard input.
fn prefect_as(token: &str, program: &str) -> Value {
    let script = r#"export PREFECT_API_URL=http://prefect.prefect.svc:4200/api
        PREFECT_CLIENT_CUSTOM_HEADERS="{\"Authorization\": \"Bearer $(cat)\"}" exec python /flows/client.py "$1""#;
    let exec = ["exec", "-i", "-n", "data-team", "deploy/dashboard", "-c", "app", "--", "sh", "-c", script, "sh"];
    let said =
        try_kubectl(&[&exec[..], &[program]].concat(), token).unwrap_or_else(|error| panic!("{program}: {error}"));
    let last = said.trim().lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{program}: {error}: {said}"))
}
