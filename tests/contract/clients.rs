//! Clients: ids, defaults, and what a PUT does.

use keywire::core::desired::representation::{ClientRepresentation, ClientSettings};
use serde_json::json;

use crate::keycloak::in_realm;

#[tokio::test]
async fn the_id_is_ours_to_choose_and_taken_once() {
    in_realm(|test| async move {
        let id = test.id("one");
        assert_eq!(test.raw.post("/clients", &json!({"id": id, "clientId": "one"})).await.0, 201);
        assert_eq!(test.raw.get(&format!("/clients/{id}")).await.1["clientId"], "one");
        assert_eq!(test.raw.post("/clients", &json!({"id": id, "clientId": "two"})).await.0, 409);
        assert_eq!(test.raw.post("/clients", &json!({"clientId": "one"})).await.0, 409);
        let settings = ClientSettings::closed("one", "");
        let error = test.realm.create_client(&ClientRepresentation { settings, ..Default::default() }).await;
        assert!(error.is_err_and(|error| error.is_conflict()));
    })
    .await;
}

#[tokio::test]
async fn defaults_depend_on_the_protocol_so_every_flag_is_sent() {
    in_realm(|test| async move {
        let (with, without) = (test.id("with"), test.id("without"));
        for (id, body, is_public) in [
            (&with, json!({"id": with, "clientId": "with", "protocol": "openid-connect"}), true),
            (&without, json!({"id": without, "clientId": "without"}), false),
        ] {
            assert_eq!(test.raw.post("/clients", &body).await.0, 201);
            let (_, client) = test.raw.get(&format!("/clients/{id}")).await;
            assert_eq!(client["publicClient"], is_public, "{client}");
            assert_eq!(client["directAccessGrantsEnabled"], is_public, "{client}");
            assert_eq!(client["fullScopeAllowed"], true, "{client}");
        }
    })
    .await;
}

#[tokio::test]
async fn scopes_that_do_not_exist_are_dropped_without_a_word() {
    in_realm(|test| async move {
        let id = test.id("c");
        let client = format!("/clients/{id}");
        let body = json!({"id": id, "clientId": "c", "protocol": "openid-connect",
            "defaultClientScopes": ["basic", "nowhere"], "optionalClientScopes": ["nothing"]});
        assert_eq!(test.raw.post("/clients", &body).await.0, 201);
        let (_, client) = test.raw.get(&client).await;
        assert_eq!(client["defaultClientScopes"], json!(["basic"]));
        assert_eq!(client["optionalClientScopes"], json!([]));
    })
    .await;
}

#[tokio::test]
async fn a_put_merges_fields_and_attributes_and_ignores_scopes() {
    in_realm(|test| async move {
        let id = test.id("c");
        let client = format!("/clients/{id}");
        let body = json!({"id": id, "clientId": "c", "protocol": "openid-connect", "publicClient": false,
            "name": "before", "redirectUris": ["https://a.example/*"], "attributes": {"kept": "1", "gone": "2"},
            "defaultClientScopes": ["basic"], "optionalClientScopes": []});
        assert_eq!(test.raw.post("/clients", &body).await.0, 201);
        let change = json!({"enabled": false, "redirectUris": [], "attributes": {"gone": "", "new": "3"},
            "defaultClientScopes": ["basic", "roles"]});
        assert_eq!(test.raw.put(&client, &change).await.0, 204);
        let (_, client) = test.raw.get(&client).await;
        assert_eq!(client["name"], "before");
        assert_eq!(client["enabled"], false);
        assert_eq!(client["publicClient"], false);
        assert_eq!(client["redirectUris"], json!([]));
        assert_eq!(client["defaultClientScopes"], json!(["basic"]));
        assert_eq!(client["attributes"]["kept"], "1");
        assert_eq!(client["attributes"]["new"], "3");
        assert!(client["attributes"].get("gone").is_none());
    })
    .await;
}

#[tokio::test]
async fn a_scope_in_the_one_list_is_not_moved_to_the_other() {
    in_realm(|test| async move {
        let id = test.id("c");
        let client = format!("/clients/{id}");
        let body = json!({"id": id, "clientId": "c", "protocol": "openid-connect",
            "defaultClientScopes": ["basic"], "optionalClientScopes": []});
        assert_eq!(test.raw.post("/clients", &body).await.0, 201);
        let (_, scopes) = test.raw.get(&format!("{client}/default-client-scopes")).await;
        let scope = scopes[0]["id"].as_str().unwrap();
        assert_eq!(test.raw.put(&format!("{client}/optional-client-scopes/{scope}"), &json!({})).await.0, 204);
        assert_eq!(test.raw.get(&client).await.1["optionalClientScopes"], json!([]));
        assert_eq!(test.raw.delete(&format!("{client}/default-client-scopes/{scope}")).await.0, 204);
        assert_eq!(test.raw.put(&format!("{client}/optional-client-scopes/{scope}"), &json!({})).await.0, 204);
        assert_eq!(test.raw.get(&client).await.1["optionalClientScopes"], json!(["basic"]));
    })
    .await;
}

#[tokio::test]
async fn parallel_changes_of_one_client_all_arrive() {
    in_realm(|test| async move {
        let id = test.id("c");
        let client = format!("/clients/{id}");
        assert_eq!(test.raw.post("/clients", &json!({"id": id, "clientId": "c"})).await.0, 201);
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let (realm, id) = (test.realm.clone(), id.clone());
            writers.spawn(async move {
                let uris: Vec<_> = (0..3).map(|n| format!("https://{writer}.example/{n}")).collect();
                let key = format!("writer-{writer}");
                realm.update_client(&id, &json!({"redirectUris": uris, "attributes": {key: "was here"}})).await
            });
        }
        while let Some(result) = writers.join_next().await {
            result.unwrap().expect("no writer gets in another's way");
        }
        let (_, client) = test.raw.get(&client).await;
        assert_eq!(client["redirectUris"].as_array().unwrap().len(), 3, "the last writer's, not a union");
        for writer in 0..8 {
            assert_eq!(client["attributes"][format!("writer-{writer}")], "was here");
        }
    })
    .await;
}

#[tokio::test]
async fn an_id_is_taken_in_the_whole_server_and_not_only_in_a_realm() {
    in_realm(|test| async move {
        let client = json!({"id": test.id("c"), "clientId": "c"});
        assert_eq!(test.raw.post("/clients", &client).await.0, 201);
        let other = test.clone();
        in_realm(|test| async move {
            assert_eq!(test.raw.post("/clients", &client).await.0, 409, "so the realm is a part of every id");
            let found = test.realm.get_client(&other.id("c")).await;
            assert!(found.is_err_and(|error| error.is_not_found()), "and is not seen from another realm");
        })
        .await;
    })
    .await;
}
