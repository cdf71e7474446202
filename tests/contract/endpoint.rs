//! An endpoint from nothing to deletion.

use keywire::core::desired::DesiredEndpoint;
use keywire::core::diff::{Conflict, plan_delete_endpoint};
use keywire::keycloak::{EndpointKey, ReconcileError};
use serde_json::json;

use crate::keycloak::{in_realm, owner};

#[tokio::test]
async fn an_endpoint_is_made_kept_and_deleted() {
    in_realm(|test| async move {
        let desired = test.endpoint("resnet", &["predict", "read"]);
        let done = test.realm.reconcile_endpoint(&desired).await.unwrap();
        assert_eq!(done.len(), 1 + 2 + 4, "{done:?}");
        assert_eq!(test.realm.reconcile_endpoint(&desired).await.unwrap(), [], "converged");

        let (_, client) = test.raw.get(&format!("/clients/{}", desired.id)).await;
        for flow in
            ["standardFlowEnabled", "implicitFlowEnabled", "directAccessGrantsEnabled", "serviceAccountsEnabled"]
        {
            assert_eq!(client[flow], false, "{flow}");
        }
        assert_eq!(client["publicClient"], false);
        assert_eq!(client["fullScopeAllowed"], false);
        assert_eq!(client["defaultClientScopes"], json!([]));

        let observed = test.realm.observe_endpoint(&EndpointKey::from(&desired)).await.unwrap();
        let stranger = owner("ModelEndpoint", Some("vision"), "another");
        assert!(plan_delete_endpoint(&stranger, &observed).is_empty());
        // Scopes are found by the roles alone: a deleted object no longer says which permissions it had.
        let key = EndpointKey { permissions: Default::default(), ..EndpointKey::from(&desired) };
        let observed = test.realm.observe_endpoint(&key).await.unwrap();
        test.realm.apply(plan_delete_endpoint(&desired.owner, &observed)).await.unwrap();
        assert_eq!(test.raw.get(&format!("/clients/{}", desired.id)).await.0, 404);
        let left = test.realm.list_client_scopes().await.unwrap();
        assert!(left.iter().all(|scope| scope.owner().is_none()), "{left:?}");
    })
    .await;
}

#[tokio::test]
async fn drift_is_repaired_and_what_others_added_stays() {
    in_realm(|test| async move {
        let desired = test.endpoint("resnet", &["predict", "read"]);
        test.realm.reconcile_endpoint(&desired).await.unwrap();
        let (client, scope) = (format!("/clients/{}", desired.id), format!("/client-scopes/{}", desired.scopes[0].id));
        let flags = json!({"publicClient": true, "fullScopeAllowed": true, "redirectUris": ["https://evil.example/*"]});
        assert_eq!(test.raw.put(&client, &flags).await.0, 204);
        test.raw.put(&client, &json!({"attributes": {"theirs": "kept"}})).await;
        test.raw.post(&format!("{client}/roles"), &json!({"name": "theirs"})).await;
        test.raw.delete(&format!("{client}/roles/read")).await;
        let mapper = json!({"name": "more", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "everything", "access.token.claim": "true"}});
        assert_eq!(test.raw.post(&format!("{scope}/protocol-mappers/models"), &mapper).await.0, 201);
        let others = json!([{"name": "theirs"}]);
        test.raw.post(&format!("{scope}/scope-mappings/clients/{}", desired.id), &others).await;

        let done = test.realm.reconcile_endpoint(&desired).await.unwrap();
        let kinds: Vec<_> = done.iter().map(|change| change.kind()).collect();
        let expected =
            ["update_client", "create_client_role", "delete_scope_mapper", "remove_scope_mapping", "add_scope_mapping"];
        assert_eq!(kinds, expected);
        assert_eq!(test.realm.reconcile_endpoint(&desired).await.unwrap(), [], "converged");
        let (_, after) = test.raw.get(&client).await;
        assert_eq!(after["attributes"]["theirs"], "kept");
        assert_eq!(test.raw.get(&format!("{client}/roles/theirs")).await.0, 200);
    })
    .await;
}

#[tokio::test]
async fn permissions_come_and_go() {
    in_realm(|test| async move {
        test.realm.reconcile_endpoint(&test.endpoint("resnet", &["predict", "read"])).await.unwrap();
        let desired = test.endpoint("resnet", &["read", "train"]);
        let done = test.realm.reconcile_endpoint(&desired).await.unwrap();
        let shown: Vec<_> = done.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "delete client scope resnet.vision.endpoint:predict",
                "delete client role predict on resnet.vision.endpoint",
                "create client role train on resnet.vision.endpoint",
                "create client scope resnet.vision.endpoint:train",
                "bind client scope resnet.vision.endpoint:train to train of resnet.vision.endpoint",
            ]
        );
        assert_eq!(test.realm.reconcile_endpoint(&desired).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_client_of_the_same_name_is_untouched_unless_adopted() {
    in_realm(|test| async move {
        let (theirs_id, scope_id) = (test.id("theirs"), test.id("s"));
        let path = format!("/clients/{theirs_id}");
        let theirs = json!({"id": theirs_id, "clientId": "resnet.vision.endpoint", "name": "by hand",
            "redirectUris": ["https://app.example/*"], "attributes": {"theirs": "kept"}});
        assert_eq!(test.raw.post("/clients", &theirs).await.0, 201);
        let scope = json!({"id": scope_id, "name": "resnet.vision.endpoint:read", "protocol": "openid-connect"});
        assert_eq!(test.raw.post("/client-scopes", &scope).await.0, 201);
        let (_, before) = test.raw.get(&path).await;
        let desired = test.endpoint("resnet", &["read"]);
        let error = test.realm.reconcile_endpoint(&desired).await.unwrap_err();
        let ReconcileError::Conflict(Conflict::Unowned { id, .. }) = &error else { panic!("{error}") };
        assert_eq!(*id, theirs_id);
        assert_eq!(test.raw.get(&path).await.1, before, "not one field changed");

        let desired = DesiredEndpoint { adopt: true, ..desired };
        test.realm.reconcile_endpoint(&desired).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&desired).await.unwrap(), []);
        let (_, after) = test.raw.get(&path).await;
        assert_eq!(after["redirectUris"], json!([]));
        assert_eq!(after["attributes"]["theirs"], "kept");
        assert_eq!(test.raw.get(&format!("/clients/{}", desired.id)).await.0, 404, "no second client");
        assert_eq!(
            test.raw.get(&format!("/client-scopes/{scope_id}")).await.1["protocolMappers"][0]["name"],
            "audience"
        );
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_is_outdated_is_made_again() {
    in_realm(|test| async move {
        let desired = test.endpoint("resnet", &["read"]);
        // As after a creation whose answer was lost.
        test.realm.create_client(&desired.client()).await.unwrap();
        let role = desired.role(&desired.roles[0]);
        test.realm.create_client_role(&desired.id.to_string(), &role).await.unwrap();
        let (one, two) = tokio::join!(test.realm.reconcile_endpoint(&desired), test.realm.reconcile_endpoint(&desired));
        assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
        assert_eq!(test.realm.reconcile_endpoint(&desired).await.unwrap(), []);
    })
    .await;
}
