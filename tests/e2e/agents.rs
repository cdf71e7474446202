//! The example `ai-agents`, applied as it is: real MCP servers, the SDK's own client.

use std::path::Path;

use serde_json::{Value, json};

use crate::{
    cluster::{Object, kubectl, try_kubectl},
    eventually::{PATIENCE, POD_PATIENCE, eventually},
};

const TEAM: &str = "agents-team";

/// The example in the cluster, for as long as it lives.
struct Example(String);

impl Example {
    fn apply() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/examples/ai-agents").display().to_string();
        let example = Self(folder);
        kubectl(&["apply", "-f", &example.0]);
        example
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let limit = format!("--timeout={}s", (PATIENCE * 2).as_secs());
        if let Err(error) = try_kubectl(&["delete", "-f", &self.0, "--ignore-not-found", &limit], "") {
            eprintln!("the example could not be removed: {error}");
        }
    }
}

/// What an agent's program says.
fn agent(name: &str, arguments: &[&str]) -> Value {
    let (deployment, program) = (format!("deploy/{name}"), ["python", "/app/agent.py"]);
    let exec = ["exec", "-n", TEAM, &deployment, "-c", "agent", "--"];
    let said = kubectl(&[&exec[..], &program, arguments].concat());
    serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{name} {arguments:?}: {error}: {said}"))
}

/// Whether an answer is a refusal by the guard.
fn is_refused(said: &Value) -> bool {
    said["status"] == 403 || said["code"].is_i64()
}

#[test]
fn agents_use_the_tools_that_they_were_granted() {
    let _example = Example::apply();
    let limit = format!("--timeout={}s", POD_PATIENCE.as_secs());
    for (namespace, deployment) in
        [("agents-tools", "search"), ("agents-tools", "files"), (TEAM, "researcher"), (TEAM, "archivist")]
    {
        kubectl(&["rollout", "status", "-n", namespace, &format!("deployment/{deployment}"), &limit]);
    }
    for endpoint in ["search", "files"] {
        let endpoint = Object::in_namespace("agents-tools", "modelendpoint", endpoint);
        endpoint.wait_ready(PATIENCE);
        endpoint.wait_condition("Isolated", "True", "NotReachable");
    }
    eventually("the researcher sees the tools that it may use", PATIENCE, || {
        match agent("researcher", &["FILES_URL"]) {
            tools if tools == json!(["write_file", "list_files"]) => Ok(()),
            other => Err(other.to_string()),
        }
    });
    let found = agent("researcher", &["SEARCH_URL", "search_documents", r#"{"word": "soup"}"#]);
    assert_eq!(found, json!([r#"["menu"]"#]));
    let soup = r#"{"name": "soup", "text": "yes"}"#;
    assert_eq!(agent("researcher", &["FILES_URL", "write_file", soup]), json!(["wrote soup"]));
    let refused = agent("researcher", &["FILES_URL", "delete_file", r#"{"name": "soup"}"#]);
    assert!(is_refused(&refused), "{refused}");
    assert_eq!(agent("archivist", &["FILES_URL", "list_files"]), json!([r#"["soup"]"#]), "it is still there");
    assert_eq!(agent("archivist", &["FILES_URL", "delete_file", r#"{"name": "soup"}"#]), json!(["deleted soup"]));
    kubectl(&["wait", "-n", TEAM, "job/errand", "--for=condition=Complete", &limit]);
    assert!(kubectl(&["logs", "-n", TEAM, "job/errand", "-c", "agent"]).contains("menu"));

    // One of them is stopped; the others go on.
    let researcher = Object::in_namespace(TEAM, "workloadidentity", "researcher");
    researcher.patch(&json!({"spec": {"suspended": true}}));
    eventually("the researcher is refused", PATIENCE, || match agent("researcher", &["SEARCH_URL"]) {
        refused if is_refused(&refused) => Ok(()),
        other => Err(other.to_string()),
    });
    assert_eq!(agent("archivist", &["FILES_URL", "list_files"]), json!(["[]"]));
}
