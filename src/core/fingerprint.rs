//! A short name for a value, the same on every machine and in every run: what was done is told from what is to be done
//! without keeping either.

use std::{
    fmt,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
};

use serde::Serialize;
use uuid::Uuid;

/// A number for a value, for as long as the process runs: to spread or to index by, never to keep. Two values may share one.
#[must_use]
pub fn number(value: &impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

/// Equal for equal values, different for different ones.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(Uuid);

impl Fingerprint {
    /// The fingerprint of the value's JSON. Its maps have to be ordered ones.
    ///
    /// A value without a JSON form has none, and so is never taken for one that is known.
    #[must_use]
    pub fn of(value: &impl Serialize) -> Option<Self> {
        let json = serde_json::to_vec(value).ok()?;
        Some(Self(Uuid::new_v5(&Uuid::NAMESPACE_OID, &json)))
    }

    /// Reads what [`fmt::Display`] wrote; none for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn equal_values_and_no_others_have_it() {
        let one = Fingerprint::of(&BTreeMap::from([("a", 1), ("b", 2)])).expect("JSON");
        assert_eq!(Fingerprint::of(&BTreeMap::from([("b", 2), ("a", 1)])), Some(one.clone()));
        assert_ne!(Fingerprint::of(&BTreeMap::from([("a", 1)])), Some(one.clone()));
        assert_eq!(Fingerprint::parse(&one.to_string()), Some(one));
        assert_eq!(Fingerprint::parse("forged"), None);
        assert_eq!(Fingerprint::of(&BTreeMap::from([((1, 2), 3)])), None, "no JSON form");
    }
}
