//! The operator's first login: no secret, and mended by running it again.

use std::sync::Arc;

use keywire::core::desired::{DesiredRealm, Management, OWNER_ATTRIBUTE, RealmSettings, object_id};
use keywire::core::diff::{DeletionPolicy, plan_delete_realm};
use keywire::keycloak::{
    BootstrapError, BootstrapSpec, Credentials, RealmAdmin, RealmGrant, Step, TokenFile, bootstrap_operator,
    ensure_issuer,
};
use secrecy::ExposeSecret;

use crate::issuer::Issuer;
use crate::keycloak::{TestRealm, deleting, endpoint, in_realm, issuer_of, owner, unique};

const SUBJECT: &str = "system:serviceaccount:keywire-system:keywire";

#[tokio::test]
async fn the_operator_logs_in_with_its_own_token_and_makes_realms() {
    in_realm(|test| async move {
        let cluster = Issuer::new(&test.name);
        let name = unique("contract-operator");
        let spec = BootstrapSpec {
            cluster: "test".into(),
            login_realm: "master".into(),
            client_id: unique("keywire-operator"),
            issuer: cluster.trusted_as(&unique("cluster")),
            subject: SUBJECT.into(),
            creates_realms: true,
            grants: vec![RealmGrant {
                realm: test.name.clone(),
                roles: ["manage-clients", "manage-users"].map(Into::into).into(),
            }],
        };
        let client = object_id("test", "master", "Bootstrap", "", &spec.client_id);
        let leftovers = vec![
            format!("/{name}"),
            format!("/master/clients/{client}"),
            format!("/master/identity-provider/instances/{}", spec.issuer.alias),
        ];
        deleting(leftovers, bootstrap_and_use(test, cluster, name, spec)).await;
    })
    .await;
}

async fn bootstrap_and_use(test: TestRealm, cluster: Issuer, name: String, mut spec: BootstrapSpec) {
    let report = bootstrap_operator(&test.admin, &spec).await.unwrap();
    assert_eq!((report.identity_provider, report.client), (Step::Created, Step::Created));
    let again = bootstrap_operator(&test.admin, &spec).await.unwrap();
    assert_eq!((again.identity_provider, again.client), (Step::Unchanged, Step::Unchanged));
    assert!(again.roles.values().all(|step| *step == Step::Unchanged), "{again:?}");

    let directory = tempfile::tempdir().unwrap();
    let token_path = directory.path().join("token");
    let audience = issuer_of(&test.keycloak, "master").await;
    let write_token = |cluster: &Issuer| {
        std::fs::write(&token_path, cluster.token(SUBJECT, &audience).expose_secret()).unwrap();
    };
    write_token(&cluster);
    let credentials = Credentials::KubernetesToken {
        client_id: spec.client_id.clone(),
        token: Arc::new(TokenFile(token_path.clone())),
    };
    let operator = test.keycloak.admin_with("master", credentials.clone());
    operator.check().await.unwrap();
    operator.realm(&test.name).reconcile_endpoint(&test.endpoint("resnet", &["read"])).await.unwrap();
    make_a_realm(&operator.realm(&name), &cluster).await;

    // A lock-out: the cluster signs with another key before Keycloak was told.
    let next = cluster.rotated();
    write_token(&next);
    assert!(test.keycloak.admin_with("master", credentials.clone()).check().await.is_err());
    spec.issuer.jwks = next.jwks();
    let mended = bootstrap_operator(&test.admin, &spec).await.unwrap();
    assert_eq!((mended.identity_provider, mended.client), (Step::Updated, Step::Unchanged));
    test.keycloak.admin_with("master", credentials).check().await.expect("mended");
}

async fn make_a_realm(realm: &RealmAdmin, cluster: &Issuer) {
    let settings = RealmSettings::default().with("enabled", true).with("accessTokenLifespan", 60);
    let desired = DesiredRealm {
        realm: realm.name().to_owned(),
        owner: owner("Realm", None, "ml"),
        management: Management::Full(Box::new(settings.into())),
        roles: Vec::new(),
        workload_issuer: Some(cluster.trusted_as("cluster")),
        adopt: false,
    };
    realm.reconcile_realm(&desired).await.expect("it may make realms");
    assert_eq!(realm.reconcile_realm(&desired).await.unwrap(), []);
    let report = realm.reconcile_settings(&desired).await;
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    let endpoint = endpoint(realm.name(), "resnet", &["read"]);
    realm.reconcile_endpoint(&endpoint).await.expect("and has all rights in them");
    let observed = realm.observe_realm(&Default::default()).await.unwrap();
    realm.apply(plan_delete_realm(&desired.owner, &observed, DeletionPolicy::Delete)).await.unwrap();
}

#[tokio::test]
async fn an_operator_without_master_has_rights_in_its_own_realm() {
    in_realm(|test| async move {
        let cluster = Issuer::new(&test.name);
        let grant = |realm: &str| RealmGrant { realm: realm.into(), roles: ["manage-clients".to_owned()].into() };
        let mut spec = BootstrapSpec {
            cluster: "test".into(),
            login_realm: test.name.clone(),
            client_id: "keywire-operator".into(),
            issuer: cluster.trusted_as("cluster"),
            subject: SUBJECT.into(),
            creates_realms: false,
            grants: vec![grant(&test.name)],
        };
        let report = bootstrap_operator(&test.admin, &spec).await.unwrap();
        assert_eq!(report.roles.into_iter().collect::<Vec<_>>(), [("realm-management".to_owned(), Step::Created)]);
        let directory = tempfile::tempdir().unwrap();
        let token_path = directory.path().join("token");
        std::fs::write(&token_path, cluster.token(SUBJECT, &test.issuer().await).expose_secret()).unwrap();
        let credentials =
            Credentials::KubernetesToken { client_id: spec.client_id.clone(), token: Arc::new(TokenFile(token_path)) };
        let operator = test.keycloak.admin_with(&test.name, credentials).realm(&test.name);
        operator.reconcile_endpoint(&test.endpoint("resnet", &["read"])).await.unwrap();

        spec.grants = vec![grant("master")];
        let error = bootstrap_operator(&test.admin, &spec).await.unwrap_err();
        assert!(matches!(error, BootstrapError::RealmMissing { .. }), "{error}");
    })
    .await;
}

#[tokio::test]
async fn an_identity_provider_of_someone_else_is_not_overwritten() {
    in_realm(|test| async move {
        let issuer = Issuer::new(&test.name).trusted_as("corp");
        let owner = owner("Realm", None, "ml");
        let mut theirs = issuer.identity_provider(&owner);
        theirs.config.remove(OWNER_ATTRIBUTE);
        test.realm.create_identity_provider(&theirs).await.unwrap();
        let error = ensure_issuer(&test.realm, &issuer, &owner).await.unwrap_err();
        assert!(matches!(error, BootstrapError::AliasTaken { .. }), "{error}");
        assert_eq!(test.realm.list_identity_providers().await.unwrap(), [theirs]);
    })
    .await;
}
