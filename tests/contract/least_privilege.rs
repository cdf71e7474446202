//! The operator's rights: those that `keywire bootstrap` gives suffice, each of them is needed, and more is told of.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::BoxFuture;
use keywire::core::desired::{DesiredRealm, Management, RealmSettings};
use keywire::core::rights::Duties;
use keywire::keycloak::{
    AssertionSource, BootstrapError, BootstrapSpec, Credentials, LoginError, RealmAdmin, RealmGrant, Step,
    bootstrap_operator, ensure_realm,
};
use secrecy::SecretString;

use crate::issuer::Issuer;
use crate::keycloak::{Keycloak, TestRealm, deleting, in_realm, owner, unique};

const SUBJECT: &str = "system:serviceaccount:keywire-system:keywire-controller";
const FULL: Duties = Duties { manages_realm: true, tells_keys: true, keeps_realm_roles: false };
const CLIENTS_ONLY: Duties = Duties { manages_realm: false, ..FULL };

/// One token, whatever is asked.
#[derive(Debug)]
pub struct OneToken(pub SecretString);

impl AssertionSource for OneToken {
    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, LoginError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// What `keywire bootstrap --realm` asks for.
pub fn spec(test: &TestRealm, cluster: &Issuer, duties: Duties) -> BootstrapSpec {
    let roles: BTreeSet<String> = duties.roles().into_iter().map(ToOwned::to_owned).collect();
    BootstrapSpec {
        cluster: "test".into(),
        login_realm: test.name.clone(),
        client_id: "keywire-operator".into(),
        issuer: cluster.trusted_as("keywire-test"),
        subject: SUBJECT.into(),
        creates_realms: false,
        grants: vec![RealmGrant { realm: test.name.clone(), roles }],
    }
}

/// The operator as it logs in by itself.
pub async fn operator(test: &TestRealm, cluster: &Issuer) -> RealmAdmin {
    let token = Arc::new(OneToken(cluster.token(SUBJECT, &test.issuer().await)));
    let credentials = Credentials::KubernetesToken { client_id: "keywire-operator".into(), token };
    test.keycloak.admin_with(&test.name, credentials).realm(&test.name)
}

/// Everything that the operator does in a realm, from nothing, under names that were not used before.
async fn everything(test: &TestRealm, operator: &RealmAdmin, cluster: &Issuer, duties: Duties) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let settings = RealmSettings::default()
        .with("enabled", true)
        .with("accessTokenLifespan", 120)
        .with("displayName", unique("name"))
        .with("adminEventsEnabled", true);
    let management = match duties.manages_realm {
        true => Management::Full(Box::new(settings.into())),
        false => Management::ClientsOnly,
    };
    let mut issuer = cluster.rotated().trusted_as("keywire-test");
    // The operator's own key stays: it goes on logging in by it.
    if let (Some(keys), Some(own)) = (issuer.jwks["keys"].as_array_mut(), cluster.jwks()["keys"].as_array()) {
        keys.extend(own.clone());
    }
    let realm = DesiredRealm {
        realm: test.name.clone(),
        owner: owner("Realm", None, "ml"),
        management,
        workload_issuer: Some(issuer),
        adopt: true,
    };
    operator.reconcile_realm(&realm).await.map_err(|error| said(&error))?;
    if let Some(error) = operator.reconcile_settings(&realm).await.failed.into_iter().next() {
        return Err(error.to_string());
    }
    let target = test.endpoint(&unique("e"), &["read"]);
    operator.reconcile_endpoint(&target).await.map_err(|error| said(&error))?;
    let mut workload = test.workload(&unique("w"), &[&target]);
    workload.grants.insert(target.client_id.clone(), ["read".to_owned()].into());
    operator.reconcile_workload(&workload).await.map_err(|error| said(&error))?;
    assert_eq!(operator.reconcile_workload(&workload).await.unwrap(), []);
    Ok(())
}

async fn exactly(duties: Duties) {
    in_realm(move |test| async move {
        let cluster = Issuer::new(&test.name);
        let spec = spec(&test, &cluster, duties);
        let report = bootstrap_operator(&test.admin, &spec).await.unwrap();
        assert_eq!(report.surplus, [].into(), "no more than was asked for");
        let operator = operator(&test, &cluster).await;
        let held = operator.held_roles(false).await.unwrap().expect("its token tells");
        assert_eq!(held, spec.grants[0].roles, "the operator's own token");
        everything(&test, &operator, &cluster, duties).await.expect("the rights suffice");

        // Each of them is needed, and its name is said where it is missing.
        let client = test.realm.find_client("keywire-operator").await.unwrap().unwrap().reference().id;
        let account = test.realm.get_service_account(&client).await.unwrap().id;
        let management = test.realm.find_client("realm-management").await.unwrap().unwrap().reference().id;
        for name in &held {
            let role = test.realm.get_client_role(&management, name).await.unwrap();
            test.realm.unmap_client_roles(&account, &management, std::slice::from_ref(&role)).await.unwrap();
            // Keycloak 26.5 goes by the token's roles: what is taken away counts from the next login on.
            let weighed = duties.weigh(&operator.held_roles(true).await.unwrap().unwrap());
            assert_eq!(weighed.missing, [name.clone()].into());
            match name.as_str() {
                // The feed of changes: nothing else fails without it.
                "view-events" => {}
                _ => {
                    let error = everything(&test, &operator, &cluster, duties).await.expect_err(name);
                    assert!(error.contains(&format!("role {name}")), "without {name}: {error}");
                }
            }
            let mended = bootstrap_operator(&test.admin, &spec).await.unwrap();
            assert_eq!(mended.roles["realm-management"], Step::Created, "{name} is given again");
        }
        assert_eq!(operator.held_roles(true).await.unwrap().unwrap(), held);
        everything(&test, &operator, &cluster, duties).await.expect("mended");
        let again = bootstrap_operator(&test.admin, &spec).await.unwrap();
        assert_eq!((again.client, again.roles["realm-management"]), (Step::Unchanged, Step::Unchanged));
    })
    .await;
}

#[tokio::test]
async fn full_management_has_exactly_the_rights_that_it_needs() {
    exactly(FULL).await;
}

#[tokio::test]
async fn clients_only_has_exactly_the_rights_that_it_needs() {
    exactly(CLIENTS_ONLY).await;
}

#[tokio::test]
async fn the_feed_of_changes_needs_its_right() {
    in_realm(|test| async move {
        for (roles, status) in [(&["manage-clients", "manage-users", "manage-realm"][..], 403), (&["view-events"], 200)]
        {
            let raw = test.raw_operator_with(roles).await;
            assert_eq!(raw.get("/admin-events?max=1").await.0, status, "{roles:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn rights_beyond_those_are_told_of_and_good_for_nothing() {
    in_realm(|test| async move {
        let cluster = Issuer::new(&test.name);
        let spec = spec(&test, &cluster, CLIENTS_ONLY);
        bootstrap_operator(&test.admin, &spec).await.unwrap();
        let client = test.realm.find_client("keywire-operator").await.unwrap().unwrap().reference().id;
        let account = test.realm.get_service_account(&client).await.unwrap().id;
        let management = test.realm.find_client("realm-management").await.unwrap().unwrap().reference().id;
        let role = test.realm.get_client_role(&management, "manage-realm").await.unwrap();
        test.realm.map_client_roles(&account, &management, &[role]).await.unwrap();
        let report = bootstrap_operator(&test.admin, &spec).await.unwrap();
        assert_eq!(report.surplus["realm-management"], ["manage-realm".to_owned()].into());
        // It is not in the client's scope, so the account's right is none of its tokens'.
        let operator = operator(&test, &cluster).await;
        assert_eq!(operator.held_roles(false).await.unwrap().unwrap(), spec.grants[0].roles);
        let error = operator.update_realm(&[]).await.unwrap_err().to_string();
        assert!(error.contains("role manage-realm"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn the_way_in_of_another_cluster_is_not_taken_over() {
    in_realm(|test| async move {
        let (east, west) = (Issuer::new(&format!("east-{}", test.name)), Issuer::new(&format!("west-{}", test.name)));
        bootstrap_operator(&test.admin, &spec(&test, &east, CLIENTS_ONLY)).await.unwrap();
        let mut other = spec(&test, &west, CLIENTS_ONLY);
        other.cluster = "west".into();
        let error = bootstrap_operator(&test.admin, &other).await.unwrap_err();
        assert!(matches!(error, BootstrapError::AliasTaken { .. }), "{error}");
        other.issuer.alias = "keywire-west".into();
        let error = bootstrap_operator(&test.admin, &other).await.unwrap_err();
        assert!(matches!(error, BootstrapError::ClientTaken { .. }) && error.to_string().contains("test"), "{error}");
        operator(&test, &east).await.held_roles(false).await.expect("the first cluster still logs in");
        other.issuer.issuer = east.url.clone();
        other.issuer.alias = "keywire-third".into();
        let error = bootstrap_operator(&test.admin, &other).await.unwrap_err();
        assert!(matches!(error, BootstrapError::IssuerTaken { .. }), "{error}");
        assert!(error.to_string().contains("--service-account-issuer"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_realm_is_made_for_the_login_only_where_it_may_be() {
    let name = unique("contract-login");
    deleting(vec![format!("/{name}")], async move {
        let admin = Keycloak::from_env().admin();
        let error = ensure_realm(&admin, &name, false).await.unwrap_err();
        assert!(matches!(error, BootstrapError::RealmMissing { .. }), "{error}");
        assert_eq!(ensure_realm(&admin, &name, true).await.unwrap(), Step::Created);
        assert_eq!(ensure_realm(&admin, &name, true).await.unwrap(), Step::Unchanged);
        admin.realm(&name).list_clients(0, 1).await.expect("the same login has rights in it");
    })
    .await;
}
