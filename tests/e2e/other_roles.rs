//! Roles of clients that are there already: for identities, as far as their Realm lists them.

use serde_json::json;

use crate::{
    cluster::{Object, assert_says, text},
    eventually::{PATIENCE, eventually},
    objects::{identity, service_account},
    stage::Stage,
};

/// What the realm tells of its brokers.
const PROVIDERS: &str = "identity-provider/instances";

/// What the Admin API answers to the identity `api`.
fn answers(stage: &Stage, namespace: &str, path: &str) -> Result<u16, String> {
    let client_id = format!("api.{namespace}.workload");
    let (status, answer) = stage.log_in(&stage.assertion(namespace, "api"), &[("client_id", &client_id)]);
    if status != 200 {
        return Err(format!("login: {answer}"));
    }
    Ok(stage.keycloak.get_with(&text(&answer["access_token"]), &format!("/{}/{path}", stage.id)))
}

fn eventually_answers(stage: &Stage, namespace: &str, expected: u16) {
    eventually(&format!("the identity providers answer {expected}"), PATIENCE, || {
        let status = answers(stage, namespace, PROVIDERS)?;
        if status == expected { Ok(()) } else { Err(status.to_string()) }
    });
}

/// Issue 7: a backend reads the brokers of its realm by a right that Keycloak has already, and that is all it may do.
#[test]
fn an_identity_has_the_roles_that_its_realm_lists_and_keeps_them() {
    let stage = Stage::with_realm("other-roles");
    let namespace = stage.namespace("hub");
    stage.apply(service_account(&namespace, "api"));
    let mut api = identity(&stage.id, &namespace, "api", &[]);
    api["spec"]["roles"] = json!([{"client": "realm-management", "role": "view-identity-providers"}]);
    stage.apply(api);
    let object = Object::in_namespace(&namespace, "workloadidentity", "api");
    let message = object.wait_condition("Roles", "False", "RoleNotListed");
    assert_says(&message, &["view-identity-providers", "realm-management", "spec.grantableRoles"]);
    eventually_answers(&stage, &namespace, 403);

    let listed = json!([{"client": "realm-management", "roles": ["view-identity-providers"]}]);
    stage.realm_object().patch(&json!({"spec": {"grantableRoles": listed}}));
    object.wait_condition("Roles", "True", "Listed");
    object.wait_ready(PATIENCE);
    eventually_answers(&stage, &namespace, 200);
    for closed in ["users", "client-scopes", "events"] {
        assert_eq!(answers(&stage, &namespace, closed), Ok(403), "{closed}");
    }

    // Taken away in Keycloak's console: it comes back. More than that: nobody's business but his who gave it.
    stage.realm_object().wait_condition("DriftFeed", "True", "Reading");
    let realm = &stage.id;
    let client = text(&stage.keycloak.client(realm, &format!("api.{namespace}.workload"))["id"]);
    let account = text(&stage.keycloak.get(&format!("/{realm}/clients/{client}/service-account-user")).1["id"]);
    let management = text(&stage.keycloak.client(realm, "realm-management")["id"]);
    let role = stage.keycloak.get(&format!("/{realm}/clients/{management}/roles/view-identity-providers")).1;
    for holder in [format!("users/{account}/role-mappings"), format!("clients/{client}/scope-mappings")] {
        let path = format!("/{realm}/{holder}/clients/{management}");
        assert_eq!(stage.keycloak.delete_with(&path, &json!([role])), 204, "{holder}");
        eventually(&format!("{holder} is as it was"), PATIENCE, || {
            let held = stage.keycloak.get(&path).1;
            if held[0]["name"] == role["name"] { Ok(()) } else { Err(held.to_string()) }
        });
    }
    eventually_answers(&stage, &namespace, 200);

    stage.realm_object().patch(&json!({"spec": {"grantableRoles": null}}));
    object.wait_condition("Roles", "False", "RoleNotListed");
    eventually_answers(&stage, &namespace, 403);
}
