//! Realm roles, their composites, and the role that everybody has.

use keywire::core::desired::objects::{DesiredObjects, Section, default_role_name};
use keywire::core::diff::objects::FindingReason;
use serde_json::json;

use crate::keycloak::{in_realm, owner};
use crate::objects::{desired, only_finding, report, settle};

#[tokio::test]
async fn roles_with_composites_are_made_kept_and_emptied() {
    in_realm(|test| async move {
        let lists = json!({"defaultRoles": ["viewer"], "roles": [
            {"name": "viewer", "description": "May look", "attributes": {"team": ["vision", "text"]}},
            {"name": "lead", "composites": ["viewer", "offline_access"],
                "clientComposites": [{"client": "account", "role": "view-profile"}]}]});
        let wanted = desired(&test, "ml", lists);
        settle(&test, &wanted).await;
        let (_, role) = test.raw.get("/roles/viewer").await;
        assert_eq!(role["attributes"]["team"], json!(["vision", "text"]));
        let names = |list: &serde_json::Value| -> Vec<String> {
            let mut names: Vec<_> =
                list.as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap().to_owned()).collect();
            names.sort();
            names
        };
        assert_eq!(
            names(&test.raw.get("/roles/lead/composites").await.1),
            ["offline_access", "view-profile", "viewer"]
        );
        let everybody = format!("/roles/{}/composites", default_role_name(&test.name));
        let builtin = names(&test.raw.get(&everybody).await.1);
        assert!(builtin.contains(&"viewer".to_owned()) && builtin.contains(&"uma_authorization".to_owned()));

        // Someone clicks: a wider composite, an attribute, a default.
        let (_, found) = test.raw.get("/roles/uma_authorization").await;
        assert_eq!(test.raw.post("/roles/viewer/composites", &json!([found])).await.0, 204);
        let (_, lead) = test.raw.get("/roles/lead").await;
        assert_eq!(test.raw.post(&everybody, &json!([lead])).await.0, 204);
        let repaired = settle(&test, &wanted).await;
        assert_eq!(repaired, ["remove_roles", "remove_roles"], "and nothing else");

        let fewer = desired(&test, "ml", json!({"roles": [{"name": "lead"}]}));
        settle(&test, &fewer).await;
        assert_eq!(test.raw.get("/roles/viewer").await.0, 404);
        assert_eq!(test.raw.get("/roles/lead/composites").await.1, json!([]), "an emptied list empties Keycloak");
        settle(&test, &DesiredObjects::none(&test.name, owner("Realm", None, "ml"))).await;
        assert_eq!(test.raw.get("/roles/lead").await.0, 404);
        assert_eq!(test.raw.get("/roles/offline_access").await.0, 200, "others' stay");
    })
    .await;
}

#[tokio::test]
async fn keycloak_itself_takes_a_circle_of_composites() {
    in_realm(|test| async move {
        for name in ["a", "b"] {
            test.raw.post("/roles", &json!({"name": name})).await;
        }
        for (role, included) in [("a", "b"), ("b", "a")] {
            let (_, found) = test.raw.get(&format!("/roles/{included}")).await;
            assert_eq!(test.raw.post(&format!("/roles/{role}/composites"), &json!([found])).await.0, 204);
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict_and_the_others_go_on() {
    in_realm(|test| async move {
        test.raw.post("/roles", &json!({"name": "by-hand", "description": "theirs"})).await;
        let lists = || json!({"roles": [{"name": "by-hand"}, {"name": "ours"}]});
        let found = report(&test, &desired(&test, "ml", lists()), Section::Roles).await;
        let message = only_finding(&found, FindingReason::Conflict);
        assert!(message.contains("by-hand") && message.contains("rename, remove or adopt it"), "{message}");
        assert_eq!(test.raw.get("/roles/ours").await.0, 200, "one bad role does not hold up another");
        assert_eq!(test.raw.get("/roles/by-hand").await.1["description"], "theirs");

        // Another Realm object that lists the same role.
        let other = report(&test, &desired(&test, "other", json!({"roles": [{"name": "ours"}]})), Section::Roles).await;
        let message = only_finding(&other, FindingReason::Conflict);
        assert!(message.contains("belongs to Realm ml"), "{message}");
        settle(&test, &desired(&test, "other", json!({}))).await;
        assert_eq!(test.raw.get("/roles/ours").await.0, 200, "and its going takes nothing of the first");

        let mut adopting = lists();
        adopting["adopt"] = json!(true);
        settle(&test, &desired(&test, "ml", adopting)).await;
        assert_eq!(test.raw.get("/roles/by-hand").await.1["description"], "", "adopted");
    })
    .await;
}

#[tokio::test]
async fn a_role_that_does_not_exist_fails_alone() {
    in_realm(|test| async move {
        let lists = json!({"roles": [{"name": "a", "composites": ["nowhere"]}, {"name": "b", "composites": ["offline_access"]}]});
        let found = report(&test, &desired(&test, "ml", lists), Section::Roles).await;
        let [failure] = found.failures.as_slice() else { panic!("{found:?}") };
        let message = failure.to_string();
        assert!(message.contains("give nowhere to realm role a") && message.contains("not found"), "{message}");
        assert_eq!(test.raw.get("/roles/b/composites").await.1.as_array().unwrap().len(), 1);
    })
    .await;
}
