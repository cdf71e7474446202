//! The trust in clusters: two in one realm, keys that are followed, and issuers that clash.

use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use keywire::core::desired::{DesiredRealm, Management, OWNER_ATTRIBUTE, WorkloadIssuer};
use keywire::core::diff::{Conflict, DeletionPolicy, plan_delete_realm};
use keywire::core::rights::Duties;
use keywire::keycloak::{
    AssertionSource, Credentials, IssuerStep, LoginError, ReconcileError, TokenRequest, bootstrap_operator,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::issuer::Issuer;
use crate::keycloak::{TestRealm, in_realm, owner};
use crate::least_privilege::{operator, spec};

/// The Realm object of a cluster, for a realm whose settings are someone else's.
fn realm_of(test: &TestRealm, cluster: &str, issuer: WorkloadIssuer) -> DesiredRealm {
    let mut owner = owner("Realm", None, "ml");
    owner.cluster = cluster.into();
    DesiredRealm {
        realm: test.name.clone(),
        owner,
        management: Management::ClientsOnly,
        workload_issuer: Some(issuer),
        adopt: false,
    }
}

/// Both clusters' keys, as the API server publishes them while it rotates.
fn both(old: &Issuer, new: &Issuer) -> Value {
    let keys = |issuer: &Issuer| issuer.jwks()["keys"].as_array().unwrap().clone();
    let all = [keys(old), keys(new)].concat();
    json!({"keys": all})
}

async fn logs_in(test: &TestRealm, cluster: &Issuer, subject: &str) -> bool {
    let assertion = cluster.token(subject, &test.issuer().await);
    test.realm.request_token(&TokenRequest { assertion, scope: Default::default() }).await.is_ok()
}

#[tokio::test]
async fn two_clusters_share_a_realm() {
    in_realm(|test| async move {
        let clusters = ["east", "west"].map(|name| (name, Issuer::new(&format!("{name}-{}", test.name))));
        for (name, issuer) in &clusters {
            let alias = format!("keywire-{name}");
            let realm = realm_of(&test, name, issuer.trusted_as(&alias));
            test.realm.reconcile_realm(&realm).await.unwrap();
            // The same ServiceAccount in both: an identity of its own in each.
            let mut workload = crate::keycloak::workload(&test.name, &format!("labeler-{name}"), &alias, &[]);
            workload.credential = keywire::core::desired::Credential::Federated {
                issuer_alias: alias,
                subject: "system:serviceaccount:agents:labeler".into(),
            };
            test.realm.reconcile_workload(&workload).await.unwrap();
        }
        for (name, issuer) in &clusters {
            assert!(logs_in(&test, issuer, "system:serviceaccount:agents:labeler").await, "{name}");
            // Neither undoes what the other made.
            let realm = realm_of(&test, name, issuer.trusted_as(&format!("keywire-{name}")));
            assert_eq!(test.realm.reconcile_realm(&realm).await.unwrap(), [], "{name}");
        }
        let (_, east) = &clusters[0];
        let observed = test.realm.observe_realm().await.unwrap();
        let realm = realm_of(&test, "east", east.trusted_as("keywire-east"));
        test.realm.apply(plan_delete_realm(&realm.owner, &observed, DeletionPolicy::Delete)).await.unwrap();
        assert!(!logs_in(&test, east, "system:serviceaccount:agents:labeler").await);
        assert!(logs_in(&test, &clusters[1].1, "system:serviceaccount:agents:labeler").await, "west is left alone");
    })
    .await;
}

#[tokio::test]
async fn a_clash_of_issuers_explains_the_way_out() {
    in_realm(|test| async move {
        let (east, west) = (Issuer::new(&test.name), Issuer::new(&test.name));
        test.realm.reconcile_realm(&realm_of(&test, "east", east.trusted_as("keywire-east"))).await.unwrap();
        let clashing = realm_of(&test, "west", west.trusted_as("keywire-west"));
        let before = test.realm.list_identity_providers().await.unwrap();
        let error = test.realm.reconcile_realm(&clashing).await.unwrap_err();
        assert!(matches!(error, ReconcileError::Conflict(Conflict::IssuerTaken { .. })), "{error}");
        let message = error.to_string();
        for words in ["keywire-east", "of cluster east", "--service-account-issuer", east.url.as_str()] {
            assert!(message.contains(words), "{words}: {message}");
        }
        assert_eq!(test.realm.list_identity_providers().await.unwrap(), before);

        // Also with an identity provider that somebody made by hand.
        let mut theirs = before[0].clone();
        theirs.config.remove(OWNER_ATTRIBUTE);
        test.realm.update_identity_provider(&theirs).await.unwrap();
        let message = test.realm.reconcile_realm(&clashing).await.unwrap_err().to_string();
        assert!(message.contains("not made by Keywire") && message.contains("--service-account-issuer"), "{message}");
        assert_eq!(test.realm.list_identity_providers().await.unwrap(), [theirs]);
    })
    .await;
}

/// Two clusters that nobody gave names, with the issuer that most clusters have: the second would take over the trust in
/// the first, and with it what its ServiceAccounts may do.
#[tokio::test]
async fn a_cluster_of_the_same_name_changes_nothing() {
    in_realm(|test| async move {
        let (first, second) = (Issuer::new(&test.name), Issuer::new(&test.name));
        let realm = |issuer: &Issuer, uid: &str| {
            let trusted = WorkloadIssuer { cluster_uid: Some(uid.into()), ..issuer.trusted_as("keywire-default") };
            let mut realm = realm_of(&test, "default", trusted);
            realm.owner.uid = format!("realm-of-{uid}");
            realm
        };
        // What an earlier version made does not tell which cluster it is of: the first one to come back is right.
        let unmarked = realm_of(&test, "default", first.trusted_as("keywire-default"));
        test.realm.reconcile_realm(&unmarked).await.unwrap();
        let ours = realm(&first, "1");
        test.realm.reconcile_realm(&ours).await.unwrap();
        let before = test.realm.list_identity_providers().await.unwrap();

        let theirs = realm(&second, "2");
        let error = test.realm.reconcile_realm(&theirs).await.unwrap_err();
        assert!(matches!(error, ReconcileError::Conflict(Conflict::ClusterNameTaken { .. })), "{error}");
        for words in ["keywire-default", "\"default\"", "clusterName", "delete the identity provider"] {
            assert!(error.to_string().contains(words), "{words}: {error}");
        }
        let issuer = theirs.workload_issuer.as_ref().unwrap();
        assert_eq!(test.realm.follow_issuer(issuer, "default").await.unwrap(), IssuerStep::NotOurs);
        let observed = test.realm.observe_realm().await.unwrap();
        assert!(plan_delete_realm(&theirs.owner, &observed, DeletionPolicy::Delete).is_empty());
        assert_eq!(test.realm.list_identity_providers().await.unwrap(), before);
        assert_eq!(test.realm.reconcile_realm(&ours).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn an_old_key_is_good_for_as_long_as_it_is_published() {
    in_realm(|test| async move {
        let old = Issuer::new(&test.name);
        let new = old.rotated();
        let mut issuer = old.trusted_as("keywire-test");
        test.realm.reconcile_realm(&realm_of(&test, "test", issuer.clone())).await.unwrap();
        let workload = crate::keycloak::workload(&test.name, "labeler", "keywire-test", &[]);
        test.realm.reconcile_workload(&workload).await.unwrap();
        let subject = "system:serviceaccount:agents:labeler";

        issuer.jwks = both(&old, &new);
        assert_eq!(test.realm.follow_issuer(&issuer, "test").await.unwrap(), IssuerStep::Updated);
        assert_eq!(test.realm.follow_issuer(&issuer, "test").await.unwrap(), IssuerStep::Unchanged, "only on change");
        assert!(logs_in(&test, &old, subject).await && logs_in(&test, &new, subject).await);
        assert_eq!(test.realm.reconcile_realm(&realm_of(&test, "test", issuer.clone())).await.unwrap(), []);

        issuer.jwks = new.jwks();
        test.realm.follow_issuer(&issuer, "test").await.unwrap();
        assert!(!logs_in(&test, &old, subject).await && logs_in(&test, &new, subject).await);

        let before = test.realm.list_identity_providers().await.unwrap();
        issuer.jwks = old.jwks();
        assert_eq!(test.realm.follow_issuer(&issuer, "another").await.unwrap(), IssuerStep::NotOurs);
        assert_eq!(test.realm.list_identity_providers().await.unwrap(), before);
    })
    .await;
}

/// The cluster's tokens: what the API server signs now, and one from before.
#[derive(Debug)]
struct Tokens {
    now: Mutex<SecretString>,
    before: SecretString,
}

impl AssertionSource for Tokens {
    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, LoginError>> {
        Box::pin(async { Ok(self.now.lock().unwrap().clone()) })
    }

    fn spare(&self) -> Option<SecretString> {
        Some(self.before.clone())
    }
}

#[tokio::test]
async fn a_key_that_signs_already_does_not_lock_the_operator_out() {
    in_realm(|test| async move {
        let old = Issuer::new(&test.name);
        let new = old.rotated();
        let duties = Duties { manages_realm: false, tells_keys: true, keeps_realm_roles: false };
        let spec = spec(&test, &old, duties);
        bootstrap_operator(&test.admin, &spec).await.unwrap();
        let token = |cluster: &Issuer, audience: &str| cluster.token(&spec.subject, audience);
        let audience = test.issuer().await;
        // From now on the API server signs with a key that Keycloak was never told of.
        let tokens = Tokens { now: Mutex::new(token(&new, &audience)), before: token(&old, &audience) };
        let credentials = Credentials::KubernetesToken { client_id: spec.client_id.clone(), token: Arc::new(tokens) };
        let admin = test.keycloak.admin_with(&test.name, credentials);
        let mut issuer = spec.issuer.clone();
        issuer.jwks = both(&old, &new);
        let step = admin.realm(&test.name).follow_issuer(&issuer, "test").await.expect("the earlier token lets it in");
        assert_eq!(step, IssuerStep::Updated);
        operator(&test, &new).await.held_roles(false).await.expect("and the new one from now on");
    })
    .await;
}

#[tokio::test]
async fn the_operators_own_trust_serves_the_realm_and_outlives_it() {
    in_realm(|test| async move {
        let cluster = Issuer::new(&test.name);
        let duties = Duties { manages_realm: false, tells_keys: true, keeps_realm_roles: false };
        let spec = spec(&test, &cluster, duties);
        bootstrap_operator(&test.admin, &spec).await.unwrap();
        let operator = operator(&test, &cluster).await;
        let realm = realm_of(&test, "test", cluster.trusted_as("keywire-test"));
        assert_eq!(operator.reconcile_realm(&realm).await.unwrap(), [], "one identity provider for both");

        let next = cluster.rotated();
        let rotating = WorkloadIssuer { jwks: both(&cluster, &next), ..cluster.trusted_as("keywire-test") };
        let realm = realm_of(&test, "test", rotating);
        assert_eq!(operator.reconcile_realm(&realm).await.unwrap().len(), 1);
        let without = DesiredRealm { workload_issuer: None, ..realm.clone() };
        assert_eq!(operator.reconcile_realm(&without).await.unwrap(), [], "the login needs it still");
        let observed = operator.observe_realm().await.unwrap();
        assert!(plan_delete_realm(&realm.owner, &observed, DeletionPolicy::Delete).is_empty());
        // Of the same name in another cluster: not shared.
        let other = realm_of(&test, "other", cluster.trusted_as("keywire-test"));
        let error = operator.reconcile_realm(&other).await.unwrap_err();
        assert!(matches!(error, ReconcileError::Conflict(Conflict::OwnedByAnother { .. })), "{error}");
    })
    .await;
}
