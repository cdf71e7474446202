//! LDAP: a real directory, its people logging in, its groups, and a directory that is not there.

use keywire::core::desired::objects::{DesiredObjects, Section};
use keywire::core::diff::objects::FindingReason;
use serde_json::{Value, json};

use crate::issuer::claims;
use crate::keycloak::{TestRealm, in_realm};
use crate::objects::{desired, only_finding, report, secret, settle};

/// The directory under test and everybody's password in it.
fn directory() -> (String, String) {
    let variable = |name: &str| {
        std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start the directory with tests/env/ldap up"))
    };
    (variable("LDAP_URL"), variable("LDAP_PASSWORD"))
}

fn server(url: &str, version: &str, password: &str) -> Value {
    json!({"name": "corp", "connectionUrl": url, "usersDn": "ou=people,dc=corp,dc=example",
        "bind": {"dn": "cn=keycloak,dc=corp,dc=example", "password": secret(version, password)},
        "mappers": [{"name": "groups", "type": "group-ldap-mapper", "config": {
            "groups.dn": "ou=groups,dc=corp,dc=example", "group.name.ldap.attribute": "cn",
            "group.object.classes": "groupOfNames", "membership.ldap.attribute": "member",
            "membership.attribute.type": "DN", "membership.user.ldap.attribute": "uid", "mode": "READ_ONLY",
            "user.roles.retrieve.strategy": "LOAD_GROUPS_BY_MEMBER_ATTRIBUTE",
            "preserve.group.inheritance": "false", "drop.non.existing.groups.during.sync": "false"}}]})
}

fn with(test: &TestRealm, servers: Value) -> DesiredObjects {
    desired(test, "ml", json!({"userFederation": servers}))
}

async fn components(test: &TestRealm) -> Vec<Value> {
    let (_, found) = test.raw.get("/components?type=org.keycloak.storage.UserStorageProvider").await;
    found.as_array().unwrap().clone()
}

async fn log_in(test: &TestRealm, username: &str, password: &str) -> Value {
    let url = format!("{}realms/{}/protocol/openid-connect/token", test.keycloak.url, test.name);
    let form = [
        ("grant_type", "password"),
        ("client_id", "app"),
        ("username", username),
        ("password", password),
        ("scope", "openid"),
    ];
    crate::keycloak::http().post(url).form(&form).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn people_of_a_directory_log_in_and_bring_their_groups() {
    in_realm(|test| async move {
        let (url, password) = directory();
        let app = json!({"clientId": "app", "publicClient": true, "directAccessGrantsEnabled": true});
        assert_eq!(test.raw.post("/clients", &app).await.0, 201);
        settle(&test, &with(&test, json!([server(&url, "1", &password)]))).await;
        let answer = log_in(&test, "ada", &password).await;
        let token = claims(answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")));
        assert_eq!((&token["email"], &token["family_name"]), (&json!("ada@corp.example"), &json!("Lovelace")));
        assert!(log_in(&test, "ada", "wrong").await["access_token"].is_null());
        let (_, users) = test.raw.get("/users?username=ada&exact=true").await;
        let (_, groups) = test.raw.get(&format!("/users/{}/groups", users[0]["id"].as_str().unwrap())).await;
        assert_eq!(groups[0]["path"], "/data-science", "{groups}");
        let (_, users) = test.raw.get("/users?username=alan&exact=true").await;
        let (_, groups) = test.raw.get(&format!("/users/{}/groups", users[0]["id"].as_str().unwrap())).await;
        assert_eq!(groups, json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_server_is_made_once_kept_and_emptied() {
    in_realm(|test| async move {
        let (url, password) = directory();
        let theirs = json!({"name": "theirs", "providerId": "ldap",
            "providerType": "org.keycloak.storage.UserStorageProvider", "config": {"enabled": ["false"],
            "editMode": ["READ_ONLY"], "vendor": ["other"], "connectionUrl": ["ldap://127.0.0.1:9"], "usersDn": ["o=x"],
            "usernameLDAPAttribute": ["uid"], "rdnLDAPAttribute": ["uid"], "uuidLDAPAttribute": ["entryUUID"],
            "userObjectClasses": ["inetOrgPerson"], "authType": ["none"], "searchScope": ["1"]}});
        assert_eq!(test.raw.post("/components", &theirs).await.0, 201);
        let wanted = with(&test, json!([server(&url, "1", &password)]));
        settle(&test, &wanted).await;
        assert_eq!(components(&test).await.len(), 2);

        // Someone makes it writable; we put it back and keep the password that reads as asterisks.
        let corp = components(&test).await.into_iter().find(|found| found["name"] == "corp").unwrap();
        assert_eq!(corp["config"]["bindCredential"], json!(["**********"]));
        let mut changed = corp.clone();
        changed["config"]["editMode"] = json!(["WRITABLE"]);
        let path = format!("/components/{}", corp["id"].as_str().unwrap());
        assert_eq!(test.raw.put(&path, &changed).await.0, 204);
        assert_eq!(settle(&test, &wanted).await, ["update_component"]);
        let found = report(&test, &wanted, Section::UserFederation).await;
        assert!(found.findings.is_empty(), "it still logs in there: {found:?}");

        let mut other = server(&url, "1", &password);
        other["filter"] = json!("(uid=ada)");
        other["mappers"] = json!([{"name": "email", "type": "user-attribute-ldap-mapper", "config": {
            "ldap.attribute": "mail", "user.model.attribute": "email", "read.only": "true",
            "always.read.value.from.ldap": "true", "is.mandatory.in.ldap": "true"}}]);
        settle(&test, &with(&test, json!([other]))).await;
        let id = corp["id"].as_str().unwrap();
        let mappers = format!("/components?parent={id}&type=org.keycloak.storage.ldap.mappers.LDAPStorageMapper");
        let (_, mappers) = test.raw.get(&mappers).await;
        let named = |name: &str| mappers.as_array().unwrap().iter().filter(|mapper| mapper["name"] == name).count();
        assert_eq!((named("groups"), named("email"), named("username")), (0, 1, 1), "in the place of Keycloak's own");
        other = server(&url, "1", &password);
        settle(&test, &with(&test, json!([other]))).await;
        let corp = components(&test).await.into_iter().find(|found| found["name"] == "corp").unwrap();
        assert_eq!(corp["config"]["customUserSearchFilter"], json!(null), "an emptied field empties Keycloak");

        settle(&test, &with(&test, json!([]))).await;
        let left = components(&test).await;
        assert_eq!(left.iter().map(|found| found["name"].as_str().unwrap()).collect::<Vec<_>>(), ["theirs"]);
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_does_not_answer_is_a_warning_and_deletes_nothing() {
    in_realm(|test| async move {
        let (url, password) = directory();
        settle(&test, &with(&test, json!([server(&url, "1", &password)]))).await;
        let down = with(&test, json!([server("ldap://127.0.0.1:9", "1", &password)]));
        let found = report(&test, &down, Section::UserFederation).await;
        let message = only_finding(&found, FindingReason::Unreachable);
        assert!(message.contains("user federation corp") && message.contains("check connectionUrl"), "{message}");
        assert!(found.is_good() && components(&test).await.len() == 1);
        // A wrong password is noticed as well, and a new version of the Secret mends it.
        settle_with(&test, &url, "2", "wrong", Some(FindingReason::Unreachable)).await;
        settle_with(&test, &url, "3", &password, None).await;
    })
    .await;
}

async fn settle_with(test: &TestRealm, url: &str, version: &str, password: &str, finding: Option<FindingReason>) {
    let wanted = with(test, json!([server(url, version, password)]));
    let found = report(test, &wanted, Section::UserFederation).await;
    assert_eq!(found.findings.first().map(|finding| finding.reason), finding, "{found:?}");
    assert!(!format!("{found:?}").contains(password), "no password in a report");
}

#[tokio::test]
async fn unknown_mapper_types_and_taken_names_are_refused() {
    in_realm(|test| async move {
        let (url, password) = directory();
        let mut wrong = server(&url, "1", &password);
        wrong["mappers"][0]["type"] = json!("nonsense-ldap-mapper");
        let found = report(&test, &with(&test, json!([wrong])), Section::UserFederation).await;
        assert!(only_finding(&found, FindingReason::UnknownType).contains("nonsense-ldap-mapper"));
        assert!(components(&test).await.is_empty());

        settle(&test, &desired(&test, "other", json!({"userFederation": [server(&url, "1", &password)]}))).await;
        let found = report(&test, &with(&test, json!([server(&url, "1", &password)])), Section::UserFederation).await;
        assert!(only_finding(&found, FindingReason::Conflict).contains("user federation corp"));
        assert_eq!(components(&test).await.len(), 1, "no second one");
        settle(&test, &with(&test, json!([]))).await;
        assert_eq!(components(&test).await.len(), 1, "and the other's stays");
    })
    .await;
}
