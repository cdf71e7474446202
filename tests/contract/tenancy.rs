//! Attacks by tenants, and half-blind accounts: nobody's client is touched, nothing is taken for absent that is not seen.

use keywire::core::build::{Site, kind};
use keywire::core::desired::{DesiredEndpoint, OWNER_ATTRIBUTE, Owner};
use keywire::core::diff::{Conflict, plan_delete_endpoint, plan_delete_workload};
use keywire::core::name::Ref;
use keywire::keycloak::{ApiError, EndpointKey, ReconcileError, WorkloadKey};
use serde_json::{Value, json};

use crate::keycloak::{TestRealm, in_realm};

/// Everything in the realm that a tenant could want to touch, without what Keycloak makes.
async fn everything(test: &TestRealm) -> Value {
    let (_, clients) = test.raw.get("/clients").await;
    let (_, scopes) = test.raw.get("/client-scopes").await;
    json!([clients, scopes])
}

/// A conflict that names its owner, and nothing has changed.
async fn is_refused(test: &TestRealm, before: &Value, attack: &DesiredEndpoint, words: &str) {
    let error = test.realm.reconcile_endpoint(attack).await.expect_err(words);
    assert!(matches!(error, ReconcileError::Conflict(Conflict::OwnedByAnother { .. })), "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(&everything(test).await, before, "{words}");
    // Its clean-up, once the tenant deletes the object, takes nothing with it either.
    let observed = test.realm.observe_endpoint(&EndpointKey::from(attack)).await.unwrap();
    test.realm.apply(plan_delete_endpoint(&attack.owner, &observed)).await.unwrap();
    assert_eq!(&everything(test).await, before, "{words}, deleted");
}

#[tokio::test]
async fn another_tenants_client_is_not_taken_over_by_any_name() {
    in_realm(|test| async move {
        let victim = test.endpoint("resnet", &["read", "predict"]);
        test.realm.reconcile_endpoint(&victim).await.unwrap();
        let before = everything(&test).await;
        let thief = |change: &dyn Fn(&mut DesiredEndpoint)| {
            let mut attack = DesiredEndpoint { adopt: true, ..victim.clone() };
            change(&mut attack);
            attack
        };
        let other = |owner: &Owner| Owner { name: "thief".into(), namespace: Some("evil".into()), ..owner.clone() };
        // The victim's client id under an id of one's own, adopting.
        let by_name = thief(&|attack| {
            attack.owner = other(&attack.owner);
            attack.id =
                Site { cluster: "test", realm: &test.name }.client_id(kind::ENDPOINT, &Ref::new("evil", "thief"));
        });
        is_refused(&test, &before, &by_name, "belongs to ModelEndpoint vision/resnet").await;
        // The victim's id under another client id.
        let by_id = thief(&|attack| {
            attack.owner = other(&attack.owner);
            attack.client_id = "thief.evil.endpoint".into();
        });
        is_refused(&test, &before, &by_id, "belongs to ModelEndpoint vision/resnet").await;
        // The same object, in another cluster of this realm, with the victim's very uid.
        let by_cluster = thief(&|attack| attack.owner.cluster = "west".into());
        is_refused(&test, &before, &by_cluster, "of cluster test").await;
        // Another kind of the same name.
        let by_kind = thief(&|attack| attack.owner.kind = kind::WORKLOAD.into());
        is_refused(&test, &before, &by_kind, "belongs to ModelEndpoint").await;
        assert_eq!(test.realm.reconcile_endpoint(&victim).await.unwrap(), [], "the victim notices nothing");
    })
    .await;
}

#[tokio::test]
async fn another_tenants_scope_is_not_taken_over_by_its_name() {
    in_realm(|test| async move {
        let victim = test.endpoint("resnet", &["read"]);
        test.realm.reconcile_endpoint(&victim).await.unwrap();
        let before = everything(&test).await;
        let mut attack = DesiredEndpoint { adopt: true, ..test.endpoint("thief", &["read"]) };
        attack.scopes[0].name = victim.scopes[0].name.clone();
        is_refused(&test, &before, &attack, "client scope resnet.vision.endpoint:read").await;
    })
    .await;
}

#[tokio::test]
async fn a_forged_mark_is_worth_what_it_says() {
    in_realm(|test| async move {
        let wanted = test.endpoint("resnet", &["read"]);
        // By hand, with the mark of another cluster; a name with slashes makes no other object of it.
        for (mark, words) in [
            ("west/ModelEndpoint/vision/resnet/5f4a", "of cluster west"),
            ("test/ModelEndpoint/vision/resnet/ModelEndpoint/vision/other/5f4a", "vision/other of cluster test/Model"),
            ("test/ModelEndpoint//vision/resnet/5f4a", "of cluster test/ModelEndpoint"),
        ] {
            let body = json!({"id": wanted.id, "clientId": wanted.client_id, "attributes": {OWNER_ATTRIBUTE: mark}});
            assert_eq!(test.raw.post("/clients", &body).await.0, 201);
            let before = everything(&test).await;
            for adopt in [false, true] {
                is_refused(&test, &before, &DesiredEndpoint { adopt, ..wanted.clone() }, words).await;
            }
            assert_eq!(test.raw.delete(&format!("/clients/{}", wanted.id)).await.0, 204);
        }
        // A mark that is none: made by hand, so it takes the owner's word to adopt it.
        let body = json!({"id": wanted.id, "clientId": wanted.client_id, "attributes": {OWNER_ATTRIBUTE: "mine"}});
        assert_eq!(test.raw.post("/clients", &body).await.0, 201);
        let error = test.realm.reconcile_endpoint(&wanted).await.unwrap_err();
        assert!(matches!(error, ReconcileError::Conflict(Conflict::Unowned { .. })), "{error}");
        test.realm.reconcile_endpoint(&DesiredEndpoint { adopt: true, ..wanted }).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn crafted_names_meet_nobody_elses() {
    let refs =
        [("b", "a"), ("a", "b"), ("b-a", "a"), ("a", "b-a"), ("endpoint", "a"), ("a", "endpoint"), ("workload", "a")];
    let sites = [("east", "ml"), ("east-ml", "x"), ("e", "astml")];
    let mut ids = std::collections::BTreeSet::new();
    let mut client_ids = std::collections::BTreeSet::new();
    for (namespace, name) in refs {
        let name = Ref::new(namespace, name);
        assert!(client_ids.insert(name.endpoint_client_id()) && client_ids.insert(name.workload_client_id()), "{name}");
        for (cluster, realm) in sites {
            for kind in [kind::ENDPOINT, kind::WORKLOAD] {
                assert!(ids.insert(Site { cluster, realm }.client_id(kind, &name)), "{cluster} {realm} {kind} {name}");
            }
        }
    }
}

#[tokio::test]
async fn an_account_that_sees_little_makes_and_deletes_nothing() {
    in_realm(|test| async move {
        let target = test.endpoint("resnet", &["read"]);
        test.realm.reconcile_endpoint(&target).await.unwrap();
        let mut workload = test.workload("labeler", &[&target]);
        workload.grants.insert(target.client_id.clone(), ["read".to_owned()].into());
        test.realm.reconcile_workload(&workload).await.unwrap();
        let before = everything(&test).await;
        // What Keycloak says to them: an empty list, as if there were nothing.
        let half_blind = test.raw_operator_with(&["query-clients"]).await;
        assert_eq!(half_blind.get("/clients").await, (200, json!([])));

        for roles in [&["query-clients"][..], &["query-clients", "query-users", "query-realms"], &["view-realm"], &[]] {
            let weak = test.operator_with(roles).await;
            let error = weak.reconcile_endpoint(&target).await.expect_err("nothing is seen");
            assert!(matches!(error, ReconcileError::Observe(ApiError::Forbidden { .. })), "{roles:?}: {error}");
            // One that does not exist: not seen is not absent, so nothing is made.
            let error = weak.reconcile_endpoint(&test.endpoint("bert", &["read"])).await.expect_err("nothing is seen");
            assert!(matches!(error, ReconcileError::Observe(ApiError::Forbidden { .. })), "{roles:?}: {error}");
            let error = weak.reconcile_workload(&workload).await.expect_err("nothing is seen");
            assert!(error.to_string().contains("manage-clients"), "{roles:?}: {error}");
            // And a clean-up that sees nothing is not done.
            assert!(weak.observe_endpoint(&EndpointKey::from(&target)).await.is_err());
            assert!(weak.observe_workload(&WorkloadKey::from(&workload)).await.is_err());
        }
        let after = everything(&test).await;
        let of = |all: &Value, id: &str| all[0].as_array().unwrap().iter().find(|c| c["id"] == id).cloned();
        for id in [target.id.to_string(), workload.id.to_string()] {
            assert_eq!(of(&after, &id), of(&before, &id));
        }
        assert_eq!(test.realm.find_client("bert.vision.endpoint").await.unwrap(), None);
        assert_eq!(after[1], before[1], "client scopes");
    })
    .await;
}

#[tokio::test]
async fn an_object_that_was_made_anew_has_what_its_predecessor_had() {
    in_realm(|test| async move {
        let first = test.workload("labeler", &[]);
        test.realm.reconcile_workload(&first).await.unwrap();
        // Deleted and made again under the same name while the operator was away.
        let mut second = first.clone();
        second.owner.uid = "another-uid".into();
        test.realm.reconcile_workload(&second).await.unwrap();
        assert_eq!(test.realm.reconcile_workload(&second).await.unwrap(), []);
        // The uid of somebody else's object gives no claim to it.
        let mut stranger = test.workload("stranger", &[]);
        stranger.owner.uid = second.owner.uid.clone();
        let observed = test.realm.observe_workload(&WorkloadKey::from(&second)).await.unwrap();
        assert!(plan_delete_workload(&stranger.owner, &observed).is_empty());
    })
    .await;
}
