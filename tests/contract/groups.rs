//! Groups: a tree that is read in pages, owned by an attribute, and that never loses anybody.

use keywire::core::desired::objects::Section;
use keywire::core::diff::objects::FindingReason;
use serde_json::{Value, json};

use crate::keycloak::{TestRealm, in_realm};
use crate::objects::{desired, only_finding, report, settle};

async fn group(test: &TestRealm, path: &str) -> Option<Value> {
    let (status, found) = test.raw.get(&format!("/group-by-path{}", path.replace(' ', "%20"))).await;
    (status == 200).then_some(found)
}

async fn role_names(test: &TestRealm, group: &Value) -> Vec<String> {
    let id = group["id"].as_str().unwrap();
    let (_, mappings) = test.raw.get(&format!("/groups/{id}/role-mappings")).await;
    let realm = mappings["realmMappings"].as_array().cloned().unwrap_or_default();
    let account = mappings["clientMappings"]["account"]["mappings"].as_array().cloned().unwrap_or_default();
    realm.iter().chain(&account).map(|role| role["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_tree_is_made_kept_and_emptied() {
    in_realm(|test| async move {
        let lists = json!({"roles": [{"name": "viewer"}], "defaultGroups": ["/everyone"], "groups": [
            {"path": "/data science/nlp", "realmRoles": ["viewer"],
                "clientRoles": [{"client": "account", "role": "view-profile"}]},
            {"path": "/data science", "attributes": {"cost": ["42"]}},
            {"path": "/everyone"}]});
        let wanted = desired(&test, "ml", lists);
        settle(&test, &wanted).await;
        let nlp = group(&test, "/data science/nlp").await.unwrap();
        assert_eq!(role_names(&test, &nlp).await, ["viewer", "view-profile"]);
        assert_eq!(group(&test, "/data science").await.unwrap()["attributes"]["cost"], json!(["42"]));
        assert_eq!(test.raw.get("/default-groups").await.1[0]["path"], "/everyone");

        // Someone clicks.
        let (_, admin) = test.raw.get("/roles/offline_access").await;
        let id = nlp["id"].as_str().unwrap();
        assert_eq!(test.raw.post(&format!("/groups/{id}/role-mappings/realm"), &json!([admin])).await.0, 204);
        test.raw.put(&format!("/groups/{id}"), &json!({"name": "nlp", "attributes": {"theirs": ["1"]}})).await;
        let found = report(&test, &wanted, Section::Groups).await;
        let message = only_finding(&found, FindingReason::Conflict);
        assert!(message.contains("/data science/nlp"), "without its mark it is not known to be ours: {message}");
        let mut adopting = wanted.clone();
        adopting.adopt = true;
        assert_eq!(settle(&test, &adopting).await, ["update_group", "remove_roles"]);
        assert_eq!(role_names(&test, &nlp).await, ["viewer", "view-profile"]);

        settle(&test, &desired(&test, "ml", json!({"roles": [{"name": "viewer"}], "groups": [{"path": "/everyone"}]})))
            .await;
        assert!(group(&test, "/data science").await.is_none());
        assert_eq!(test.raw.get("/default-groups").await.1, json!([]));
        settle(&test, &desired(&test, "ml", json!({}))).await;
        assert_eq!(test.raw.get("/groups").await.1, json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_group_with_members_or_others_groups_stays_without_roles() {
    in_realm(|test| async move {
        let lists =
            json!({"groups": [{"path": "/a"}, {"path": "/a/b", "realmRoles": ["offline_access"]}, {"path": "/c"}]});
        settle(&test, &desired(&test, "ml", lists)).await;
        test.raw.post("/users", &json!({"username": "somebody", "enabled": true, "groups": ["/a/b"]})).await;
        let c = group(&test, "/c").await.unwrap();
        let path = format!("/groups/{}/children", c["id"].as_str().unwrap());
        assert_eq!(test.raw.post(&path, &json!({"name": "theirs"})).await.0, 201);

        let nothing = desired(&test, "ml", json!({}));
        let found = report(&test, &nothing, Section::Groups).await;
        assert!(found.is_good() && found.failures.is_empty(), "a warning: {found:?}");
        let messages: Vec<_> = found.findings.iter().map(|finding| finding.message.as_str()).collect();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(messages.iter().any(|message| message.contains("/a/b is no longer listed but has members")));
        assert!(messages.iter().any(|message| message.contains("/c is no longer listed but has groups in it")));
        let kept = group(&test, "/a/b").await.unwrap();
        assert!(role_names(&test, &kept).await.is_empty(), "it gives nobody anything");
        assert!(group(&test, "/c/theirs").await.is_some());
        assert!(report(&test, &nothing, Section::Groups).await.done.is_empty(), "converged");

        let (_, users) = test.raw.get("/users?username=somebody").await;
        test.raw.delete(&format!("/users/{}", users[0]["id"].as_str().unwrap())).await;
        let theirs = group(&test, "/c/theirs").await.unwrap();
        test.raw.delete(&format!("/groups/{}", theirs["id"].as_str().unwrap())).await;
        settle(&test, &nothing).await;
        assert_eq!(test.raw.get("/groups").await.1, json!([]));
    })
    .await;
}

#[tokio::test]
async fn more_children_than_a_page_are_seen() {
    in_realm(|test| async move {
        let paths = (0..105).map(|index| json!({"path": format!("/many/g{index:03}")}));
        let groups: Vec<_> = [json!({"path": "/many"})].into_iter().chain(paths).collect();
        settle(&test, &desired(&test, "ml", json!({"groups": groups}))).await;
        settle(&test, &desired(&test, "ml", json!({}))).await;
        // Not as the test's administrator, whose login lives for a minute.
        assert_eq!(test.realm.list_groups(None).await.unwrap(), []);
    })
    .await;
}
