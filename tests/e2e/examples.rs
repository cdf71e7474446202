//! The examples, applied as they are: real servers, and clients that know nothing of Keywire.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    cluster::{Object, kubectl, try_kubectl},
    eventually::{PATIENCE, POD_PATIENCE, eventually},
};

/// An example in the cluster, for as long as this lives.
struct Example {
    folder: String,
    /// Where its clients are.
    clients: &'static str,
    /// What their containers run: the container's name, and the program.
    program: [&'static str; 3],
}

impl Example {
    /// Applies a folder, and waits for its Deployments, by namespace.
    fn apply(name: &str, clients: &'static str, program: [&'static str; 3], deployments: &[(&str, &str)]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples").join(name).display().to_string();
        let example = Self { folder, clients, program };
        kubectl(&["apply", "-f", &example.folder]);
        let limit = format!("--timeout={}s", POD_PATIENCE.as_secs());
        for (namespace, deployment) in deployments {
            kubectl(&["rollout", "status", "-n", namespace, &format!("deployment/{deployment}"), &limit]);
        }
        example
    }

    /// What a client's program says.
    fn ask(&self, client: &str, arguments: &[&str]) -> Value {
        let (deployment, [container, interpreter, program]) = (format!("deploy/{client}"), self.program);
        let exec = ["exec", "-n", self.clients, &deployment, "-c", container, "--", interpreter, program];
        let said = kubectl(&[&exec[..], arguments].concat());
        serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{client} {arguments:?}: {error}: {said}"))
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
        if let Err(error) = try_kubectl(&["delete", "-f", &self.folder, "--ignore-not-found", &limit], "") {
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
