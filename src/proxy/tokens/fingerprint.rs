//! A token's short name in memory.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
};

use siphasher::sip128::SipHasher24;

/// A whole token's SipHash-2-4 of 128 bits, never that of a part of it (CVE-2026-35030).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u128);

/// Hashes tokens by a key that nobody knows: who cannot compute a hash cannot look for two tokens of one. It costs a tenth
/// of SHA-256 where the processor has no instructions for that.
pub struct Fingerprints(SipHasher24);

impl Default for Fingerprints {
    fn default() -> Self {
        // Each half from random keys of its own.
        let half = || RandomState::new().hash_one(());
        Self(SipHasher24::new_with_keys(half(), half()))
    }
}

impl Fingerprints {
    /// Of the whole token.
    pub fn of(&self, token: &str) -> Fingerprint {
        Fingerprint(self.0.hash(token.as_bytes()).as_u128())
    }
}

/// Without its key.
impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprints")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_differ_in_one_byte_differ() {
        let all = Fingerprints::default();
        let long = "a".repeat(1200);
        assert_eq!(all.of(&long), all.of(&long.clone()));
        for at in [0, 600, 1199] {
            let mut other = long.clone();
            other.replace_range(at..=at, "b");
            assert_ne!(all.of(&long), all.of(&other), "byte {at}");
        }
    }

    #[test]
    fn each_key_gives_other_hashes() {
        assert_ne!(Fingerprints::default().of("a"), Fingerprints::default().of("a"));
    }
}
