//! When a signing key is made, signs, retires and goes: a function of the time and of the keys that are there.

use crate::core::desired::{KeyRotation, KeyState};

/// What becomes of the keys of one algorithm now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// The keys that stay or are made, by generation. What was given and is not among them goes.
    pub keys: Vec<KeyState>,
    /// When to look again, in seconds since 1970; none if nothing is due.
    pub next: Option<u64>,
}

impl Step {
    fn look_at(&mut self, time: u64) {
        self.next = Some(self.next.map_or(time, |next| next.min(time)));
    }
}

/// One step of a rotation.
///
/// A new key is published for the lead time before it signs, counted from when it was really made: after a time without
/// us no key signs that verifiers could not have fetched.
pub(super) fn rotate(now: u64, rotation: &KeyRotation, found: &[KeyState]) -> Step {
    let mut step = Step { keys: sorted(found), next: None };
    let last = step.keys.last().map_or(0, |key| key.generation);
    let signing = step.keys.iter().rev().find(|key| key.enabled && key.active).cloned();
    let since = signing.as_ref().map(|key| key.activated.unwrap_or(key.created));
    let due = since.map_or(now, |since| since.saturating_add(rotation.rotate_every));
    let begun = signing.as_ref().map_or(0, |key| key.generation);
    let pending = step.keys.iter().position(|key| key.generation > begun && is_pending(key));
    match pending {
        Some(at) => activate_if_due(now, due, rotation, &mut step, at),
        None if now.saturating_add(rotation.publish_before) >= due => {
            step.keys.push(KeyState {
                generation: last + 1,
                enabled: true,
                active: false,
                created: now,
                activated: None,
                retired: None,
            });
            step.look_at(now.saturating_add(rotation.publish_before).max(due));
        }
        None => step.look_at(due.saturating_sub(rotation.publish_before)),
    }
    retire(now, rotation, &mut step);
    step
}

/// One step towards having no keys of the algorithm. `has_successor`: somebody else's key signs, so ours need not.
pub(super) fn wind_up(now: u64, keep: u64, found: &[KeyState], has_successor: bool) -> Step {
    let mut step = Step { keys: sorted(found), next: None };
    if !has_successor && step.keys.iter().any(|key| key.enabled && key.active) {
        return step;
    }
    for key in &mut step.keys {
        key.active = false;
    }
    // What never signed has nothing to verify.
    step.keys.retain(|key| key.activated.is_some() || key.retired.is_some());
    age(now, keep, 0, &mut step);
    step
}

fn is_pending(key: &KeyState) -> bool {
    key.enabled && !key.active && key.retired.is_none() && key.activated.is_none()
}

fn activate_if_due(now: u64, due: u64, rotation: &KeyRotation, step: &mut Step, at: usize) {
    let Some(key) = step.keys.get_mut(at) else { return };
    let due = key.created.saturating_add(rotation.publish_before).max(due);
    if now < due {
        return step.look_at(due);
    }
    key.active = true;
    key.activated = Some(now);
    let again = now.saturating_add(rotation.rotate_every.saturating_sub(rotation.publish_before));
    step.look_at(again);
}

/// Only the latest of the active keys signs; the others verify for a while.
fn retire(now: u64, rotation: &KeyRotation, step: &mut Step) {
    let signing = step.keys.iter().filter(|key| key.enabled && key.active).map(|key| key.generation).max();
    for key in &mut step.keys {
        if Some(key.generation) == signing {
            key.activated.get_or_insert(now);
            key.retired = None;
        } else {
            key.active = false;
        }
    }
    age(now, rotation.keep, rotation.publish_before, step);
}

/// Keys that sign no more are switched off after `keep`, and go `grace` later.
fn age(now: u64, keep: u64, grace: u64, step: &mut Step) {
    let mut times = Vec::new();
    step.keys.retain_mut(|key| {
        if key.active || is_pending(key) {
            return true;
        }
        let off = key.retired.get_or_insert(now).saturating_add(keep);
        let gone = off.saturating_add(grace);
        if now >= gone {
            return false;
        }
        key.enabled = key.enabled && now < off;
        times.push(if now < off { off } else { gone });
        true
    });
    times.into_iter().for_each(|time| step.look_at(time));
}

fn sorted(found: &[KeyState]) -> Vec<KeyState> {
    let mut keys = found.to_vec();
    keys.sort_by_key(|key| key.generation);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::desired::KeyGenerator;

    const ROTATION_EVERY: u64 = 1000;
    const LEAD: u64 = 100;
    const KEEP: u64 = 300;

    fn rotation() -> KeyRotation {
        KeyRotation {
            algorithm: "RS256".into(),
            generator: KeyGenerator::Rsa(2048),
            rotate_every: ROTATION_EVERY,
            publish_before: LEAD,
            keep: KEEP,
            demote_others: false,
        }
    }

    /// A key in one of the moments of its life: made, signing, retired or off.
    fn key(generation: u64, life: &str, at: u64) -> KeyState {
        let made = KeyState { generation, enabled: true, active: false, created: at, activated: None, retired: None };
        match life {
            "made" => made,
            "signing" => KeyState { active: true, activated: Some(at), created: at - LEAD, ..made },
            "retired" => KeyState { activated: Some(1), retired: Some(at), created: 1, ..made },
            "off" => KeyState { enabled: false, activated: Some(1), retired: Some(at), created: 1, ..made },
            other => panic!("{other}"),
        }
    }

    #[test]
    fn each_moment_has_its_step() {
        let (start, end) = (10_000, 10_000 + ROTATION_EVERY);
        for (case, now, found, expected, next) in [
            ("nothing yet: published, not signing", start, vec![], vec![key(1, "made", start)], Some(start + LEAD)),
            (
                "not published long enough",
                start + 99,
                vec![key(1, "made", start)],
                vec![key(1, "made", start)],
                Some(start + LEAD),
            ),
            (
                "signs after the lead",
                start + LEAD,
                vec![key(1, "made", start)],
                vec![key(1, "signing", start + LEAD)],
                Some(start + ROTATION_EVERY),
            ),
            ("signs on", start + 5, vec![key(1, "signing", start)], vec![key(1, "signing", start)], Some(end - LEAD)),
            (
                "the next one is published ahead",
                end - LEAD,
                vec![key(1, "signing", start)],
                vec![key(1, "signing", start), key(2, "made", end - LEAD)],
                Some(end),
            ),
            (
                "takes over; the old one verifies",
                end,
                vec![key(1, "signing", start), key(2, "made", end - LEAD)],
                vec![
                    KeyState { active: false, retired: Some(end), ..key(1, "signing", start) },
                    key(2, "signing", end),
                ],
                Some(end + KEEP),
            ),
            (
                "we were away: the lead is kept",
                end + 500,
                vec![key(1, "signing", start)],
                vec![key(1, "signing", start), key(2, "made", end + 500)],
                Some(end + 500 + LEAD),
            ),
            (
                "the old one goes off",
                end + KEEP,
                vec![key(1, "retired", end), key(2, "signing", end)],
                vec![key(1, "off", end), key(2, "signing", end)],
                Some(end + KEEP + LEAD),
            ),
            (
                "and is deleted",
                end + KEEP + LEAD,
                vec![key(1, "off", end), key(2, "signing", end)],
                vec![key(2, "signing", end)],
                Some(end + ROTATION_EVERY - LEAD),
            ),
            (
                "two sign after a crash: the older retires",
                end + 1,
                vec![key(2, "signing", end), key(1, "signing", start)],
                vec![
                    KeyState { active: false, retired: Some(end + 1), ..key(1, "signing", start) },
                    key(2, "signing", end),
                ],
                Some(end + 1 + KEEP),
            ),
            (
                "switched off by hand: another is published",
                start + 5,
                vec![KeyState { enabled: false, ..key(1, "signing", start) }],
                vec![
                    KeyState { enabled: false, active: false, retired: Some(start + 5), ..key(1, "signing", start) },
                    key(2, "made", start + 5),
                ],
                Some(start + 5 + LEAD),
            ),
        ] {
            let step = rotate(now, &rotation(), &found);
            assert_eq!(step, Step { keys: expected, next }, "{case}");
            let again = rotate(now, &rotation(), &step.keys);
            assert_eq!(again.keys, step.keys, "{case}: a second step changes nothing");
        }
    }

    #[test]
    fn whoever_verifies_always_has_the_key() {
        // Looked at every 37 seconds for ten rotations.
        let (mut keys, mut now) = (Vec::new(), 5_000);
        let mut published = std::collections::BTreeMap::new();
        let mut last_signed = std::collections::BTreeMap::new();
        while now < 5_000 + 10 * ROTATION_EVERY {
            keys = rotate(now, &rotation(), &keys).keys;
            for key in &keys {
                let since = *published.entry(key.generation).or_insert(now);
                if key.active {
                    assert!(now >= since + LEAD, "generation {} signs too early", key.generation);
                    last_signed.insert(key.generation, now);
                }
            }
            for (generation, last) in &last_signed {
                let verifies = keys.iter().any(|key| key.generation == *generation && key.enabled);
                assert!(verifies || now >= last + KEEP, "generation {generation} goes too early");
            }
            assert!(keys.iter().filter(|key| key.active).count() <= 1 && keys.len() <= 3, "{keys:?}");
            now += 37;
        }
        assert!(last_signed.len() >= 9, "{last_signed:?}");
    }

    #[test]
    fn nothing_stops_signing_without_a_successor() {
        let found = [key(1, "signing", 500), key(2, "made", 900)];
        assert_eq!(wind_up(1000, KEEP, &found, false), Step { keys: found.to_vec(), next: None });
        let retired = KeyState { active: false, retired: Some(1000), ..found[0].clone() };
        let step = wind_up(1000, KEEP, &found, true);
        assert_eq!(step, Step { keys: vec![retired.clone()], next: Some(1000 + KEEP) });
        assert_eq!(wind_up(1000 + KEEP, KEEP, &[retired], true), Step::default());
    }
}
