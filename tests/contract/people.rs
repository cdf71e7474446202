//! Grants to people: who holds the role of a grant, and what their tokens tell of it.

use std::collections::BTreeSet;

use keywire::core::desired::objects::GroupPath;
use keywire::core::desired::{ClientRole, DesiredEndpoint, PersonRoles};
use keywire::core::name::grant_role;
use keywire::core::person::Person;
use serde_json::{Value, json};

use crate::issuer::claims;
use crate::keycloak::{TestRealm, in_realm};

/// The endpoint with this grant besides, as it is built from objects.
fn granted(mut endpoint: DesiredEndpoint, grant: &str, permissions: &[&str], people: &[Person]) -> DesiredEndpoint {
    let role = grant_role(grant);
    endpoint.roles.push(ClientRole {
        name: role.clone(),
        description: format!("People of {grant}"),
        included_by: Some(people.iter().filter(|person| person.as_role().is_some()).cloned().collect()),
    });
    let of_grant = endpoint.scopes.iter_mut().filter(|scope| permissions.contains(&scope.role.as_str()));
    of_grant.for_each(|scope| {
        scope.grant_roles.insert(role.clone());
    });
    for person in people {
        let roles: BTreeSet<_> = permissions.iter().map(|name| (*name).to_owned()).chain([role.clone()]).collect();
        match endpoint.people.iter_mut().find(|held| held.person == *person) {
            Some(held) => held.roles.extend(roles),
            None => endpoint.people.push(PersonRoles { person: person.clone(), roles }),
        }
    }
    endpoint
}

fn user(name: &str) -> Person {
    Person::User(name.into())
}

async fn add_user(test: &TestRealm, name: &str) -> String {
    let body = json!({"username": name, "enabled": true, "email": format!("{name}@example.com"), "emailVerified": true,
        "firstName": "A", "lastName": "B",
        "credentials": [{"type": "password", "value": "only-for-this-test", "temporary": false}]});
    assert_eq!(test.raw.post("/users", &body).await.0, 201);
    let (_, found) = test.raw.get(&format!("/users?username={name}&exact=true")).await;
    found[0]["id"].as_str().unwrap().to_owned()
}

/// The client through which people come.
async fn add_client(test: &TestRealm, endpoint: &DesiredEndpoint) {
    let scopes: Vec<_> = endpoint.scopes.iter().map(|scope| &scope.name).collect();
    let cli = json!({"clientId": "cli", "protocol": "openid-connect", "publicClient": true, "directAccessGrantsEnabled": true,
        "standardFlowEnabled": false, "fullScopeAllowed": false, "defaultClientScopes": ["basic", "roles"],
        "optionalClientScopes": scopes});
    assert_eq!(test.raw.post("/clients", &cli).await.0, 201);
}

/// The endpoint's roles in a token for one of its scopes.
async fn roles(test: &TestRealm, endpoint: &DesiredEndpoint, name: &str, permission: &str) -> BTreeSet<String> {
    let scope = format!("{}:{permission}", endpoint.client_id);
    let form = [
        ("grant_type", "password"),
        ("client_id", "cli"),
        ("username", name),
        ("password", "only-for-this-test"),
        ("scope", scope.as_str()),
    ];
    let answer = crate::keycloak::http().post(test.realm.token_url()).form(&form).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let token = claims(answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")));
    let listed = token["resource_access"][&endpoint.client_id]["roles"].as_array().cloned().unwrap_or_default();
    listed.iter().map(|role| role.as_str().unwrap().to_owned()).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn a_token_tells_of_the_grant_and_of_the_one_permission() {
    in_realm(|test| async move {
        let (ann, _, _) = (add_user(&test, "ann").await, add_user(&test, "bob").await, add_user(&test, "eve").await);
        assert_eq!(test.raw.post("/groups", &json!({"name": "data-science"})).await.0, 201);
        let (_, group) = test.raw.get("/group-by-path/data-science").await;
        let cyd = add_user(&test, "cyd").await;
        let path = format!("/users/{cyd}/groups/{}", group["id"].as_str().unwrap());
        assert_eq!(test.raw.put(&path, &json!({})).await.0, 204);
        assert_eq!(test.raw.post("/roles", &json!({"name": "annotator"})).await.0, 201);
        let (_, role) = test.raw.get("/roles/annotator").await;
        let (_, bob) = test.raw.get("/users?username=bob&exact=true").await;
        let path = format!("/users/{}/role-mappings/realm", bob[0]["id"].as_str().unwrap());
        assert_eq!(test.raw.post(&path, &json!([role])).await.0, 204);

        let bare = test.endpoint("iris", &["predict", "read"]);
        let everybody = [
            user("ann"),
            Person::Group(GroupPath::parse("/data-science").unwrap()),
            Person::RealmRole("annotator".into()),
        ];
        let first = granted(bare.clone(), "labelers", &["predict", "read"], &everybody);
        test.realm.reconcile_endpoint(&first).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&first).await.unwrap(), [], "it holds, and is seen to");
        add_client(&test, &first).await;
        for name in ["ann", "bob", "cyd"] {
            let expected = set(&["predict", "grant.labelers"]);
            assert_eq!(roles(&test, &first, name, "predict").await, expected, "{name}: no wider than asked for");
        }
        assert_eq!(roles(&test, &first, "eve", "predict").await, set(&[]));

        // Each scope tells of the grants of its own permission.
        let second = granted(first.clone(), "readers", &["read"], &[user("ann")]);
        test.realm.reconcile_endpoint(&second).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&second).await.unwrap(), []);
        assert_eq!(roles(&test, &first, "ann", "predict").await, set(&["predict", "grant.labelers"]));
        assert_eq!(roles(&test, &first, "ann", "read").await, set(&["read", "grant.labelers", "grant.readers"]));

        // Of a grant that is gone nothing stays, and what others did is undone.
        let only = granted(bare.clone(), "readers", &["read"], &[user("ann")]);
        test.realm.reconcile_endpoint(&only).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&only).await.unwrap(), []);
        for name in ["ann", "bob", "cyd"] {
            assert_eq!(roles(&test, &first, name, "predict").await, set(&[]), "{name}");
        }
        let path = format!("/users/{ann}/role-mappings/clients/{}", only.id);
        let (_, held) = test.raw.get(&path).await;
        assert_eq!(test.raw.delete_with(&path, &held).await.0, 204);
        assert_eq!(test.realm.reconcile_endpoint(&only).await.unwrap().len(), 1);
        assert_eq!(roles(&test, &first, "ann", "read").await, set(&["read", "grant.readers"]));
        test.realm.reconcile_endpoint(&bare).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&bare).await.unwrap(), []);
        assert_eq!(roles(&test, &first, "ann", "read").await, set(&[]));
    })
    .await;
}

#[tokio::test]
async fn whom_the_realm_does_not_have_is_told_and_found_once_there() {
    in_realm(|test| async move {
        add_user(&test, "ann").await;
        let bare = test.endpoint("iris", &["predict"]);
        let path = GroupPath::parse("/no/such").unwrap();
        let nobody = [user("zed"), Person::Group(path), Person::RealmRole("no-such".into())];
        let wanted = [&nobody[..], &[user("ann")]].concat();
        let endpoint = granted(bare, "labelers", &["predict"], &wanted);
        let absent: BTreeSet<_> = nobody.into_iter().collect();
        // Made without a look, and looked at.
        test.realm.make(&endpoint).await.unwrap();
        assert_eq!(test.realm.absent_people(&endpoint.client_id), absent);
        assert_eq!(test.realm.reconcile_endpoint(&endpoint).await.unwrap(), []);
        assert_eq!(test.realm.absent_people(&endpoint.client_id), absent);
        assert_eq!(test.realm.endpoints_lacking_people(), std::slice::from_ref(&endpoint.client_id));
        add_client(&test, &endpoint).await;
        assert_eq!(roles(&test, &endpoint, "ann", "predict").await, set(&["predict", "grant.labelers"]));

        add_user(&test, "zed").await;
        assert_eq!(test.realm.reconcile_endpoint(&endpoint).await.unwrap().len(), 1);
        assert!(!test.realm.absent_people(&endpoint.client_id).contains(&user("zed")));
        assert_eq!(roles(&test, &endpoint, "zed", "predict").await, set(&["predict", "grant.labelers"]));
    })
    .await;
}
