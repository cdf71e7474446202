//! What has to hold for every list that others share with us, and for every rotation, however long we are away.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::subsequence;
use serde_json::{Value, json};

use crate::core::desired::{ClientPolicies, KeyGenerator, KeyRotation, Named, Owner, UserProfile};
use crate::core::diff::change::Change;

use super::described::{plan_client_policies, plan_user_profile};
use super::lists::name;
use super::rotation::rotate;

const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];

fn owner() -> Owner {
    let text = |text: &str| text.to_owned();
    Owner { cluster: text("main"), kind: text("Realm"), namespace: None, name: text("ml"), uid: text("1") }
}

/// Items of ours, told apart by what is in them.
fn ours(names: &[&str], what: u32) -> Vec<Named> {
    names.iter().map(|name| Named::new(*name, json!({"what": what}))).collect()
}

fn theirs(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!({"name": format!("their-{name}"), "what": 0})).collect()
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|item| name(item).to_owned()).collect()
}

proptest! {
    #[test]
    fn a_profile_becomes_what_is_desired_and_others_stay(
        others in subsequence(&NAMES, 0..=3).prop_shuffle(),
        before in subsequence(&NAMES, 0..=5).prop_shuffle(),
        after in subsequence(&NAMES, 0..=5).prop_shuffle(),
        what in 0_u32..2,
    ) {
        let mut found = json!({"attributes": theirs(&others), "groups": theirs(&others)});
        for (wanted, what) in [(&before, 0), (&after, what)] {
            let desired = UserProfile { attributes: ours(wanted, what), groups: ours(wanted, what), ..Default::default() };
            if let Some(Change::UpdateUserProfile { profile, .. }) = plan_user_profile(&owner(), &desired, &found) {
                found = profile;
            }
            prop_assert_eq!(plan_user_profile(&owner(), &desired, &found), None);
            let mut reversed = desired.clone();
            reversed.attributes.reverse();
            prop_assert_eq!(plan_user_profile(&owner(), &reversed, &found), None);
        }
        for list in ["attributes", "groups"] {
            let found = names(&found[list]);
            let kept: Vec<_> = found.iter().filter(|name| name.starts_with("their-")).cloned().collect();
            prop_assert_eq!(kept, names(&json!(theirs(&others))));
            prop_assert_eq!(found.len(), others.len() + after.len());
        }
    }

    #[test]
    fn no_policy_ever_names_a_profile_that_is_not_there(
        others in subsequence(&NAMES, 0..=3).prop_shuffle(),
        steps in proptest::collection::vec(subsequence(&NAMES, 0..=5), 1..5),
    ) {
        let (mut profiles, mut policies) = (json!({"profiles": theirs(&others)}), json!({"policies": []}));
        for wanted in steps {
            let policy = |name: &&str| Named::new(*name, json!({"profiles": [name]}));
            let desired = ClientPolicies { profiles: ours(&wanted, 1), policies: wanted.iter().map(policy).collect() };
            for change in plan_client_policies(&owner(), &desired, &profiles, &policies) {
                match change {
                    Change::UpdateClientProfiles { profiles: new, .. } => profiles = new,
                    Change::UpdateClientPolicies { policies: new, .. } => policies = new,
                    other => panic!("{other}"),
                }
                let there = names(&profiles["profiles"]);
                for policy in policies["policies"].as_array().unwrap() {
                    let needed = policy["profiles"][0].as_str().unwrap().to_owned();
                    prop_assert!(there.contains(&needed), "{needed} is not among {there:?}");
                }
            }
            prop_assert!(plan_client_policies(&owner(), &desired, &profiles, &policies).is_empty());
            prop_assert_eq!(profiles["profiles"].as_array().unwrap().len(), others.len() + wanted.len());
        }
    }

    #[test]
    fn no_token_fails_however_long_we_are_away(pauses in proptest::collection::vec(1_u64..3000, 1..80)) {
        let (every, lead, keep) = (1000, 100, 300);
        let rotation = KeyRotation {
            algorithm: "RS256".into(), generator: KeyGenerator::Rsa(2048), rotate_every: every, publish_before: lead, keep,
            demote_others: false,
        };
        let (mut now, mut keys, mut has_signed) = (1_000_000, Vec::new(), false);
        let mut ends = BTreeMap::new();
        for pause in pauses {
            now += pause;
            let step = rotate(now, &rotation, &keys);
            prop_assert_eq!(&rotate(now, &rotation, &step.keys).keys, &step.keys, "at once again changes nothing");
            prop_assert!(step.next.is_some_and(|next| next > now), "{:?} at {}", step.next, now);
            keys = step.keys;
            let signing: Vec<_> = keys.iter().filter(|key| key.enabled && key.active).collect();
            prop_assert!(signing.len() <= 1 && (!has_signed || signing.len() == 1), "{keys:?}");
            for key in &signing {
                has_signed = true;
                prop_assert!(key.activated.unwrap() >= key.created + lead, "{key:?} signs too early");
            }
            for key in &keys {
                if let Some(retired) = key.retired {
                    ends.entry(key.generation).or_insert(retired + keep);
                }
            }
            for (generation, end) in &ends {
                let verifies = keys.iter().any(|key| key.generation == *generation && key.enabled);
                prop_assert_eq!(verifies, now < *end, "generation {} at {}", generation, now);
            }
        }
    }
}
