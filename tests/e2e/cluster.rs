//! The cluster, driven with `kubectl` as a user drives it.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::eventually::{PATIENCE, eventually};

/// How long one `kubectl` may take: longer than any wait that it is asked for.
const LIMIT: Duration = Duration::from_secs(240);
/// How `timeout` says that it ended what it ran.
const CUT_OFF: i32 = 124;

/// Namespace of Keywire itself.
pub const KEYWIRE: &str = "keywire-system";

/// Runs `kubectl` and gives back what it prints; fails with its own words.
pub fn kubectl(args: &[&str]) -> String {
    try_kubectl(args, "").unwrap_or_else(|error| panic!("kubectl {}: {error}", args.join(" ")))
}

/// Runs `kubectl` with this standard input: what it prints, or its complaint. An
/// `exec` whose stream is lost would never end by itself, hence the limit.
pub fn try_kubectl(args: &[&str], input: &str) -> Result<String, String> {
    assert!(std::env::var_os("KUBECONFIG").is_some(), "KUBECONFIG is not set: start it with make e2e");
    let mut command = Command::new("timeout");
    command.args(["--kill-after=5", &LIMIT.as_secs().to_string(), "kubectl"]);
    let piped = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("kubectl can be run: start it with make e2e");
    // A kubectl that ends early does not read it; its complaint says why.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("kubectl ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        Some(CUT_OFF) => Err(format!("not ended within {LIMIT:?}: {}{}", text(&output.stdout), text(&output.stderr))),
        _ => Err(text(&output.stderr)),
    }
}

/// `kubectl apply`.
pub fn apply(object: &Value) {
    try_apply(object).unwrap_or_else(|error| panic!("kubectl apply of {object}: {error}"));
}

/// `kubectl apply`: nothing, or the complaint.
pub fn try_apply(object: &Value) -> Result<(), String> {
    try_kubectl(&["apply", "-f", "-"], &object.to_string()).map(|_| ())
}

/// What would become of an object that is created now, after admission.
pub fn dry_run(object: &Value) -> Result<Value, String> {
    let made = try_kubectl(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &object.to_string())?;
    Ok(serde_json::from_str(&made).expect("kubectl prints JSON"))
}

/// A kind and name, and where.
#[derive(Clone, Debug)]
pub struct Object {
    /// `kind/name`.
    name: String,
    namespace: Option<String>,
}

impl Object {
    /// An object without a namespace.
    pub fn cluster(kind: &str, name: &str) -> Self {
        Self { name: format!("{kind}/{name}"), namespace: None }
    }

    /// An object in a namespace.
    pub fn in_namespace(namespace: &str, kind: &str, name: &str) -> Self {
        Self { name: format!("{kind}/{name}"), namespace: Some(namespace.to_owned()) }
    }

    fn args<'a>(&'a self, verb: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        let place = self.namespace.iter().flat_map(|namespace| ["-n", namespace]);
        [verb, &self.name].into_iter().chain(place).chain(rest.iter().copied()).collect()
    }

    /// The object as it is now.
    pub fn get(&self) -> Result<Value, String> {
        let text = try_kubectl(&self.args("get", &["-o", "json"]), "")?;
        Ok(serde_json::from_str(&text).expect("kubectl prints JSON"))
    }

    /// Changes fields of it.
    pub fn patch(&self, patch: &Value) {
        kubectl(&self.args("patch", &["--type=merge", "-p", &patch.to_string()]));
    }

    /// Says something new about it, so that it is looked at again.
    pub fn touch(&self, value: &str) {
        kubectl(&self.args("annotate", &["--overwrite", &format!("e2e.example/touched={value}")]));
    }

    /// Deletes it and waits until it is gone.
    pub fn delete(&self) {
        kubectl(&self.args("delete", &[&timeout(PATIENCE)]));
    }

    /// Deletes it without waiting.
    pub fn begin_deletion(&self) {
        kubectl(&self.args("delete", &["--wait=false"]));
    }

    /// Says that it may go without a clean-up.
    pub fn release_by_hand(&self) {
        kubectl(&self.args("annotate", &["keywire.dev/force-release=true"]));
    }

    /// Its kind and its name.
    pub fn kind_and_name(&self) -> (&str, &str) {
        self.name.split_once('/').expect("kind/name")
    }

    /// Waits until it is gone.
    pub fn wait_gone(&self) {
        self.wait("--for=delete", PATIENCE);
    }

    /// Waits for condition `Ready`.
    pub fn wait_ready(&self, limit: Duration) {
        self.wait("--for=condition=Ready", limit);
    }

    fn wait(&self, what: &str, limit: Duration) {
        if let Err(error) = try_kubectl(&self.args("wait", &[what, &timeout(limit)]), "") {
            panic!("{}: kubectl wait {what}: {}; it is {}", self.name, error.trim(), self.status());
        }
    }

    /// Waits until a condition has this status and reason at the current generation, and gives back its message.
    pub fn wait_condition(&self, type_: &str, status: &str, reason: &str) -> String {
        let what = format!("{} has condition {type_}={status} with reason {reason}", self.name);
        eventually(&what, PATIENCE, || {
            let object = self.get()?;
            let found =
                condition(&object, type_).ok_or_else(|| format!("no such condition in {}", object["status"]))?;
            let holds = found["status"] == status
                && found["reason"] == reason
                && found["observedGeneration"] == object["metadata"]["generation"];
            if holds { Ok(text(&found["message"])) } else { Err(object["status"]["conditions"].to_string()) }
        })
    }

    fn status(&self) -> String {
        self.get().map_or_else(|error| error, |object| object["status"].to_string())
    }
}

/// A condition of an object.
pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<&'a Value> {
    object["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

/// The text of a JSON string.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Fails unless a sentence holds all of these words.
#[track_caller]
pub fn assert_says(sentence: &str, words: &[&str]) {
    for word in words {
        assert!(sentence.contains(word), "{word:?} is missing in: {sentence}");
    }
}

fn timeout(limit: Duration) -> String {
    format!("--timeout={}s", limit.as_secs())
}
