//! What a weak account may do, and what it is told.

use keywire::keycloak::{ApiError, WorkloadKey};

use crate::keycloak::in_realm;

#[tokio::test]
async fn a_missing_right_is_named() {
    in_realm(|test| async move {
        let target = test.endpoint("resnet", &["read"]);
        test.realm.reconcile_endpoint(&target).await.unwrap();

        let viewer = test.operator_with(&["view-clients"]).await;
        let error = viewer.reconcile_endpoint(&test.endpoint("bert", &["read"])).await.unwrap_err().to_string();
        assert!(error.contains("role manage-clients") && error.contains("create client bert"), "{error}");

        let no_users = test.operator_with(&["manage-clients"]).await;
        let mut desired = test.workload("labeler", &[&target]);
        desired.grants.insert(target.client_id.clone(), ["read".to_owned()].into());
        let error = no_users.reconcile_workload(&desired).await.unwrap_err().to_string();
        assert!(error.contains("role manage-users"), "{error}");

        let error = no_users.list_identity_providers().await.unwrap_err().to_string();
        assert!(error.contains("role manage-identity-providers"), "{error}");
        let error = no_users.update_realm(&[]).await.unwrap_err().to_string();
        assert!(error.contains("role manage-realm"), "{error}");
        let new = no_users.admin().realm("another");
        let error = new.create_realm(&Default::default()).await.unwrap_err().to_string();
        assert!(error.contains("role create-realm of realm master"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn manage_clients_and_users_suffice_for_endpoints_and_workloads() {
    in_realm(|test| async move {
        let operator = test.operator_with(&["manage-clients", "manage-users"]).await;
        let target = test.endpoint("resnet", &["read"]);
        operator.reconcile_endpoint(&target).await.unwrap();
        let mut desired = test.workload("labeler", &[&target]);
        desired.grants.insert(target.client_id.clone(), ["read".to_owned()].into());
        operator.reconcile_workload(&desired).await.unwrap();
        assert_eq!(operator.reconcile_endpoint(&target).await.unwrap(), []);
        assert_eq!(operator.reconcile_workload(&desired).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn an_account_that_sees_nothing_does_not_report_absence() {
    in_realm(|test| async move {
        let desired = test.workload("labeler", &[]);
        test.realm.reconcile_workload(&desired).await.unwrap();
        for roles in [&["query-clients"][..], &[]] {
            let weak = test.operator_with(roles).await;
            let error = weak.observe_workload(&WorkloadKey::from(&desired)).await.unwrap_err();
            assert!(matches!(error, ApiError::Forbidden { .. }), "{roles:?}: {error}");
            let elsewhere = WorkloadKey { id: uuid::Uuid::nil(), client_id: desired.client_id.clone(), second: None };
            let error = weak.observe_workload(&elsewhere).await.unwrap_err();
            assert!(matches!(error, ApiError::Forbidden { .. }), "{roles:?}: {error}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_right_that_is_given_works_without_a_new_login() {
    in_realm(|test| async move {
        let operator = test.operator_with(&["query-clients"]).await;
        let admin = operator.admin().clone();
        assert!(operator.get_client("nothing").await.is_err());
        // The right is given to the account while its token is out.
        let clients = test.realm.list_clients(0, 100).await.unwrap();
        let account = clients.iter().find(|client| client.settings.client_id.starts_with("operator-")).unwrap();
        let account = test.realm.get_service_account(&account.reference().id).await.unwrap().id;
        let management = test.realm.find_client("realm-management").await.unwrap().unwrap().reference().id;
        let role = test.realm.get_client_role(&management, "manage-clients").await.unwrap();
        test.realm.map_client_roles(&account, &management, &[role]).await.unwrap();
        if test.keycloak.is_before_26_6().await {
            // There the list of clients goes by the token's roles, so it is full with the next one.
            operator.held_roles(true).await.unwrap();
        }
        admin.realm(&test.name).reconcile_endpoint(&test.endpoint("resnet", &["read"])).await.unwrap();
    })
    .await;
}
