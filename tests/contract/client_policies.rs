//! Client profiles and policies: ours keep full scope away from the clients that we make, and from no others.

use serde_json::{Value, json};

use crate::keycloak::{TestRealm, in_realm};
use crate::realm_settings::{desired, failures, pass};

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// What becomes of a client that somebody gives full scope.
async fn full_scope_after_change(test: &TestRealm, id: &str) -> bool {
    let path = format!("/clients/{id}");
    let (_, mut client) = test.raw.get(&path).await;
    client["fullScopeAllowed"] = json!(true);
    assert_eq!(test.raw.put(&path, &client).await.0, 204);
    test.raw.get(&path).await.1["fullScopeAllowed"].as_bool().unwrap()
}

#[tokio::test]
async fn full_scope_is_kept_from_our_clients_only() {
    in_realm(|test| async move {
        let wanted = desired(&test, json!({}), 0, None);
        assert_eq!(pass(&test, &wanted).await, ["update_realm", "update_client_profiles", "update_client_policies"]);
        assert_eq!(pass(&test, &wanted).await, Vec::<&str>::new(), "converged");

        let endpoint = test.endpoint("resnet", &["read"]);
        test.realm.reconcile_endpoint(&endpoint).await.unwrap();
        let workload = test.workload("labeler", &[&endpoint]);
        test.realm.reconcile_workload(&workload).await.unwrap();
        assert!(!full_scope_after_change(&test, &endpoint.id.to_string()).await, "an endpoint's client");
        assert!(!full_scope_after_change(&test, &workload.id.to_string()).await, "a workload's client");
        assert_eq!(test.realm.reconcile_workload(&workload).await.unwrap(), [], "nothing is left to put right");

        let theirs = test.id("theirs");
        assert_eq!(test.raw.post("/clients", &json!({"id": theirs, "clientId": "theirs"})).await.0, 201);
        assert!(full_scope_after_change(&test, &theirs).await, "somebody else's client");
        let console = test.realm.find_client("security-admin-console").await.unwrap().unwrap().reference();
        assert!(full_scope_after_change(&test, &console.id).await, "a built-in client");

        let unguarded = desired(&test, json!({"clientPolicies": {"fullScope": "Unguarded"}}), 0, None);
        assert_eq!(pass(&test, &unguarded).await, ["update_client_policies", "update_client_profiles"]);
        assert!(full_scope_after_change(&test, &workload.id.to_string()).await);
        let done = test.realm.reconcile_workload(&workload).await.unwrap();
        assert_eq!(done.iter().map(|change| change.kind()).collect::<Vec<_>>(), ["update_client"]);
    })
    .await;
}

#[tokio::test]
async fn others_profiles_and_policies_stay() {
    in_realm(|test| async move {
        let executors = json!([{"executor": "consent-required", "configuration": {"auto-configure": true}}]);
        let theirs = json!({"profiles": [{"name": "theirs", "executors": executors}]});
        assert_eq!(test.raw.put("/client-policies/profiles", &theirs).await.0, 204);
        let conditions = json!([{"condition": "client-access-type", "configuration": {"type": ["public"]}}]);
        let policy = |profile: &str| {
            json!({"policies": [{"name": "theirs", "enabled": false, "conditions": conditions, "profiles": [profile]}]})
        };
        assert_eq!(test.raw.put("/client-policies/policies", &policy("none")).await.0, 400, "profiles come first");
        assert_eq!(test.raw.put("/client-policies/policies", &policy("theirs")).await.0, 204);

        let fields = json!({"clientPolicies": {
            "profiles": [{"name": "strict", "description": "Code with PKCE", "executors": [
                {"executor": "pkce-enforcer", "configuration": {"auto-configure": true}},
                {"executor": "reject-implicit-grant"},
            ]}],
            "policies": [{"name": "public", "conditions": [
                {"condition": "client-access-type", "configuration": {"type": ["public"]}},
            ], "profiles": ["strict", "theirs"]}],
        }});
        let wanted = desired(&test, fields, 0, None);
        assert_eq!(pass(&test, &wanted).await, ["update_realm", "update_client_profiles", "update_client_policies"]);
        assert_eq!(pass(&test, &wanted).await, Vec::<&str>::new(), "converged");
        let (_, profiles) = test.raw.get("/client-policies/profiles").await;
        assert_eq!(names(&profiles["profiles"]), ["theirs", "keywire-full-scope", "strict"]);
        let (_, policies) = test.raw.get("/client-policies/policies").await;
        assert_eq!(names(&policies["policies"]), ["theirs", "keywire-full-scope", "public"]);
        assert_eq!(policies["policies"][0]["enabled"], false);

        // An executor that the server has not: nothing is lost.
        let bad = json!({"clientPolicies": {"profiles": [{"name": "strict", "executors": [{"executor": "nonsense"}]}]}});
        let report = test.realm.reconcile_settings(&desired(&test, bad, 0, None)).await;
        let failures = failures(&report);
        assert!(failures.len() == 1 && failures[0].contains("client profiles"), "{failures:?}");
        assert_eq!(test.raw.get("/client-policies/profiles").await.1, profiles);
        assert_eq!(test.raw.get("/client-policies/policies").await.1, policies);

        let none = desired(&test, json!({"clientPolicies": {"fullScope": "Unguarded"}}), 0, None);
        pass(&test, &none).await;
        assert_eq!(names(&test.raw.get("/client-policies/profiles").await.1["profiles"]), ["theirs"]);
        assert_eq!(names(&test.raw.get("/client-policies/policies").await.1["policies"]), ["theirs"]);
    })
    .await;
}

#[tokio::test]
async fn an_executor_without_configuration_is_a_server_error() {
    in_realm(|test| async move {
        let bare = json!({"profiles": [{"name": "bare", "executors": [{"executor": "reject-implicit-grant"}]}]});
        assert_eq!(test.raw.put("/client-policies/profiles", &bare).await.0, 500, "why we always send one");
    })
    .await;
}
