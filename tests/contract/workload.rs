//! A workload from nothing to deletion, and its grants.

use std::collections::{BTreeMap, BTreeSet};

use keywire::core::claims::ClaimValue;
use keywire::core::desired::{DesiredWorkload, ScopeRef};
use keywire::core::diff::plan_delete_workload;
use keywire::keycloak::WorkloadKey;
use serde_json::json;
use uuid::Uuid;

use crate::keycloak::in_realm;

fn granting(workload: &DesiredWorkload, endpoint: &str, roles: &[&str]) -> DesiredWorkload {
    let roles: BTreeSet<_> = roles.iter().map(ToString::to_string).collect();
    DesiredWorkload { grants: BTreeMap::from([(endpoint.to_owned(), roles)]), ..workload.clone() }
}

#[tokio::test]
async fn a_workload_is_made_kept_and_deleted() {
    in_realm(|test| async move {
        let target = test.endpoint("resnet", &["predict", "read"]);
        test.realm.reconcile_endpoint(&target).await.unwrap();
        let desired = granting(&test.workload("labeler", &[&target]), &target.client_id, &["predict"]);
        let done = test.realm.reconcile_workload(&desired).await.unwrap();
        let kinds: Vec<_> = done.iter().map(|change| change.kind()).collect();
        assert_eq!(kinds, ["create_client", "map_roles"]);
        assert_eq!(test.realm.reconcile_workload(&desired).await.unwrap(), [], "converged");

        let (_, client) = test.raw.get(&format!("/clients/{}", desired.id)).await;
        assert_eq!(client["clientAuthenticatorType"], "federated-jwt");
        assert_eq!(client["fullScopeAllowed"], false);
        assert_eq!(client["standardFlowEnabled"], false);
        assert_eq!(client["attributes"]["jwt.credential.issuer"], "cluster");

        let observed = test.realm.observe_workload(&WorkloadKey::from(&desired)).await.unwrap();
        test.realm.apply(plan_delete_workload(&desired.owner, &observed)).await.unwrap();
        assert_eq!(test.raw.get(&format!("/clients/{}", desired.id)).await.0, 404);
    })
    .await;
}

#[tokio::test]
async fn a_grant_that_is_gone_is_a_mapping_that_is_gone() {
    in_realm(|test| async move {
        let (resnet, bert) = (test.endpoint("resnet", &["predict", "read"]), test.endpoint("bert", &["predict"]));
        test.realm.reconcile_endpoint(&resnet).await.unwrap();
        test.realm.reconcile_endpoint(&bert).await.unwrap();
        let plain = test.workload("labeler", &[&resnet, &bert]);
        let mut granted = granting(&plain, &resnet.client_id, &["predict", "read"]);
        granted.grants.insert(bert.client_id.clone(), BTreeSet::from(["predict".to_owned()]));
        test.realm.reconcile_workload(&granted).await.unwrap();

        let account = test.realm.get_service_account(&plain.id.to_string()).await.unwrap().id;
        let theirs = test.realm.find_client("account").await.unwrap().unwrap().reference().id;
        let role = test.realm.get_client_role(&theirs, "view-profile").await.unwrap();
        test.realm.map_client_roles(&account, &theirs, &[role]).await.unwrap();

        let less = granting(&plain, &resnet.client_id, &["read"]);
        let done = test.realm.reconcile_workload(&less).await.unwrap();
        let shown: Vec<_> = done.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "revoke predict on bert.vision.endpoint from labeler.agents.workload",
                "revoke predict on resnet.vision.endpoint from labeler.agents.workload",
            ]
        );
        let held = test.realm.list_role_mappings(&account).await.unwrap().client_mappings;
        let clients: Vec<_> = held.keys().map(String::as_str).collect();
        assert_eq!(clients, ["account", "resnet.vision.endpoint"], "what is not ours stays");
        assert_eq!(held["resnet.vision.endpoint"].mappings[0].name, "read");
        assert_eq!(test.realm.reconcile_workload(&less).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_with_a_url_is_known_as_ours_by_its_owner() {
    in_realm(|test| async move {
        let mut target = test.endpoint("mcp", &["execute"]);
        target.client_id = "https://mcp.example/mcp".into();
        target.scopes[0].audience = target.client_id.clone();
        test.realm.reconcile_endpoint(&target).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&target).await.unwrap(), []);
        let plain = test.workload("labeler", &[&target]);
        test.realm.reconcile_workload(&granting(&plain, &target.client_id, &["execute"])).await.unwrap();
        let done = test.realm.reconcile_workload(&plain).await.unwrap();
        assert_eq!(done.len(), 1, "{done:?}");
        assert_eq!(done[0].kind(), "unmap_roles");
        assert_eq!(test.realm.reconcile_workload(&plain).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn an_endpoint_that_was_made_anew_is_looked_up_anew() {
    in_realm(|test| async move {
        let target = test.endpoint("resnet", &["predict"]);
        test.realm.reconcile_endpoint(&target).await.unwrap();
        let desired = granting(&test.workload("labeler", &[&target]), &target.client_id, &["predict"]);
        test.realm.reconcile_workload(&desired).await.unwrap();
        // Behind our back: the role gets another id.
        let role = format!("/clients/{}/roles/predict", target.id);
        assert_eq!(test.raw.delete(&role).await.0, 204);
        assert_eq!(test.raw.post(&format!("/clients/{}/roles", target.id), &json!({"name": "predict"})).await.0, 201);
        let done = test.realm.reconcile_workload(&desired).await.unwrap();
        assert_eq!(done.len(), 1, "{done:?}");
        assert_eq!(test.realm.reconcile_workload(&desired).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn drift_of_scopes_and_flags_is_repaired() {
    in_realm(|test| async move {
        let target = test.endpoint("resnet", &["predict", "read"]);
        test.realm.reconcile_endpoint(&target).await.unwrap();
        let desired = test.workload("labeler", &[&target]);
        test.realm.reconcile_workload(&desired).await.unwrap();
        let client = format!("/clients/{}", desired.id);
        let (predict, read) = (target.scopes[0].id, target.scopes[1].id);
        // One of our scopes in every token, another one gone, and a built-in one moved.
        test.raw.delete(&format!("{client}/optional-client-scopes/{predict}")).await;
        test.raw.put(&format!("{client}/default-client-scopes/{predict}"), &json!({})).await;
        test.raw.delete(&format!("{client}/optional-client-scopes/{read}")).await;
        let (_, defaults) = test.raw.get(&format!("{client}/default-client-scopes")).await;
        let basic = defaults.as_array().unwrap().iter().find(|scope| scope["name"] == "basic").unwrap();
        let basic = basic["id"].as_str().unwrap();
        test.raw.delete(&format!("{client}/default-client-scopes/{basic}")).await;
        test.raw.put(&format!("{client}/optional-client-scopes/{basic}"), &json!({})).await;
        test.raw.put(&client, &json!({"publicClient": true, "enabled": false})).await;

        let done = test.realm.reconcile_workload(&desired).await.unwrap();
        assert_eq!(done.len(), 6, "{done:?}");
        assert_eq!(test.realm.reconcile_workload(&desired).await.unwrap(), [], "converged");
        let fewer = DesiredWorkload { optional_scopes: BTreeSet::from([target.scopes[1].reference()]), ..desired };
        let done = test.realm.reconcile_workload(&fewer).await.unwrap();
        assert_eq!(done.len(), 1, "{done:?}");
        assert_eq!(done[0].to_string(), "stop labeler.agents.workload asking for scope resnet.vision.endpoint:predict");
        assert_eq!(test.realm.reconcile_workload(&fewer).await.unwrap(), []);
    })
    .await;
}

/// Claims come and go with the identity, and what somebody else puts beside them goes.
#[tokio::test]
async fn claims_are_kept_as_the_clients_only_mappers() {
    in_realm(|test| async move {
        let text = |text: &str| ClaimValue::Text(text.to_owned());
        let claims = vec![
            ("data".to_owned(), ClaimValue::List(vec!["public".to_owned(), "o\"pen".to_owned()])),
            ("version".to_owned(), text("2")),
        ];
        let desired = DesiredWorkload { claims, ..test.workload("labeler", &[]) };
        assert_eq!(test.realm.reconcile_workload(&desired).await.unwrap().len(), 1);
        assert_eq!(test.realm.reconcile_workload(&desired).await.unwrap(), [], "converged");
        let changed = DesiredWorkload { claims: vec![("version".to_owned(), text("3"))], ..desired };
        assert_eq!(test.realm.reconcile_workload(&changed).await.unwrap().len(), 1);
        assert_eq!(test.realm.reconcile_workload(&changed).await.unwrap(), []);
        let mapper = json!({"name": "theirs", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "elsewhere", "access.token.claim": "true"}});
        let path = format!("/clients/{}/protocol-mappers/models", changed.id);
        assert_eq!(test.raw.post(&path, &mapper).await.0, 201);
        let done = test.realm.reconcile_workload(&changed).await.unwrap();
        assert_eq!(done.len(), 1, "{done:?}");
        let (_, left) = test.raw.get(&path).await;
        let names: Vec<_> = left.as_array().unwrap().iter().map(|mapper| &mapper["name"]).collect();
        assert_eq!(names, ["keywire claim version"]);
        let none = DesiredWorkload { claims: Vec::new(), ..changed };
        assert_eq!(test.realm.reconcile_workload(&none).await.unwrap().len(), 1);
        assert_eq!(test.realm.reconcile_workload(&none).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_scope_that_does_not_exist_is_an_error_and_not_silence() {
    in_realm(|test| async move {
        let mut desired = test.workload("labeler", &[]);
        desired.optional_scopes.insert(ScopeRef::new(Uuid::nil(), "nowhere.vision.endpoint:read"));
        let error = test.realm.reconcile_workload(&desired).await.unwrap_err();
        assert!(error.to_string().contains("nowhere.vision.endpoint:read"), "{error}");
        assert_eq!(test.raw.get(&format!("/clients/{}", desired.id)).await.0, 404, "nothing half-made is left");
    })
    .await;
}
