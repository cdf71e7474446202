//! The cluster's keys change as its administrators change them: published first, then signed with.

use std::{path::Path, process::Command};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{
    cluster::{Object, dry_run, kubectl, text},
    eventually::{PATIENCE, POD_PATIENCE, eventually},
    objects::{identity, service_account},
    stage::Stage,
};

/// Issue 4, "Workload trust": the keys are followed when the API server's keys rotate.
#[test]
#[ignore = "restarts the API server, which the other tests need: `make e2e` runs it after them"]
fn a_new_key_of_the_cluster_is_known_before_anything_is_signed_with_it() {
    let stage = Stage::with_realm("keys");
    let namespace = stage.namespace("team");
    stage.apply(service_account(&namespace, "labeler"));
    stage.apply(identity(&stage.id, &namespace, "labeler", &[]));
    Object::in_namespace(&namespace, "workloadidentity", "labeler").wait_ready(PATIENCE);
    let old = stage.assertion(&namespace, "labeler");
    assert_eq!(stage.log_in(&old, &[]).0, 200);
    assert_eq!(trusted(&stage, &stage.id), published());

    let before = published();
    rotate(&stage, &namespace, "announce");
    let both = published();
    assert!(both.iter().any(|key| !before.contains(key)), "the API server publishes a new one: {both:?}");
    for realm in [&*stage.id, "master"] {
        eventually(&format!("realm {realm} knows the new key"), POD_PATIENCE, || match trusted(&stage, realm) {
            found if found == both => Ok(()),
            found => Err(format!("{found:?}, not {both:?}")),
        });
    }

    rotate(&stage, &namespace, "sign");
    let new = stage.assertion(&namespace, "labeler");
    assert_ne!(key_of(&new), key_of(&old), "it signs with another key");
    assert_eq!(stage.log_in(&new, &[]).0, 200, "a token by the new key is good at once");
    assert_eq!(stage.log_in(&old, &[]).0, 200, "and one by the old key while that is published");
    // The operator itself comes through as well.
    stage.apply(identity(&stage.id, &namespace, "later", &[]));
    Object::in_namespace(&namespace, "workloadidentity", "later").wait_ready(POD_PATIENCE);
}

/// A step of the rotation, and a restart of the API server.
fn rotate(stage: &Stage, namespace: &str, step: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/env/rotate-keys");
    let status = Command::new(script).arg(step).status().expect("the script can be run");
    assert!(status.success(), "rotate-keys {step}: {status}");
    // An API server takes objects of its own kinds first.
    let probe = identity(&stage.id, namespace, "probe", &[]);
    eventually("our objects are taken again", PATIENCE, || dry_run(&probe).map(drop));
}

/// The id of the key that a token is signed with.
fn key_of(token: &str) -> String {
    let header = token.split('.').next().expect("a JWT");
    let header: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64")).expect("a header");
    text(&header["kid"])
}

/// The ids of the keys that the API server publishes, in order.
fn published() -> Vec<String> {
    key_ids(&serde_json::from_str(&kubectl(&["get", "--raw", "/openid/v1/jwks"])).expect("JSON"))
}

/// The ids of the keys that a realm trusts, in order.
fn trusted(stage: &Stage, realm: &str) -> Vec<String> {
    let (status, found) = stage.keycloak.get(&format!("/{realm}/identity-provider/instances"));
    assert_eq!(status, 200, "{found}");
    let pushed = found.as_array().into_iter().flatten().find_map(|found| {
        let config = &found["config"];
        (config["supportsClientAssertions"] == "true").then(|| text(&config["publicKeySignatureVerifier"]))
    });
    key_ids(&serde_json::from_str(&pushed.expect("an identity provider")).expect("a key set"))
}

fn key_ids(set: &Value) -> Vec<String> {
    let mut ids: Vec<_> = set["keys"].as_array().expect("keys").iter().map(|key| text(&key["kid"])).collect();
    ids.sort();
    ids
}
