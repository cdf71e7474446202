//! The plan for a realm's signing keys.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::core::desired::{KeyComponent, KeyRotation, KeyState};
use crate::core::diff::change::Change;
use crate::core::diff::fields::compare;

use super::rotation::{Step, rotate, wind_up};

/// What is to be done about signing keys now, and when to look again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyPlan {
    /// The changes, in order: at every moment in between some key signs.
    pub changes: Vec<Change>,
    /// Seconds since 1970; none if nothing is due.
    pub next: Option<u64>,
}

/// The realm's keys, as far as time and object decide on them.
#[derive(Clone, Copy, Debug)]
pub struct KeySetting<'a> {
    /// The id that stands for the realm: keys derive theirs from it.
    pub realm: Uuid,
    /// One rotation per algorithm.
    pub rotations: &'a [KeyRotation],
    /// How long what a key signed may live, in seconds: no key goes sooner.
    pub longest_lifetime: u64,
}

/// What it takes to take each rotation one step further. `now` is in seconds since 1970.
#[must_use]
pub fn plan_keys(now: u64, setting: &KeySetting<'_>, found: &[KeyComponent]) -> KeyPlan {
    let mut plan = KeyPlan::default();
    let mut later = Vec::new();
    for algorithm in algorithms(setting, found) {
        let keys = KeysOf::new(setting.realm, &algorithm, found);
        let rotation = setting.rotations.iter().find(|rotation| rotation.algorithm == algorithm);
        let step = match rotation {
            Some(rotation) => {
                let keep = rotation.keep.max(setting.longest_lifetime);
                rotate(now, &KeyRotation { keep, ..rotation.clone() }, &keys.states())
            }
            None => {
                wind_up(now, setting.longest_lifetime, &keys.states(), keys.others.iter().any(|key| key.is_signing()))
            }
        };
        let is_signing = step.keys.iter().any(|key| key.enabled && key.active);
        plan.changes.extend(kept(setting, &algorithm, &keys, &step));
        if is_signing && rotation.is_some_and(|rotation| rotation.demote_others) {
            later.extend(keys.others.iter().filter(|key| key.is_signing()).filter_map(|key| demoted(key)));
        }
        later.extend(keys.gone(&step));
        plan.next = [plan.next, step.next].into_iter().flatten().min();
    }
    plan.changes.extend(later);
    plan
}

/// The keys of one algorithm.
struct KeysOf<'a> {
    ours: BTreeMap<u64, (KeyState, &'a KeyComponent)>,
    others: Vec<&'a KeyComponent>,
}

impl<'a> KeysOf<'a> {
    fn new(realm: Uuid, algorithm: &str, found: &'a [KeyComponent]) -> Self {
        let mut keys = Self { ours: BTreeMap::new(), others: Vec::new() };
        for key in found.iter().filter(|key| key.algorithm() == Some(algorithm)) {
            match key.state(realm) {
                Some(state) => drop(keys.ours.insert(state.generation, (state, key))),
                None => keys.others.push(key),
            }
        }
        keys
    }

    fn states(&self) -> Vec<KeyState> {
        self.ours.values().map(|(state, _)| state.clone()).collect()
    }

    fn gone(&self, step: &Step) -> Vec<Change> {
        let stays = |generation| step.keys.iter().any(|key| key.generation == generation);
        let gone = self.ours.values().filter(|(state, _)| !stays(state.generation));
        gone.map(|(_, key)| Change::DeleteSigningKey { id: key.id.clone(), name: key.name.clone() }).collect()
    }
}

fn algorithms(setting: &KeySetting<'_>, found: &[KeyComponent]) -> BTreeSet<String> {
    let ours = found.iter().filter(|key| key.state(setting.realm).is_some());
    let ours = ours.filter_map(KeyComponent::algorithm).map(str::to_owned);
    ours.chain(setting.rotations.iter().map(|rotation| rotation.algorithm.clone())).collect()
}

/// New keys and changed ones; those that begin to sign before those that cease.
fn kept(setting: &KeySetting<'_>, algorithm: &str, keys: &KeysOf<'_>, step: &Step) -> Vec<Change> {
    let rotation = setting.rotations.iter().find(|rotation| rotation.algorithm == algorithm);
    let mut ordered: Vec<_> = step.keys.iter().collect();
    ordered.sort_by_key(|key| (!key.active, key.generation));
    let mut changes = Vec::new();
    for state in ordered {
        match (keys.ours.get(&state.generation), rotation) {
            (Some((_, found)), _) => {
                let key = KeyComponent { name: state.name(algorithm), config: state.config(), ..(*found).clone() };
                changes.extend(updated(found, key));
            }
            (None, Some(rotation)) => {
                changes.push(Change::CreateSigningKey { key: rotation.component(setting.realm, state) });
            }
            (None, None) => {}
        }
    }
    changes
}

fn demoted(found: &KeyComponent) -> Option<Change> {
    let config = BTreeMap::from([("active".to_owned(), vec!["false".to_owned()])]);
    updated(found, KeyComponent { config, ..found.clone() })
}

fn updated(found: &KeyComponent, key: KeyComponent) -> Option<Change> {
    let fields = compare(found, &key);
    (!fields.is_empty()).then_some(Change::UpdateSigningKey { key, fields })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::desired::KeyGenerator;

    const REALM: Uuid = Uuid::from_u128(7);

    fn rotation(demote_others: bool) -> KeyRotation {
        KeyRotation {
            algorithm: "RS256".into(),
            generator: KeyGenerator::Rsa(2048),
            rotate_every: 1000,
            publish_before: 100,
            keep: 10,
            demote_others,
        }
    }

    fn built_in() -> Vec<KeyComponent> {
        let component = |provider: &str, algorithm: Option<&str>| {
            let text = |text: &str| vec![text.to_owned()];
            let algorithm = algorithm.map(|algorithm| ("algorithm".to_owned(), text(algorithm)));
            let config = [("priority".to_owned(), text("100"))].into_iter().chain(algorithm).collect();
            let (id, provider) = (provider.to_owned(), provider.to_owned());
            KeyComponent { name: id.clone(), id, provider_id: provider, config, ..Default::default() }
        };
        vec![component("rsa-generated", None), component("hmac-generated", Some("HS512"))]
    }

    /// What Keycloak makes of a plan.
    fn carry_out(keys: &mut Vec<KeyComponent>, plan: KeyPlan) -> Vec<&'static str> {
        let kinds = plan.changes.iter().map(Change::kind).collect();
        for change in plan.changes {
            match change {
                Change::CreateSigningKey { key } => keys.push(key),
                Change::UpdateSigningKey { key, .. } => {
                    let found = keys.iter_mut().find(|found| found.id == key.id).expect("404: key");
                    found.name = key.name;
                    found.config.extend(key.config);
                }
                Change::DeleteSigningKey { id, .. } => keys.retain(|key| key.id != id),
                other => panic!("not a change of keys: {other}"),
            }
            let signing = |key: &&KeyComponent| key.algorithm() == Some("RS256") && key.is_signing();
            assert!(keys.iter().filter(signing).count() >= 1, "at every moment some key signs");
        }
        kinds
    }

    #[test]
    fn a_life_from_the_first_key_to_none() {
        let mut keys = built_in();
        let mut at = |now: u64, rotations: &[KeyRotation]| {
            let setting = KeySetting { realm: REALM, rotations, longest_lifetime: 300 };
            let plan = plan_keys(now, &setting, &keys);
            let kinds = carry_out(&mut keys, plan);
            let again = plan_keys(now, &setting, &keys);
            assert_eq!(again.changes, [], "at {now} a second plan is empty");
            (kinds, again.next, keys.iter().filter(|key| key.is_signing()).count())
        };
        let (ours, none) = ([rotation(true)], []);
        assert_eq!(at(0, &ours), (vec!["create_signing_key"], Some(100), 2));
        assert_eq!(at(100, &ours), (vec!["update_signing_key"; 2], Some(1000), 2), "ours signs, theirs does not");
        assert_eq!(at(1000, &ours), (vec!["create_signing_key"], Some(1100), 2));
        assert_eq!(at(1100, &ours), (vec!["update_signing_key"; 2], Some(1400), 2), "kept for the longest lifetime");
        assert_eq!(at(1400, &ours), (vec!["update_signing_key"], Some(1500), 2), "off");
        assert_eq!(at(1500, &ours), (vec!["delete_signing_key"], Some(2000), 2));
        // The built-in key was made passive, so ours has to go on.
        assert_eq!(at(1600, &none), (vec![], None, 2));
    }

    #[test]
    fn a_rotation_that_is_no_longer_named_ends_where_another_key_signs() {
        let mut keys = built_in();
        let setting = KeySetting { realm: REALM, rotations: &[rotation(false)], longest_lifetime: 300 };
        for now in [0, 100] {
            let plan = plan_keys(now, &setting, &keys);
            carry_out(&mut keys, plan);
        }
        assert_eq!(keys.iter().filter(|key| key.algorithm() == Some("RS256") && key.is_signing()).count(), 2);
        let ended = KeySetting { rotations: &[], ..setting };
        for (now, kinds, next) in [
            (200, vec!["update_signing_key"], Some(500)),
            (300, vec![], Some(500)),
            (500, vec!["delete_signing_key"], None),
        ] {
            let plan = plan_keys(now, &ended, &keys);
            assert_eq!(plan.next, next, "{now}");
            assert_eq!(carry_out(&mut keys, plan), kinds, "{now}");
        }
        assert_eq!(keys, built_in());
    }
}
