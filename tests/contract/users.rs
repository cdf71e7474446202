//! Users for development.

use keywire::core::desired::objects::{DesiredObjects, Section};
use keywire::core::diff::objects::FindingReason;
use serde_json::{Value, json};

use crate::keycloak::{TestRealm, in_realm};
use crate::objects::{desired, only_finding, report, secret, settle};

fn with(test: &TestRealm, users: Value) -> DesiredObjects {
    let groups = json!([{"path": "/team"}, {"path": "/others"}, {"path": "/everyone"}]);
    let lists =
        json!({"roles": [{"name": "viewer"}], "groups": groups, "defaultGroups": ["/everyone"], "users": users});
    desired(test, "ml", lists)
}

fn dev(version: &str, password: &str) -> Value {
    json!({"username": "dev", "email": "dev@corp.example", "firstName": "Dev", "lastName": "Eloper",
        "password": secret(version, password), "groups": ["/team"], "realmRoles": ["viewer"],
        "clientRoles": [{"client": "account", "role": "view-groups"}]})
}

async fn can_log_in(test: &TestRealm, password: &str) -> bool {
    let url = format!("{}realms/{}/protocol/openid-connect/token", test.keycloak.url, test.name);
    let form = [("grant_type", "password"), ("client_id", "app"), ("username", "dev"), ("password", password)];
    crate::keycloak::http().post(url).form(&form).send().await.unwrap().status().is_success()
}

async fn found(test: &TestRealm) -> Value {
    test.raw.get("/users?username=dev&exact=true").await.1[0].clone()
}

#[tokio::test]
async fn a_user_is_made_kept_and_removed() {
    in_realm(|test| async move {
        let app = json!({"clientId": "app", "publicClient": true, "directAccessGrantsEnabled": true});
        assert_eq!(test.raw.post("/clients", &app).await.0, 201);
        settle(&test, &with(&test, json!([dev("1", "first-password")]))).await;
        assert!(can_log_in(&test, "first-password").await);
        let user = found(&test).await;
        let path = format!("/users/{}", user["id"].as_str().unwrap());

        // The user chooses another password, and somebody gives more than is listed.
        let own = json!({"type": "password", "temporary": false, "value": "the-users-own"});
        test.raw.put(&format!("{path}/reset-password"), &own).await;
        let (_, role) = test.raw.get("/roles/offline_access").await;
        test.raw.post(&format!("{path}/role-mappings/realm"), &json!([role])).await;
        let (_, others) = test.raw.get("/group-by-path/others").await;
        test.raw.put(&format!("{path}/groups/{}", others["id"].as_str().unwrap()), &json!({})).await;
        let repaired = settle(&test, &with(&test, json!([dev("1", "first-password")]))).await;
        assert_eq!(repaired, ["leave_group", "remove_roles"]);
        assert!(can_log_in(&test, "the-users-own").await, "never set again for the same version");

        let mut renamed = dev("2", "second-password");
        renamed["lastName"] = json!("Renamed");
        settle(&test, &with(&test, json!([renamed]))).await;
        assert!(can_log_in(&test, "second-password").await);
        let user = found(&test).await;
        assert_eq!(
            (&user["email"], &user["firstName"], &user["lastName"]),
            (&json!("dev@corp.example"), &json!("Dev"), &json!("Renamed"))
        );
        let (_, groups) = test.raw.get(&format!("{path}/groups")).await;
        let mut paths: Vec<_> =
            groups.as_array().unwrap().iter().map(|group| group["path"].as_str().unwrap()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["/everyone", "/keywire-users-ml", "/team"], "what new users get stays");

        test.raw.post("/users", &json!({"username": "theirs", "enabled": true})).await;
        settle(&test, &with(&test, json!([]))).await;
        let (_, left) = test.raw.get("/users").await;
        let names: Vec<_> = left.as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap()).collect();
        assert_eq!(names, ["theirs"]);
        assert_eq!(test.raw.get("/group-by-path/keywire-users-ml").await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn a_put_with_attributes_wipes_what_it_leaves_out() {
    in_realm(|test| async move {
        let user = json!({"username": "dev", "email": "dev@corp.example", "firstName": "Dev", "enabled": true,
            "attributes": {"team": ["vision"]}});
        assert_eq!(test.raw.post("/users", &user).await.0, 201);
        let user = found(&test).await;
        assert_eq!(user["attributes"], json!(null), "outside the profile: gone without a word");
        let path = format!("/users/{}", user["id"].as_str().unwrap());
        assert_eq!(test.raw.put(&path, &json!({"username": "dev", "attributes": {}})).await.0, 204);
        let user = found(&test).await;
        assert_eq!((&user["email"], &user["firstName"]), (&json!(null), &json!(null)));
    })
    .await;
}

#[tokio::test]
async fn attributes_outside_the_profile_are_a_warning() {
    in_realm(|test| async move {
        let mut user = dev("1", "first-password");
        user["attributes"] = json!({"team": ["vision"]});
        let wanted = with(&test, json!([user]));
        let outcome = report(&test, &wanted, Section::Users).await;
        let message = only_finding(&outcome, FindingReason::AttributesDropped);
        assert!(message.contains("team") && message.contains("add them to the profile"), "{message}");
        assert!(outcome.is_good() && report(&test, &wanted, Section::Users).await.done.is_empty(), "converged");

        let (_, mut profile) = test.raw.get("/users/profile").await;
        profile["unmanagedAttributePolicy"] = json!("ADMIN_EDIT");
        assert_eq!(test.raw.put("/users/profile", &profile).await.0, 200);
        settle(&test, &wanted).await;
        assert_eq!(found(&test).await["attributes"]["team"], json!(["vision"]));
    })
    .await;
}

#[tokio::test]
async fn a_name_that_is_taken_and_a_refused_password_are_told() {
    in_realm(|test| async move {
        test.raw.post("/users", &json!({"username": "dev", "enabled": true, "firstName": "Theirs"})).await;
        let mut other = dev("1", "short");
        other["username"] = json!("other");
        other["email"] = json!("other@corp.example");
        let (_, mut realm) = test.raw.get("").await;
        realm["passwordPolicy"] = json!("length(12)");
        test.raw.put("", &realm).await;
        let outcome = report(&test, &with(&test, json!([dev("1", "a-long-password"), other])), Section::Users).await;
        let [finding] = outcome.findings.as_slice() else { panic!("{outcome:?}") };
        assert!(finding.message.contains("user dev") && finding.message.contains("adopt it"), "{finding:?}");
        let [failure] = outcome.failures.as_slice() else { panic!("{outcome:?}") };
        let message = failure.to_string();
        assert!(message.contains("set the password of user other") && !message.contains("short"), "{message}");
        assert_eq!(found(&test).await["firstName"], "Theirs");
    })
    .await;
}
