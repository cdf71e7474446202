//! Tokens that were verified before. One cache per worker thread: no lock.
//!
//! The entries live as long as the [`Trust`](super::verify::Trust) they were made by. Only successes are kept. Times are
//! the caller's to check at each hit.

use std::{collections::HashMap, rc::Rc};

use super::fingerprint::{Fingerprint, Fingerprints};

/// The most tokens kept per worker.
pub const CAPACITY: usize = 8192;

/// Values by token.
#[derive(Debug)]
pub struct TokenCache<V> {
    fingerprints: Fingerprints,
    generation: u64,
    entries: HashMap<Fingerprint, Entry<V>>,
}

#[derive(Debug)]
struct Entry<V> {
    value: Rc<V>,
    expires_at: i64,
}

impl<V> Default for TokenCache<V> {
    fn default() -> Self {
        Self { fingerprints: Fingerprints::default(), generation: 0, entries: HashMap::new() }
    }
}

impl<V> TokenCache<V> {
    /// By which a token is looked for.
    pub fn fingerprint(&self, token: &str) -> Fingerprint {
        self.fingerprints.of(token)
    }

    /// What was kept for this token under this generation.
    pub fn get(&mut self, generation: u64, token: &Fingerprint) -> Option<Rc<V>> {
        self.move_to(generation);
        self.entries.get(token).map(|entry| Rc::clone(&entry.value))
    }

    /// Keeps a value. When full, what has expired goes; if nothing has, everything.
    pub fn insert(&mut self, generation: u64, token: Fingerprint, value: Rc<V>, expires_at: i64, now: i64) {
        self.move_to(generation);
        if self.entries.len() >= CAPACITY {
            self.entries.retain(|_, entry| entry.expires_at > now);
            if self.entries.len() >= CAPACITY {
                self.entries.clear();
            }
        }
        self.entries.insert(token, Entry { value, expires_at });
    }

    fn move_to(&mut self, generation: u64) {
        if self.generation != generation {
            self.entries.clear();
            self.generation = generation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_die_with_their_generation() {
        let mut cache = TokenCache::default();
        let token = cache.fingerprint("a");
        cache.insert(1, token, Rc::new("x"), 10, 0);
        assert_eq!(cache.get(1, &token).as_deref(), Some(&"x"));
        assert_eq!(cache.get(2, &token), None);
        assert_eq!(cache.get(1, &token), None, "an older generation does not bring it back");
    }

    #[test]
    fn it_is_bounded_and_sheds_what_expired_first() {
        let (mut cache, fingerprints) = (TokenCache::default(), Fingerprints::default());
        let token = |n: usize| fingerprints.of(&n.to_string());
        for n in 0..CAPACITY {
            cache.insert(1, token(n), Rc::new(n), if n == 0 { 100 } else { 5 }, 0);
        }
        cache.insert(1, token(CAPACITY), Rc::new(0), 100, 6);
        assert_eq!(cache.entries.len(), 2);
        assert!(cache.get(1, &token(0)).is_some());
        for n in 0..=CAPACITY {
            cache.insert(1, token(n), Rc::new(n), 100, 6);
        }
        assert!(cache.entries.len() <= CAPACITY);
    }
}
