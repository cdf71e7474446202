//! Roles: attributes, replacing, and pages.

use keywire::core::desired::representation::RoleRepresentation;
use serde_json::json;

use crate::keycloak::{in_realm, owner};

#[tokio::test]
async fn a_role_carries_its_owner_from_the_start() {
    in_realm(|test| async move {
        let id = test.id("c");
        test.raw.post("/clients", &json!({"id": id, "clientId": "c"})).await;
        let owner = owner("ModelEndpoint", Some("vision"), "resnet");
        let role = RoleRepresentation::owned("predict", "May predict", &owner);
        test.realm.create_client_role(&id, &role).await.unwrap();
        let roles = test.realm.list_client_roles(&id).await.unwrap();
        assert_eq!(roles[0].owner(), Some(owner));
        assert_eq!(roles[0].description, "May predict");
        assert!(test.realm.create_client_role(&id, &role).await.is_err_and(|error| error.is_conflict()));
        let (_, brief) = test.raw.get(&format!("/clients/{id}/roles")).await;
        assert!(brief[0].get("attributes").is_none(), "the brief list has no attributes: never ask for it");
    })
    .await;
}

#[tokio::test]
async fn a_put_replaces_description_and_attributes() {
    in_realm(|test| async move {
        let body = json!({"name": "r", "description": "old", "attributes": {"a": ["1"]}});
        assert_eq!(test.raw.post("/roles", &body).await.0, 201);
        assert_eq!(test.raw.put("/roles/r", &json!({"name": "r", "attributes": {"b": ["2"]}})).await.0, 204);
        let (_, role) = test.raw.get("/roles/r").await;
        assert!(role.get("description").is_none());
        assert_eq!(role["attributes"], json!({"b": ["2"]}));
    })
    .await;
}

#[tokio::test]
async fn long_lists_are_read_in_pages() {
    in_realm(|test| async move {
        let id = test.id("c");
        test.raw.post("/clients", &json!({"id": id, "clientId": "c"})).await;
        for number in 0..205 {
            let role = json!({"name": format!("role-{number:03}")});
            let (status, _) = test.raw.post(&format!("/clients/{id}/roles"), &role).await;
            assert_eq!(status, 201);
        }
        let roles = test.realm.list_client_roles(&id).await.unwrap();
        let names: std::collections::BTreeSet<_> = roles.iter().map(|role| &role.name).collect();
        assert_eq!((roles.len(), names.len()), (205, 205));
    })
    .await;
}
