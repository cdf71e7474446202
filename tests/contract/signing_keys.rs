//! Signing keys: what Keycloak keeps of them, and a rotation walked through in time, with tokens that stay good.

use keywire::core::desired::DesiredRealm;
use serde_json::{Value, json};

use crate::keycloak::{TestRealm, in_realm};
use crate::realm_settings::{desired, failures};

const HOUR: u64 = 3600;
/// Some moment.
const START: u64 = 1_800_000_000;

/// A pass at a moment: what was done, and when the next is due.
async fn pass(test: &TestRealm, desired: &DesiredRealm) -> (Vec<&'static str>, Option<u64>) {
    let report = test.realm.reconcile_settings(desired).await;
    assert_eq!(failures(&report), Vec::<String>::new());
    let again = test.realm.reconcile_settings(desired).await;
    assert_eq!((again.done, again.look_again), (Vec::new(), report.look_again), "at once again changes nothing");
    let keys = report.done.iter().map(|change| change.kind()).filter(|kind| kind.ends_with("signing_key"));
    (keys.collect(), report.look_again)
}

fn rotated(test: &TestRealm, at: u64, algorithm: &str, other_keys: &str) -> DesiredRealm {
    let keys = json!([{"algorithm": algorithm, "rotateEvery": "24h", "publishBefore": "1h", "otherKeys": other_keys}]);
    let tokens = json!({"sessionMaxLifespan": "2h", "accessTokenLifespan": "1m", "implicitAccessTokenLifespan": "1m"});
    desired(test, json!({"keys": keys, "tokens": tokens}), at, None)
}

/// Key ids by status, of one algorithm, newest first.
async fn keys(test: &TestRealm, algorithm: &str, status: &str) -> Vec<String> {
    let (_, all) = test.raw.get("/keys").await;
    let mut found: Vec<_> = all["keys"].as_array().unwrap().iter().collect();
    found.retain(|key| key["algorithm"] == algorithm && key["status"] == status);
    found.sort_by_key(|key| std::cmp::Reverse(key["providerPriority"].as_i64()));
    found.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// What verifiers fetch.
async fn published(test: &TestRealm) -> Vec<String> {
    let server = test.keycloak.url.as_str().trim_end_matches('/');
    let url = format!("{server}/realms/{}/protocol/openid-connect/certs", test.name);
    let set: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_rotation_overlaps_at_both_ends() {
    in_realm(|test| async move {
        let built_in = keys(&test, "RS256", "ACTIVE").await;
        let at = |hours: u64| rotated(&test, START + hours * HOUR, "RS256", "Leave");
        assert_eq!(pass(&test, &at(0)).await, (vec!["create_signing_key"], Some(START + HOUR)));
        let first = keys(&test, "RS256", "PASSIVE").await;
        assert_eq!(first.len(), 1, "published, not signing");
        assert!(published(&test).await.contains(&first[0]));
        assert_eq!(keys(&test, "RS256", "ACTIVE").await, built_in);

        assert_eq!(pass(&test, &at(1)).await, (vec!["update_signing_key"], Some(START + 24 * HOUR)));
        assert_eq!(keys(&test, "RS256", "ACTIVE").await, [first.as_slice(), &built_in].concat(), "ours first");

        assert_eq!(pass(&test, &at(24)).await, (vec!["create_signing_key"], Some(START + 25 * HOUR)));
        let second = keys(&test, "RS256", "PASSIVE").await;
        assert_eq!(pass(&test, &at(25)).await, (vec!["update_signing_key"; 2], Some(START + 27 * HOUR)));
        assert_eq!(keys(&test, "RS256", "ACTIVE").await, [second.as_slice(), &built_in].concat());
        assert_eq!(keys(&test, "RS256", "PASSIVE").await, first, "still verifies");
        assert!(published(&test).await.contains(&first[0]));

        // As long as the longest session, then off, then gone.
        assert_eq!(pass(&test, &at(27)).await, (vec!["update_signing_key"], Some(START + 28 * HOUR)));
        assert!(!published(&test).await.contains(&first[0]));
        assert_eq!(pass(&test, &at(28)).await, (vec!["delete_signing_key"], Some(START + 48 * HOUR)));

        // No longer named: Keycloak's own key takes over, ours verifies for a while and goes.
        let none = |hours| desired(&test, json!({}), START + hours * HOUR, None);
        assert_eq!(pass(&test, &none(30)).await, (vec!["update_signing_key"], Some(START + 32 * HOUR)));
        assert_eq!(keys(&test, "RS256", "PASSIVE").await, second);
        assert_eq!(pass(&test, &none(32)).await, (vec!["delete_signing_key"], None));
        assert_eq!(keys(&test, "RS256", "ACTIVE").await, built_in);
    })
    .await;
}

#[tokio::test]
async fn every_algorithm_has_its_generator() {
    in_realm(|test| async move {
        for (algorithm, at) in ["PS512", "ES256", "ES384", "ES512", "EdDSA"].into_iter().zip(0..) {
            let at = START + at * 100 * HOUR;
            assert_eq!(pass(&test, &rotated(&test, at, algorithm, "Leave")).await.0[0], "create_signing_key");
            pass(&test, &rotated(&test, at + HOUR, algorithm, "Leave")).await;
            assert_eq!(keys(&test, algorithm, "ACTIVE").await.len(), 1, "{algorithm}");
        }
    })
    .await;
}

#[tokio::test]
async fn keycloaks_own_key_is_made_passive_where_the_object_says_so() {
    in_realm(|test| async move {
        let built_in = keys(&test, "RS256", "ACTIVE").await;
        pass(&test, &rotated(&test, START, "RS256", "Passive")).await;
        assert_eq!(keys(&test, "RS256", "ACTIVE").await, built_in, "not before ours signs");
        let (kinds, _) = pass(&test, &rotated(&test, START + HOUR, "RS256", "Passive")).await;
        assert_eq!(kinds, ["update_signing_key"; 2]);
        assert_eq!(keys(&test, "RS256", "PASSIVE").await, built_in);
        assert_eq!(keys(&test, "HS512", "ACTIVE").await.len(), 1, "other algorithms are left alone");
        // Nothing else signs, so ours does not stop.
        let none = desired(&test, json!({}), START + 2 * HOUR, None);
        assert_eq!(pass(&test, &none).await, (vec![], None));
        assert_eq!(keys(&test, "RS256", "ACTIVE").await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn keycloak_keeps_the_name_and_only_the_settings_that_it_knows() {
    in_realm(|test| async move {
        let id = test.id("key");
        let mut key = json!({
            "id": id, "name": "one", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
            "config": {"priority": ["7"], "active": ["false"], "algorithm": ["RS256"], "keywire.dev/mark": ["x"]},
        });
        assert_eq!(test.raw.post("/components", &key).await.0, 201);
        assert_eq!(test.raw.post("/components", &key).await.0, 409);
        let (_, found) = test.raw.get(&format!("/components/{id}")).await;
        assert_eq!(found["config"]["keywire.dev/mark"], Value::Null, "why the mark is in id and name");
        let before = keys(&test, "RS256", "PASSIVE").await;
        key["name"] = json!("another");
        key["config"] = json!({"active": ["true"]});
        assert_eq!(test.raw.put(&format!("/components/{id}"), &key).await.0, 204);
        let (_, found) = test.raw.get(&format!("/components/{id}")).await;
        assert_eq!((&found["name"], &found["config"]["priority"][0]), (&json!("another"), &json!("7")), "merged");
        assert!(keys(&test, "RS256", "ACTIVE").await.contains(&before[0]), "the key itself stays");
    })
    .await;
}
