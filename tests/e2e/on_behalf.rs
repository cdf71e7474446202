//! A chain of two: an agent that is itself an MCP server calls another one on behalf of whoever called it.
//!
//! Real servers and the SDK's own client: they hand on one header, and know nothing of tokens.

use serde_json::{Value, json};

use crate::{
    cluster::{Object, assert_says, kubectl, try_kubectl},
    eventually::{PATIENCE, eventually},
    objects::{grant, identity, object, pod, service_account},
    pods::{Pod, start},
    stage::Stage,
};

const MCP_IMAGE: &str = "localhost/keywire-env/mcp:2.3.0";
const WORD: &str = r#"{"word": "soup"}"#;

/// `analyst` calls `researcher`, which calls `archive`.
struct Chain {
    stage: Stage,
    tools: String,
    team: String,
    archive: Pod,
    caller: Pod,
}

/// An MCP server on loopback in the pods `app: NAME`.
fn mcp_endpoint(realm: &str, namespace: &str, name: &str) -> Value {
    let spec = json!({
        "realm": realm, "protocol": "MCP", "workload": {"matchLabels": {"app": name}},
        "ports": [{"name": "http", "port": 8080}], "isolation": "Loopback", "audit": "All",
    });
    object("ModelEndpoint", namespace, name, spec)
}

fn mcp_pod(namespace: &str, name: &str, args: Value) -> Value {
    let mut pod = pod(namespace, name, MCP_IMAGE);
    let container = &mut pod["spec"]["containers"][0];
    container["args"] = args;
    container["readinessProbe"] = json!({"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 1});
    pod
}

/// A pod whose container runs the scripts of this test.
fn scripted(mut pod: Value, command: Value) -> Value {
    let container = &mut pod["spec"]["containers"][0];
    container["command"] = command;
    container["volumeMounts"].as_array_mut().expect("mounts").push(json!({"name": "chain", "mountPath": "/chain"}));
    let volumes = pod["spec"]["volumes"].as_array_mut().expect("volumes");
    volumes.push(json!({"name": "chain", "configMap": {"name": "chain"}}));
    pod
}

impl Chain {
    fn start(test: &str) -> Self {
        let stage = Stage::with_realm(test);
        let (tools, team) = (stage.namespace("tools"), stage.namespace("team"));
        stage.apply(mcp_endpoint(&stage.id, &tools, "archive"));
        let mut researcher = mcp_endpoint(&stage.id, &team, "researcher");
        researcher["spec"]["onBehalfOf"] = json!({"identity": "researcher"});
        stage.apply(researcher);
        let scripts =
            json!({"researcher.py": include_str!("chain/researcher.py"), "person.py": include_str!("chain/person.py")});
        stage.apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": team, "name": "chain"},
            "data": scripts}));
        for (name, env, namespace, endpoint) in
            [("researcher", "ARCHIVE_URL", &tools, "archive"), ("analyst", "RESEARCHER_URL", &team, "researcher")]
        {
            stage.apply(service_account(&team, name));
            let mut identity = identity(&stage.id, &team, name, &[(env, namespace, endpoint)]);
            identity["spec"]["targets"][0]["path"] = json!("/mcp");
            stage.apply(identity);
        }
        stage.apply(grant(&team, "researcher", (&team, "analyst"), &["execute", "read"]));
        let archive = start(&mcp_pod(&tools, "archive", json!(["search"])));
        let python = "/opt/venv/bin/python";
        let mut pod = mcp_pod(&team, "researcher", json!([]));
        pod["spec"]["serviceAccountName"] = json!("researcher");
        let researcher = start(&scripted(pod, json!([python, "/chain/researcher.py"])));
        let mut pod = self::pod(&team, "analyst", MCP_IMAGE);
        pod["spec"]["serviceAccountName"] = json!("analyst");
        let caller = start(&scripted(pod, json!(["sleep", "infinity"])));
        researcher.wait_ready();
        let (archive, caller) = (archive.wait_ready(), caller.wait_ready());
        Self { stage, tools, team, archive, caller }
    }

    /// A grant of the archive's one tool.
    fn grant_archive(&self, subject: &str) -> Object {
        let mut granted = grant(&self.tools, "archive", (&self.team, subject), &["execute", "read"]);
        granted["spec"]["models"] = json!(["search_documents"]);
        self.stage.apply(granted);
        Object::in_namespace(&self.tools, "accessgrant", &format!("archive-{subject}"))
    }

    /// What the researcher's tool says to the analyst, who calls with the SDK's client through its own sidecar.
    fn ask(&self, tool: &str) -> Value {
        let said = self.caller.run(&format!("/opt/venv/bin/python /app/agent.py RESEARCHER_URL {tool} '{WORD}'"));
        told(&said)
    }

    fn until(&self, what: &str, mut ask: impl FnMut() -> Value, holds: impl Fn(&Value) -> bool) -> Value {
        eventually(what, PATIENCE, || match ask() {
            said if holds(&said) => Ok(said),
            other => Err(other.to_string()),
        })
    }

    /// Lets a person use one of the two servers.
    fn grant_person(&self, namespace: &str, endpoint: &str, username: &str) -> Object {
        let mut granted = grant(namespace, endpoint, (&self.team, username), &["execute", "read"]);
        granted["spec"]["subjects"] = json!([{"user": username}]);
        self.stage.apply(granted);
        Object::in_namespace(namespace, "accessgrant", &format!("{endpoint}-{username}"))
    }

    /// The same of a person, who calls the researcher with a token of his own.
    fn ask_as(&self, username: &str, tool: &str) -> Result<Value, String> {
        let token = self.stage.accounts().token(username, &self.scopes());
        let url = format!("http://researcher.{}.svc:8080/mcp", self.team);
        let exec = ["exec", "-i", "-n", &self.team, &self.caller.name, "-c", "app", "--", "/opt/venv/bin/python"];
        let said = try_kubectl(&[&exec[..], &["/chain/person.py", &url, tool, WORD]].concat(), &token?);
        Ok(told(&said.expect("it runs")))
    }

    /// What a person has to ask for to use the researcher.
    fn scopes(&self) -> Vec<String> {
        ["execute", "read"].map(|permission| format!("researcher.{}.endpoint:{permission}", self.team)).into()
    }

    /// A record of the archive's guard: what it said of a call on behalf of the analyst.
    fn record(&self, reason: &str) -> Value {
        self.record_of(&self.client("analyst"), reason)
    }

    /// The same on behalf of another one.
    fn record_of(&self, bearer: &str, reason: &str) -> Value {
        eventually(&format!("a record of the archive's: {reason}"), PATIENCE, || {
            let log = kubectl(&["logs", "-n", &self.tools, &self.archive.name, "-c", "keywire-proxy"]);
            let mut records = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let found = records.find(|record| record["on_behalf_of"] == bearer && record["reason"] == reason);
            found.ok_or_else(|| log.lines().rev().take(5).collect::<Vec<_>>().join("\n"))
        })
    }

    /// The client of an identity of the team's.
    fn client(&self, name: &str) -> String {
        format!("{name}.{}.workload", self.team)
    }
}

/// What the archive said in the end: the researcher's tool gives it back as JSON in its own answer.
fn told(printed: &str) -> Value {
    let said: Value = serde_json::from_str(printed.trim()).unwrap_or_else(|error| panic!("{error}: {printed}"));
    match said[0].as_str() {
        Some(inner) => serde_json::from_str(inner).unwrap_or(said),
        None => said,
    }
}

fn found() -> Value {
    json!([r#"["menu"]"#])
}

/// A refusal by the archive's guard or by the researcher's own sidecar, as the SDK's client tells it.
fn is_refused(said: &Value) -> bool {
    said["status"] == 403 || said["code"].is_i64()
}

#[test]
fn an_agent_calls_on_behalf_of_a_workload_with_grants_for_both() {
    let chain = Chain::start("chain");
    let researcher = Object::in_namespace(&chain.team, "modelendpoint", "researcher");
    researcher.wait_condition("OnBehalfOf", "True", "Found");
    let of_agent = chain.grant_archive("researcher");
    chain.until("the agent may for itself", || chain.ask("ponder"), |said| *said == found());
    chain.until("nobody is behind the analyst", || chain.ask("research"), is_refused);
    let of_analyst = chain.grant_archive("analyst");
    chain.until("both are granted", || chain.ask("research"), |said| *said == found());
    let record = chain.record("granted");
    let expected = (json!(chain.client("researcher")), json!("archive-analyst"));
    assert_eq!((&record["client"], &record["grant"]), (&expected.0, &expected.1), "{record}");
    assert!(is_refused(&chain.ask("guess")), "a handle that nobody gave");

    // Each of the two grants is worth nothing without the other.
    of_analyst.delete();
    chain.until("the analyst's is gone", || chain.ask("research"), is_refused);
    assert_eq!(chain.ask("ponder"), found(), "the agent's own calls go on");
    chain.record("bearer_not_granted");
    chain.grant_archive("analyst");
    chain.until("it is back", || chain.ask("research"), |said| *said == found());
    of_agent.delete();
    chain.until("the agent's is gone", || chain.ask("research"), is_refused);
    chain.record("actor_not_granted");

    // An identity that is not there: nobody acts with it, and the endpoint says so.
    researcher.patch(&json!({"spec": {"onBehalfOf": {"identity": "nobody"}}}));
    let message = researcher.wait_condition("OnBehalfOf", "False", "IdentityNotFound");
    assert!(message.contains("nobody"), "{message}");
    let exchanges = || {
        let found = chain.stage.keycloak.client(&chain.stage.id, &chain.client("researcher"));
        let switched = found["attributes"]["standard.token.exchange.enabled"].clone();
        if switched == "true" { Err(switched.to_string()) } else { Ok(()) }
    };
    eventually("its client exchanges no more", PATIENCE, exchanges);

    // One that logs in by a secret has two clients, and a token for both is nobody's.
    let mut clerk = identity(&chain.stage.id, &chain.team, "clerk", &[]);
    clerk["spec"]["credential"] = json!("ClientSecret");
    chain.stage.apply(service_account(&chain.team, "clerk"));
    chain.stage.apply(clerk);
    researcher.patch(&json!({"spec": {"onBehalfOf": {"identity": "clerk"}}}));
    let message = researcher.wait_condition("OnBehalfOf", "False", "CredentialUnfit");
    assert_says(&message, &["clerk", "PrivateKeyJwt"]);
}

#[test]
fn an_agent_calls_on_behalf_of_a_person_with_grants_for_both() {
    let chain = Chain::start("person");
    let accounts = chain.stage.accounts();
    Object::in_namespace(&chain.team, "modelendpoint", "researcher").wait_condition("Synced", "True", "Synced");
    accounts.make_client(&chain.scopes());
    let ann = accounts.make_user("ann");
    chain.grant_person(&chain.team, "researcher", "ann");
    // Until Keycloak has her roles there is no token.
    let ask = |tool: &str| chain.ask_as("ann", tool).unwrap_or_else(Value::String);
    let of_agent = chain.grant_archive("researcher");
    chain.until("the agent may for itself", || ask("ponder"), |said| *said == found());
    assert!(is_refused(&ask("research")), "the agent's grant is not hers");
    let of_ann = chain.grant_person(&chain.tools, "archive", "ann");
    chain.until("both are granted", || ask("research"), |said| *said == found());
    let record = chain.record_of(&ann, "granted");
    let expected = (json!(chain.client("researcher")), json!(ann), json!("archive-ann"));
    assert_eq!(
        (&record["client"], &record["sub"], &record["grant"]),
        (&expected.0, &expected.1, &expected.2),
        "{record}"
    );

    of_ann.delete();
    chain.until("hers is gone", || ask("research"), is_refused);
    assert_eq!(ask("ponder"), found(), "the agent's own calls go on");
    chain.grant_person(&chain.tools, "archive", "ann");
    chain.until("it is back", || ask("research"), |said| *said == found());
    of_agent.delete();
    chain.until("the agent's is gone", || ask("research"), is_refused);
    chain.record_of(&ann, "actor_not_granted");
}
