//! Client scopes and their mappers.

use serde_json::json;

use crate::keycloak::in_realm;

#[tokio::test]
async fn id_and_mapper_ids_are_ours_to_choose() {
    in_realm(|test| async move {
        let desired = test.endpoint("resnet", &["predict"]);
        let wanted = desired.scopes[0].representation(&desired.owner);
        test.realm.create_client_scope(&wanted).await.unwrap();
        let found = test.realm.get_client_scope(&desired.scopes[0].id.to_string()).await.unwrap();
        assert_eq!(found, wanted, "nothing is added and nothing is lost");
        assert!(test.realm.create_client_scope(&wanted).await.is_err_and(|error| error.is_conflict()));
    })
    .await;
}

#[tokio::test]
async fn a_put_merges_and_ignores_mappers() {
    in_realm(|test| async move {
        let id = test.id("s");
        let body = json!({"id": id, "name": "s", "protocol": "openid-connect",
            "attributes": {"include.in.token.scope": "true", "theirs": "kept"},
            "protocolMappers": [{"id": test.id("m"), "name": "aud", "protocol": "openid-connect",
                "protocolMapper": "oidc-audience-mapper", "config": {"access.token.claim": "true"}}]});
        assert_eq!(test.raw.post("/client-scopes", &body).await.0, 201);
        let change = json!({"name": "t", "attributes": {"new": "1"}, "protocolMappers": []});
        assert_eq!(test.raw.put(&format!("/client-scopes/{id}"), &change).await.0, 204);
        assert_eq!(test.raw.put(&format!("/client-scopes/{id}"), &json!({"attributes": {}})).await.0, 500, "no name");
        let (_, scope) = test.raw.get(&format!("/client-scopes/{id}")).await;
        assert_eq!(scope["name"], "t");
        assert_eq!(scope["attributes"]["theirs"], "kept");
        assert_eq!(scope["attributes"]["new"], "1");
        assert_eq!(scope["protocolMappers"].as_array().unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_put_of_a_mapper_replaces_it() {
    in_realm(|test| async move {
        let id = test.id("s");
        let body = json!({"id": id, "name": "s", "protocol": "openid-connect",
            "protocolMappers": [{"id": test.id("m"), "name": "aud", "protocol": "openid-connect",
                "protocolMapper": "oidc-audience-mapper",
                "config": {"access.token.claim": "true", "included.custom.audience": "everything"}}]});
        assert_eq!(test.raw.post("/client-scopes", &body).await.0, 201);
        let mapper = json!({"id": test.id("m"), "name": "aud", "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper", "config": {"access.token.claim": "true"}});
        test.realm.update_mapper(&id, &serde_json::from_value(mapper).unwrap()).await.unwrap();
        let scope = test.realm.get_client_scope(&id).await.unwrap();
        assert!(!scope.protocol_mappers[0].config.contains_key("included.custom.audience"));
    })
    .await;
}
