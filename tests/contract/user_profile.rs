//! The user profile: ours go in and out, others' attributes stay.

use serde_json::{Value, json};

use crate::keycloak::in_realm;
use crate::realm_settings::{desired, failures, pass};

fn names(profile: &Value, list: &str) -> Vec<String> {
    profile[list].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn attributes_come_and_go_and_others_stay() {
    in_realm(|test| async move {
        let (_, mut profile) = test.raw.get("/users/profile").await;
        let built_in = names(&profile, "attributes");
        profile["attributes"].as_array_mut().unwrap().push(json!({"name": "theirs"}));
        assert_eq!(test.raw.put("/users/profile", &profile).await.0, 200);

        let fields = json!({"clientPolicies": {"fullScope": "Unguarded"}, "userProfile": {
            "unmanagedAttributes": "AdminView",
            "groups": [{"name": "work", "displayHeader": "Work"}],
            "attributes": [
                {"name": "team", "displayName": "Team", "group": "work", "multivalued": true, "view": ["user", "admin"],
                 "edit": ["admin"], "required": {"roles": ["admin"]}, "validations": {"length": {"max": 64}},
                 "annotations": {"inputType": "textarea"}, "scopes": ["profile"]},
                {"name": "everybody", "required": {}, "view": ["user"], "edit": ["user"]},
            ],
        }});
        let wanted = desired(&test, fields, 0, None);
        assert_eq!(pass(&test, &wanted).await, ["update_realm", "update_user_profile"]);
        assert_eq!(pass(&test, &wanted).await, Vec::<&str>::new(), "converged");
        let (_, after) = test.raw.get("/users/profile").await;
        let expected = [built_in.as_slice(), &["theirs".into(), "team".into(), "everybody".into()]].concat();
        assert_eq!(names(&after, "attributes"), expected);
        let team = &after["attributes"][built_in.len() + 1];
        assert_eq!(team["validations"], json!({"length": {"max": 64}}));
        assert_eq!((&team["multivalued"], &team["group"]), (&json!(true), &json!("work")));
        assert_eq!(team["annotations"]["inputType"], "textarea");
        assert_eq!(after["unmanagedAttributePolicy"], "ADMIN_VIEW");

        // A change by hand to one of ours is put right.
        let mut drifted = after.clone();
        drifted["attributes"][built_in.len() + 1]["permissions"]["edit"] = json!(["admin", "user"]);
        test.raw.put("/users/profile", &drifted).await;
        assert_eq!(pass(&test, &wanted).await, ["update_user_profile"]);

        let none = desired(&test, json!({"clientPolicies": {"fullScope": "Unguarded"}}), 0, None);
        assert_eq!(pass(&test, &none).await, ["update_user_profile"]);
        assert_eq!(pass(&test, &none).await, Vec::<&str>::new());
        let (_, last) = test.raw.get("/users/profile").await;
        assert_eq!(names(&last, "attributes"), [built_in.as_slice(), &["theirs".into()]].concat());
        assert_eq!(last["unmanagedAttributePolicy"], "ADMIN_VIEW", "a setting stays");
    })
    .await;
}

#[tokio::test]
async fn an_unknown_validator_is_told_of_in_keycloaks_words() {
    in_realm(|test| async move {
        let fields = json!({"displayName": "ML", "userProfile": {
            "attributes": [{"name": "team", "validations": {"no-such-validator": {}}}],
        }});
        let (_, before) = test.raw.get("/users/profile").await;
        let report = test.realm.reconcile_settings(&desired(&test, fields, 0, None)).await;
        let failures = failures(&report);
        assert!(failures.len() == 1 && failures[0].contains("no-such-validator"), "{failures:?}");
        assert_eq!(test.raw.get("/users/profile").await.1, before);
        assert_eq!(test.raw.get("").await.1["displayName"], "ML");
    })
    .await;
}
