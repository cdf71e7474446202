//! A realm from nothing to deletion, and a realm whose settings are someone else's.

use keywire::core::desired::{DesiredRealm, Management, RealmRole, RealmSettings, Seconds};
use keywire::core::diff::{Change, Conflict, DeletionPolicy, plan_delete_realm, plan_realm};
use keywire::keycloak::{RealmAdmin, ReconcileError, SettingsError};
use serde_json::json;

use crate::issuer::Issuer;
use crate::keycloak::{Keycloak, Raw, deleting, in_realm, owner, unique};

fn role(name: &str, composites: &[&str]) -> RealmRole {
    let composites = composites.iter().map(ToString::to_string).collect();
    RealmRole { name: name.into(), description: "for a test".into(), composites }
}

fn desired(name: &str) -> DesiredRealm {
    let settings = RealmSettings::default()
        .with("displayName", "Machine learning")
        .with("enabled", true)
        .with("sslRequired", "external")
        .with("accessTokenLifespan", 120)
        .with("bruteForceProtected", true)
        .with("adminEventsEnabled", true);
    DesiredRealm {
        realm: name.into(),
        owner: owner("Realm", None, "ml"),
        management: Management::Full(Box::new(settings.into())),
        roles: vec![role("scientist", &[]), role("lead", &["scientist"])],
        workload_issuer: Some(Issuer::new(name).trusted_as("cluster")),
        adopt: false,
    }
}

/// The realm and its settings.
async fn reconcile(realm: &RealmAdmin, desired: &DesiredRealm) -> Vec<Change> {
    let mut done = realm.reconcile_realm(desired).await.unwrap();
    let report = realm.reconcile_settings(desired).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    done.extend(report.done);
    done
}

#[tokio::test]
async fn a_realm_is_made_kept_and_deleted() {
    let name = unique("contract-full");
    deleting(vec![format!("/{name}")], make_keep_and_delete(name)).await;
}

async fn make_keep_and_delete(name: String) {
    let keycloak = Keycloak::from_env();
    let realm = keycloak.admin().realm(&name);
    let mut desired = desired(&name);

    let done = reconcile(&realm, &desired).await;
    let kinds: Vec<_> = done.iter().map(|change| change.kind()).collect();
    let made = ["create_realm", "create_realm_role", "create_realm_role", "add_composites", "create_identity_provider"];
    assert_eq!(kinds, [made.as_slice(), &["update_realm"]].concat());
    assert_eq!(reconcile(&realm, &desired).await, [], "converged");

    let raw = Raw::log_in(&keycloak, &format!("/{name}")).await;
    // Someone else's attribute, and drift.
    let (_, before) = raw.get("").await;
    let mut attributes = before["attributes"].clone();
    attributes["frontendUrl"] = json!("https://auth.example");
    attributes["keywire.dev/owner"] = json!("test/Realm//ml/an-earlier-uid");
    raw.put("", &json!({"attributes": attributes, "accessTokenLifespan": 9999})).await;
    raw.put("/roles/lead", &json!({"name": "lead", "description": "drifted"})).await;
    desired.roles.retain(|role| role.name == "lead");
    desired.roles[0].composites.clear();
    desired.workload_issuer.as_mut().unwrap().max_assertion_age = Seconds(600);
    let done = reconcile(&realm, &desired).await;
    let kinds: Vec<_> = done.iter().map(|change| change.kind()).collect();
    assert!(kinds.contains(&"update_realm") && kinds.contains(&"delete_realm_role"), "{kinds:?}");
    assert!(kinds.contains(&"update_identity_provider"), "{kinds:?}");
    assert_eq!(reconcile(&realm, &desired).await, [], "converged");
    let (_, after) = raw.get("").await;
    assert_eq!(after["accessTokenLifespan"], 120);
    assert_eq!(after["attributes"]["frontendUrl"], "https://auth.example", "others' attributes stay");
    assert_eq!(after["attributes"]["cibaInterval"], before["attributes"]["cibaInterval"]);

    let observed = realm.observe_realm(&desired.role_names()).await.unwrap();
    assert!(plan_delete_realm(&desired.owner, &observed, DeletionPolicy::Orphan).is_empty());
    realm.apply(plan_delete_realm(&desired.owner, &observed, DeletionPolicy::Delete)).await.unwrap();
    let gone = realm.observe_realm(&desired.role_names()).await.unwrap();
    assert_eq!(gone.realm, None);
}

#[tokio::test]
async fn a_realm_that_is_not_ours_is_left_alone() {
    in_realm(|test| async move {
        let mut desired = desired(&test.name);
        let (_, before) = test.raw.get("").await;
        let error = test.realm.reconcile_realm(&desired).await.unwrap_err();
        assert!(matches!(&error, ReconcileError::Conflict(Conflict::Unowned { object: "realm", .. })), "{error}");
        let report = test.realm.reconcile_settings(&desired).await;
        assert!(matches!(report.failed.as_slice(), [SettingsError::Conflict(Conflict::Unowned { .. })]), "{report:?}");
        assert_eq!(report.done, []);
        assert_eq!(test.raw.get("").await.1, before);

        desired.management = Management::ClientsOnly;
        let done = test.realm.reconcile_realm(&desired).await.unwrap();
        assert!(done.iter().all(|change| change.kind() != "update_realm"), "{done:?}");
        assert_eq!(reconcile(&test.realm, &desired).await, []);
        assert_eq!(test.raw.get("").await.1, before);

        let observed = test.realm.observe_realm(&desired.role_names()).await.unwrap();
        test.realm.apply(plan_delete_realm(&desired.owner, &observed, DeletionPolicy::Delete)).await.unwrap();
        assert_eq!(test.raw.get("").await.1, before, "only what we put into it is deleted");
        assert_eq!(test.raw.get("/roles/lead").await.0, 404);
        assert!(test.realm.list_identity_providers().await.unwrap().is_empty());

        desired.management = super::realm::desired(&test.name).management;
        desired.adopt = true;
        assert!(!reconcile(&test.realm, &desired).await.is_empty());
        assert_eq!(reconcile(&test.realm, &desired).await, []);
    })
    .await;
}

#[tokio::test]
async fn what_is_not_visible_is_not_taken_for_missing() {
    in_realm(|test| async move {
        let weak = test.operator_with(&["manage-clients", "manage-identity-providers"]).await;
        let observed = weak.observe_realm(&Default::default()).await.unwrap();
        assert!(observed.realm.as_ref().is_some_and(|realm| realm.is_partial()), "{observed:?}");
        let desired = DesiredRealm { roles: Vec::new(), ..desired(&test.name) };
        let conflict = plan_realm(&desired, &observed).unwrap_err();
        assert_eq!(<&str>::from(&conflict), "realm_hidden");
        // Enough for a realm whose settings are someone else's.
        let clients_only = DesiredRealm { management: Management::ClientsOnly, ..desired };
        weak.reconcile_realm(&clients_only).await.unwrap();
        assert_eq!(weak.reconcile_realm(&clients_only).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_realm_that_is_not_ours_to_make_is_missing() {
    let realm = Keycloak::from_env().admin().realm(&unique("contract-none"));
    let desired = DesiredRealm { management: Management::ClientsOnly, ..desired(realm.name()) };
    let error = realm.reconcile_realm(&desired).await.unwrap_err();
    assert!(matches!(error, ReconcileError::Conflict(Conflict::RealmMissing { .. })), "{error}");
}
