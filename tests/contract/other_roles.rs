//! Roles of clients that are there already, for the service account of a workload.

use std::collections::{BTreeMap, BTreeSet};

use keywire::core::desired::{Credential, DesiredWorkload, Sealed};
use serde_json::Value;

use crate::keycloak::{Raw, SECRET, TestRealm, in_realm};

const MANAGEMENT: &str = "realm-management";
const VIEW_PROVIDERS: &str = "view-identity-providers";

fn with_roles(workload: &DesiredWorkload, client: &str, roles: &[&str]) -> DesiredWorkload {
    let roles: BTreeSet<_> = roles.iter().map(ToString::to_string).collect();
    DesiredWorkload { roles: BTreeMap::from([(client.to_owned(), roles)]), ..workload.clone() }
}

/// A workload that targets nothing and logs in with a secret.
fn service(test: &TestRealm) -> DesiredWorkload {
    let secret = Some(Sealed::new("number 1", SECRET));
    DesiredWorkload { credential: Credential::ClientSecret { secret }, ..test.workload("api", &[]) }
}

/// The Admin API, as the workload itself is served by it.
async fn served(test: &TestRealm, workload: &DesiredWorkload) -> Raw {
    let form =
        [("grant_type", "client_credentials"), ("client_id", workload.client_id.as_str()), ("client_secret", SECRET)];
    let answer =
        reqwest::Client::new().post(test.realm.token_url()).form(&form).send().await.expect("Keycloak answers");
    let body: Value = answer.json().await.expect("a token answer");
    test.raw.with_token(body["access_token"].as_str().expect("a token"))
}

async fn shown(test: &TestRealm, desired: &DesiredWorkload) -> Vec<String> {
    test.realm.reconcile_workload(desired).await.unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn a_workload_reads_identity_providers_and_nothing_else_and_no_longer_than_it_may() {
    in_realm(|test| async move {
        let plain = service(&test);
        test.realm.reconcile_workload(&plain).await.unwrap();
        assert_eq!(served(&test, &plain).await.get("/identity-provider/instances").await.0, 403);

        let may = with_roles(&plain, MANAGEMENT, &[VIEW_PROVIDERS]);
        let done = shown(&test, &may).await;
        let given = "give api.agents.workload the roles view-identity-providers of client realm-management";
        assert_eq!(done.last().map(String::as_str), Some(given), "{done:?}");
        assert_eq!(shown(&test, &may).await, [""; 0], "converged");
        let admin = served(&test, &may).await;
        assert_eq!(admin.get("/identity-provider/instances").await.0, 200);
        for closed in ["/users", "/clients/x", "/client-scopes", "/events"] {
            assert_eq!(admin.get(closed).await.0, 403, "{closed}");
        }

        let done = shown(&test, &plain).await;
        let taken = "take the roles view-identity-providers of client realm-management from api.agents.workload";
        assert_eq!(done[0], taken, "{done:?}");
        assert_eq!(shown(&test, &plain).await, [""; 0]);
        assert_eq!(served(&test, &plain).await.get("/identity-provider/instances").await.0, 403);
        assert_eq!(admin.get("/identity-provider/instances").await.0, 403, "a token of before is good for nothing");
    })
    .await;
}

/// Half of it is what an administrator, or an operator that died, may leave behind.
#[tokio::test]
async fn each_half_that_is_lost_comes_back_and_what_others_gave_stays() {
    in_realm(|test| async move {
        let desired = with_roles(&service(&test), MANAGEMENT, &[VIEW_PROVIDERS]);
        test.realm.reconcile_workload(&desired).await.unwrap();
        let account = test.realm.get_service_account(&desired.id.to_string()).await.unwrap().id;
        let management = test.realm.find_client(MANAGEMENT).await.unwrap().unwrap().reference().id;
        let role = test.realm.get_client_role(&management, VIEW_PROVIDERS).await.unwrap();
        let theirs = test.realm.get_client_role(&management, "query-groups").await.unwrap();
        test.realm.map_client_roles(&account, &management, std::slice::from_ref(&theirs)).await.unwrap();
        test.realm.bind_client(&desired.id.to_string(), &management, &[theirs]).await.unwrap();

        test.realm.unmap_client_roles(&account, &management, std::slice::from_ref(&role)).await.unwrap();
        assert_eq!(shown(&test, &desired).await.len(), 1);
        test.realm.unbind_client(&desired.id.to_string(), &management, &[role]).await.unwrap();
        assert_eq!(shown(&test, &desired).await.len(), 1);
        assert_eq!(served(&test, &desired).await.get("/identity-provider/instances").await.0, 200);

        test.realm.reconcile_workload(&service(&test)).await.unwrap();
        let names = |mut of: BTreeMap<String, keywire::keycloak::ClientMappings>| {
            of.remove(MANAGEMENT).map(|found| found.mappings.into_iter().map(|role| role.name).collect::<Vec<_>>())
        };
        let held = test.realm.list_role_mappings(&account).await.unwrap().client_mappings;
        assert_eq!(names(held), Some(vec!["query-groups".to_owned()]));
        let bound = test.realm.list_client_scope_mappings(&desired.id.to_string()).await.unwrap().client_mappings;
        assert_eq!(names(bound), Some(vec!["query-groups".to_owned()]));
    })
    .await;
}

#[tokio::test]
async fn a_client_or_a_role_that_is_not_there_is_named() {
    in_realm(|test| async move {
        for (client, role, named) in [
            ("payroll", "read", "role read of client payroll: not found"),
            (MANAGEMENT, "view-payroll", "role view-payroll of client realm-management: not found"),
        ] {
            let error = test.realm.reconcile_workload(&with_roles(&service(&test), client, &[role])).await.unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    })
    .await;
}

/// Keycloak lets nobody give a role of administration that he could not use himself.
#[tokio::test]
async fn an_operator_gives_no_role_of_administration_that_it_has_not() {
    in_realm(|test| async move {
        let desired = with_roles(&service(&test), MANAGEMENT, &[VIEW_PROVIDERS]);
        let operator = test.operator_with(&["manage-clients", "manage-users"]).await;
        let error = operator.reconcile_workload(&desired).await.unwrap_err().to_string();
        assert!(error.contains("that he has not himself, the role view-identity-providers"), "{error}");
        let operator = test.operator_with(&["manage-clients", "manage-users", VIEW_PROVIDERS]).await;
        operator.reconcile_workload(&desired).await.unwrap();
        assert_eq!(operator.reconcile_workload(&desired).await.unwrap(), []);
    })
    .await;
}
