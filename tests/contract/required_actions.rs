//! Required actions: set up, registered where they are not, and taken out where we registered them.

use serde_json::{Value, json};

use crate::keycloak::{TestRealm, in_realm};
use crate::realm_settings::{desired, failures, pass};

const TERMS: &str = "TERMS_AND_CONDITIONS";

async fn action(test: &TestRealm, alias: &str) -> Option<Value> {
    let (_, all) = test.raw.get("/authentication/required-actions").await;
    all.as_array().unwrap().iter().find(|action| action["alias"] == alias).cloned()
}

fn fields(actions: Value) -> Value {
    json!({"clientPolicies": {"fullScope": "Unguarded"}, "requiredActions": actions})
}

#[tokio::test]
async fn a_registered_action_is_set_up_and_stays() {
    in_realm(|test| async move {
        let before = action(&test, TERMS).await.unwrap();
        let wanted = fields(json!([{"alias": TERMS, "enabled": true, "defaultAction": true, "config": {"a": "b"}}]));
        let wanted = desired(&test, wanted, 0, None);
        assert_eq!(pass(&test, &wanted).await, ["update_realm", "update_required_action"]);
        assert_eq!(pass(&test, &wanted).await, Vec::<&str>::new(), "converged");
        let after = action(&test, TERMS).await.unwrap();
        assert_eq!((&after["enabled"], &after["defaultAction"]), (&json!(true), &json!(true)));
        assert_eq!((&after["name"], &after["priority"]), (&before["name"], &before["priority"]), "kept");
        let none = desired(&test, fields(json!([])), 0, None);
        assert_eq!(pass(&test, &none).await, Vec::<&str>::new(), "it was there before us");
    })
    .await;
}

#[tokio::test]
async fn an_unregistered_action_is_registered_and_taken_out_again() {
    in_realm(|test| async move {
        assert_eq!(test.raw.delete(&format!("/authentication/required-actions/{TERMS}")).await.0, 204);
        let wanted = fields(json!([{"alias": TERMS, "name": "Terms", "priority": 7}]));
        let wanted = desired(&test, wanted, 0, None);
        assert_eq!(pass(&test, &wanted).await, ["update_realm", "create_required_action"]);
        assert_eq!(pass(&test, &wanted).await, Vec::<&str>::new(), "converged");
        let after = action(&test, TERMS).await.unwrap();
        assert_eq!((&after["name"], &after["priority"]), (&json!("Terms"), &json!(7)));

        let drifted = json!({"alias": TERMS, "name": "Terms", "enabled": false, "config": after["config"]});
        test.raw.put(&format!("/authentication/required-actions/{TERMS}"), &drifted).await;
        assert_eq!(pass(&test, &wanted).await, ["update_required_action"]);

        let none = desired(&test, fields(json!([])), 0, None);
        assert_eq!(pass(&test, &none).await, ["delete_required_action"]);
        assert_eq!(action(&test, TERMS).await, None);
        assert_eq!(pass(&test, &none).await, Vec::<&str>::new());
    })
    .await;
}

#[tokio::test]
async fn an_action_that_the_server_has_not_is_told_of() {
    in_realm(|test| async move {
        let wanted = fields(json!([{"alias": "no-such-action"}, {"alias": TERMS}]));
        let report = test.realm.reconcile_settings(&desired(&test, wanted, 0, None)).await;
        let failures = failures(&report);
        assert!(failures.len() == 1 && failures[0].contains("register required action no-such-action"), "{failures:?}");
        assert_eq!(action(&test, TERMS).await.unwrap()["enabled"], true, "the rest is done");
        // What a PUT leaves out is emptied: why all of it is sent.
        test.raw.put(&format!("/authentication/required-actions/{TERMS}"), &json!({"alias": TERMS})).await;
        assert_eq!(action(&test, TERMS).await.unwrap()["name"], Value::Null);
    })
    .await;
}
