//! When a credential is replaced, and in which order: made, known to Keycloak, handed out, used by all, the old one gone.
//!
//! Each step is written down before the next is taken, so whoever comes after a crash goes on where it was.

use serde::{Deserialize, Serialize};

use super::{Jwk, Material, Method};

/// What an identity wants of its credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What it logs in with.
    pub method: Method,
    /// How long one is used, in seconds.
    pub every: i64,
    /// How long an old one lives at most beside its successor, in seconds.
    pub overlap: i64,
    /// A word that asks for another one, where it is not the word that was answered last.
    pub rotate: Option<String>,
    /// The same where the present one is suspected: it dies first.
    pub revoke: Option<String>,
}

/// One of the two clients that an identity with a secret has: Keycloak knows only one secret of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// The one that every identity has.
    #[default]
    First,
    /// The other one.
    Second,
}

impl Slot {
    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// One credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Key {
    /// Of two, the later has the higher.
    pub number: u64,
    /// In seconds since the epoch.
    pub made_at: i64,
    /// The client that logs in with it.
    pub slot: Slot,
    /// What it logs in with.
    pub material: Material,
}

/// One that has a successor and still works, for pods that are late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retiring {
    /// The client that logs in with it.
    pub slot: Slot,
    /// Its public half, where it has one.
    pub jwk: Option<Jwk>,
    /// When its successor was handed out, in seconds since the epoch.
    pub since: i64,
}

/// Why another one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
pub enum Why {
    /// There is none.
    First,
    /// The identity wants to log in otherwise.
    Method,
    /// Somebody asked for it.
    Asked,
    /// It has been used for long enough.
    Scheduled,
    /// The present one is suspected.
    Revoked,
}

/// All that is kept of an identity's credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kept {
    /// The one that pods are given.
    pub current: Option<Key>,
    /// The one that Keycloak is being told of.
    pub next: Option<Key>,
    /// The one before.
    pub retiring: Option<Retiring>,
    /// Tokens issued before this time, in seconds since the epoch, count no more.
    pub revoked_before: Option<i64>,
    is_revoking: bool,
    rotated_for: Option<String>,
    revoked_for: Option<String>,
}

impl Kept {
    /// Whether another one is to be made now, and why. `now` is in seconds since the epoch.
    #[must_use]
    pub fn due(&self, rules: &Rules, now: i64) -> Option<Why> {
        let is_new = |asked: &Option<String>, answered: &Option<String>| asked.is_some() && asked != answered;
        let Some(current) = &self.current else {
            return self.next.as_ref().is_none_or(|next| next.material.method() != rules.method).then_some(Why::First);
        };
        if is_new(&rules.revoke, &self.revoked_for) {
            return Some(Why::Revoked);
        }
        if let Some(next) = &self.next {
            return (next.material.method() != rules.method).then_some(Why::Method);
        }
        if current.material.method() != rules.method {
            return Some(Why::Method);
        }
        // There is room for two: the one before has to be gone.
        if self.retiring.is_some() {
            return None;
        }
        if is_new(&rules.rotate, &self.rotated_for) {
            return Some(Why::Asked);
        }
        (now >= current.made_at.saturating_add(rules.every)).then_some(Why::Scheduled)
    }

    /// Another one was made; Keycloak is to be told of it.
    pub fn begin(&mut self, rules: &Rules, why: Why, number: u64, made_at: i64, material: Material) {
        let slot = match (material.method(), &self.current) {
            (Method::ClientSecret, Some(Key { slot, material: Material::ClientSecret { .. }, .. })) => slot.other(),
            _ => Slot::First,
        };
        self.next = Some(Key { number, made_at, slot, material });
        self.is_revoking |= why == Why::Revoked;
        // What was asked for before this one was made is answered with it.
        self.rotated_for.clone_from(&rules.rotate);
        self.revoked_for.clone_from(&rules.revoke);
        if self.is_revoking {
            self.retiring = None;
        }
    }

    /// The number of the next one: by the clock, in milliseconds, and higher than all before.
    #[must_use]
    pub fn number(&self, now: u64) -> u64 {
        let last = self.current.iter().chain(&self.next).map(|key| key.number).max();
        last.map_or(now, |last| now.max(last + 1))
    }

    /// Keycloak knows the next one: pods are to have it. `now` is in seconds since the epoch.
    pub fn promote(&mut self, now: i64) {
        let Some(next) = self.next.take() else { return };
        let before = self.current.replace(next);
        if std::mem::take(&mut self.is_revoking) {
            // In this second, too.
            self.revoked_before = Some(now.saturating_add(1));
            return;
        }
        let method = self.current.as_ref().map(|key| key.material.method());
        // A client logs in in one way only: of another way nothing is left.
        let before = before.filter(|before| Some(before.material.method()) == method);
        self.retiring =
            before.map(|Key { slot, material, .. }| Retiring { slot, jwk: material.jwk().cloned(), since: now });
    }

    /// Every pod uses the present one.
    pub fn retire(&mut self) {
        self.retiring = None;
    }

    /// Whether the one before has had its time, whoever still uses it.
    #[must_use]
    pub fn is_overdue(&self, rules: &Rules, now: i64) -> bool {
        self.retiring.as_ref().is_some_and(|old| now >= old.since.saturating_add(rules.overlap))
    }

    /// When something is due by the clock alone, in seconds since the epoch.
    #[must_use]
    pub fn next_turn(&self, rules: &Rules) -> Option<i64> {
        let retires = self.retiring.as_ref().map(|old| old.since.saturating_add(rules.overlap));
        retires.or_else(|| self.current.as_ref().map(|key| key.made_at.saturating_add(rules.every)))
    }

    /// The public keys that Keycloak is to take assertions by.
    #[must_use]
    pub fn jwks(&self) -> Vec<&Jwk> {
        let next = self.next.iter().filter_map(|key| key.material.jwk());
        let current = self.current.iter().filter(|_| !self.is_revoking).filter_map(|key| key.material.jwk());
        let retiring = self.retiring.iter().filter_map(|old| old.jwk.as_ref());
        retiring.chain(current).chain(next).collect()
    }

    /// Whether the client in this slot may log in.
    #[must_use]
    pub fn is_open(&self, slot: Slot) -> bool {
        let current = self.current.iter().filter(|_| !self.is_revoking).map(|key| key.slot);
        let next = self.next.iter().map(|key| key.slot);
        let retiring = self.retiring.iter().map(|old| old.slot);
        current.chain(next).chain(retiring).any(|open| open == slot)
    }

    /// The credential of the client in this slot, where it is still known here.
    #[must_use]
    pub fn of_slot(&self, slot: Slot) -> Option<&Key> {
        self.next.iter().chain(&self.current).find(|key| key.slot == slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::credential::Hidden;

    fn material(method: Method, name: &str) -> Material {
        match method {
            Method::PrivateKeyJwt => Material::PrivateKeyJwt {
                jwk: Jwk { kid: name.into(), x: "x".into(), y: "y".into() },
                pkcs8: Hidden::new("key".into()),
            },
            Method::ClientSecret => Material::ClientSecret { secret: Hidden::new(name.into()) },
        }
    }

    fn rules(method: Method) -> Rules {
        Rules { method, every: 100, overlap: 10, rotate: None, revoke: None }
    }

    fn turn(kept: &mut Kept, rules: &Rules, now: i64, name: &str) -> Option<Why> {
        let why = kept.due(rules, now)?;
        let number = kept.number(now.unsigned_abs() * 1000);
        kept.begin(rules, why, number, now, material(rules.method, name));
        Some(why)
    }

    fn keys(kept: &Kept) -> Vec<&str> {
        kept.jwks().into_iter().map(|jwk| &*jwk.kid).collect()
    }

    #[test]
    fn the_new_one_is_there_before_the_old_one_goes() {
        let (mut kept, rules) = (Kept::default(), rules(Method::PrivateKeyJwt));
        assert_eq!(turn(&mut kept, &rules, 0, "a"), Some(Why::First));
        assert_eq!(turn(&mut kept, &rules, 0, "b"), None, "a crash here makes no second one");
        assert_eq!((kept.current.is_some(), keys(&kept)), (false, vec!["a"]));
        kept.promote(1);
        assert_eq!(turn(&mut kept, &rules, 99, "b"), None);
        assert_eq!(turn(&mut kept, &rules, 100, "b"), Some(Why::Scheduled));
        assert_eq!(keys(&kept), ["a", "b"], "Keycloak first");
        kept.promote(101);
        assert_eq!(kept.current.as_ref().map(|key| key.number), Some(100_000));
        assert_eq!(keys(&kept), ["a", "b"], "for pods that are late");
        assert_eq!((kept.is_overdue(&rules, 110), kept.is_overdue(&rules, 111)), (false, true));
        assert_eq!(kept.next_turn(&rules), Some(111));
        assert_eq!(turn(&mut kept, &rules, 300, "c"), None, "one at a time");
        kept.retire();
        assert_eq!(keys(&kept), ["b"]);
        assert_eq!(kept.next_turn(&rules), Some(200));
    }

    #[test]
    fn a_word_is_answered_once() {
        let mut kept = Kept::default();
        let asking = |word: &str| Rules { rotate: Some(word.into()), ..rules(Method::PrivateKeyJwt) };
        turn(&mut kept, &asking("one"), 0, "a");
        kept.promote(0);
        assert_eq!(turn(&mut kept, &asking("one"), 1, "b"), None, "it stood there before there was any");
        assert_eq!(turn(&mut kept, &asking("two"), 1, "b"), Some(Why::Asked));
        kept.promote(1);
        kept.retire();
        assert_eq!(turn(&mut kept, &asking("two"), 2, "c"), None);
        assert_eq!(turn(&mut kept, &rules(Method::PrivateKeyJwt), 2, "c"), None, "nothing is asked for any more");
    }

    #[test]
    fn a_suspected_one_dies_first() {
        let mut kept = Kept::default();
        turn(&mut kept, &rules(Method::PrivateKeyJwt), 0, "a");
        kept.promote(0);
        turn(&mut kept, &rules(Method::PrivateKeyJwt), 100, "b");
        kept.promote(100);
        assert_eq!(keys(&kept), ["a", "b"]);
        let revoking = Rules { revoke: Some("stolen".into()), ..rules(Method::PrivateKeyJwt) };
        assert_eq!(turn(&mut kept, &revoking, 103, "c"), Some(Why::Revoked), "whatever else goes on");
        assert_eq!(keys(&kept), ["c"]);
        kept.promote(104);
        assert_eq!((keys(&kept), kept.revoked_before, kept.retiring.is_none()), (vec!["c"], Some(105), true));
        assert_eq!(turn(&mut kept, &revoking, 105, "d"), None);
    }

    #[test]
    fn secrets_take_turns_between_two_clients() {
        let (mut kept, rules) = (Kept::default(), rules(Method::ClientSecret));
        let open = |kept: &Kept| (kept.is_open(Slot::First), kept.is_open(Slot::Second));
        turn(&mut kept, &rules, 0, "a");
        kept.promote(0);
        assert_eq!(open(&kept), (true, false));
        turn(&mut kept, &rules, 100, "b");
        assert_eq!(open(&kept), (true, true));
        kept.promote(100);
        assert_eq!((open(&kept), kept.of_slot(Slot::First)), ((true, true), None), "nobody knows the old one any more");
        kept.retire();
        assert_eq!(open(&kept), (false, true));
        turn(&mut kept, &rules, 200, "c");
        kept.promote(200);
        kept.retire();
        assert_eq!(open(&kept), (true, false));
    }

    #[test]
    fn another_way_to_log_in_leaves_nothing_of_the_old() {
        let mut kept = Kept::default();
        turn(&mut kept, &rules(Method::ClientSecret), 0, "a");
        kept.promote(0);
        turn(&mut kept, &rules(Method::ClientSecret), 100, "b");
        kept.promote(100);
        assert_eq!(turn(&mut kept, &rules(Method::PrivateKeyJwt), 101, "c"), Some(Why::Method));
        kept.promote(101);
        assert_eq!((kept.retiring.clone(), kept.current.as_ref().map(|key| key.slot)), (None, Some(Slot::First)));
    }

    #[test]
    fn numbers_only_rise() {
        let mut kept = Kept::default();
        turn(&mut kept, &rules(Method::ClientSecret), 1_000, "a");
        assert_eq!((kept.number(5), kept.number(2_000_000)), (1_000_001, 2_000_000));
    }
}
