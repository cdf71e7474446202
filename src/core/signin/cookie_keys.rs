//! What seals the sessions of an application: a key, and the one before it for as long as a session lasts. Pure.

use serde::{Deserialize, Serialize};

use crate::core::credential::Hidden;

/// The files that a guard reads: the key that seals, and the one before it.
pub const COOKIE_KEYS: [&str; 2] = ["cookie.key", "cookie.previous.key"];

/// How long one seals, in seconds: 30 days, as long as the longest session.
const EVERY: i64 = 30 * 24 * 60 * 60;
/// How long the next one only opens, in seconds: by then every pod has it.
const SPREAD: i64 = 10 * 60;

/// All that is kept of an application. Each key opens at every pod before it seals at any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CookieKeys {
    /// The one that seals: base64 of random bytes.
    pub current: Hidden,
    /// Since when it does, in seconds since the epoch.
    pub since: i64,
    /// The one beside it, which only opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Other>,
}

/// A key that only opens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Other {
    /// The one before.
    Previous(Hidden),
    /// The one that comes next, and since when pods are given it, in seconds since the epoch.
    Next(Hidden, i64),
}

impl CookieKeys {
    /// The entries of an application in the Secret of credentials: as in [`COOKIE_KEYS`]. No identity's are called so: its
    /// name has no dot.
    pub fn entries(app: &str) -> [String; 2] {
        COOKIE_KEYS.map(|file| format!("{app}.app.{file}"))
    }

    /// The entry with the operator's own account of them.
    pub fn account(app: &str) -> String {
        format!("{app}.app.kept.json")
    }

    /// The first. `now` is in seconds since the epoch.
    pub fn first(key: Hidden, now: i64) -> Self {
        Self { current: key, since: now, other: None }
    }

    /// The key beside the one that seals.
    pub fn beside(&self) -> Option<&Hidden> {
        self.other.as_ref().map(|(Other::Previous(key) | Other::Next(key, _))| key)
    }

    /// When something is to be done, in seconds since the epoch.
    pub fn due(&self) -> i64 {
        match &self.other {
            Some(Other::Next(_, given)) => given.saturating_add(SPREAD),
            Some(Other::Previous(_)) | None => self.since.saturating_add(EVERY),
        }
    }

    /// What is due, done; `None` while nothing is. `make` gives a new key.
    ///
    /// # Errors
    /// Those of `make`.
    pub fn step<E>(&self, now: i64, make: impl FnOnce() -> Result<Hidden, E>) -> Result<Option<Self>, E> {
        if now < self.due() {
            return Ok(None);
        }
        let Self { current, since, other } = self.clone();
        Ok(Some(match other {
            Some(Other::Next(next, _)) => Self { current: next, since: now, other: Some(Other::Previous(current)) },
            Some(Other::Previous(_)) | None => Self { current, since, other: Some(Other::Next(make()?, now)) },
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn key(text: &str) -> Hidden {
        Hidden::new(text.into())
    }

    #[test]
    fn a_key_opens_before_it_seals_and_after_it_did() {
        let step =
            |keys: &CookieKeys, now, new: &str| keys.step(now, || Ok::<_, Infallible>(key(new))).expect("infallible");
        let shown =
            |keys: &CookieKeys| (keys.current.expose().to_owned(), keys.beside().map(|key| key.expose().to_owned()));
        let first = CookieKeys::first(key("a"), 1000);
        assert_eq!(step(&first, 999 + EVERY, "b"), None);
        let told = step(&first, 1000 + EVERY, "b").expect("due");
        assert_eq!(shown(&told), ("a".into(), Some("b".into())), "b opens");
        assert_eq!(step(&told, 999 + EVERY + SPREAD, "c"), None, "pods may not have it yet");
        let second = step(&told, 1000 + EVERY + SPREAD, "c").expect("due");
        assert_eq!(shown(&second), ("b".into(), Some("a".into())), "a opens what it has sealed");
        let third = step(&second, 1000 + 2 * EVERY + SPREAD, "c").expect("due");
        assert_eq!(shown(&third), ("b".into(), Some("c".into())), "no session is that old");
    }

    #[test]
    fn entries_are_no_identitys() {
        assert_eq!(CookieKeys::entries("dagster"), ["dagster.app.cookie.key", "dagster.app.cookie.previous.key"]);
        assert_eq!(CookieKeys::account("dagster"), "dagster.app.kept.json");
    }
}
