//! Who refers to whom, kept up to date change by change: a reconcile must not
//! search ten thousand objects for the three that concern it.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    sync::{PoisonError, RwLock},
};

use crate::core::name::Ref;

/// From a thing referred to, to the objects that refer to it, in order. Most have one: a tree for each would be most of
/// the memory.
pub struct Index<Key> {
    members: RwLock<HashMap<Key, Vec<Ref>>>,
}

impl<Key> Default for Index<Key> {
    fn default() -> Self {
        Self { members: RwLock::default() }
    }
}

impl<Key: Hash + Eq> Index<Key> {
    /// The objects that refer to `key`, in order.
    pub fn get(&self, key: &Key) -> Vec<Ref> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.get(key).cloned().unwrap_or_default()
    }

    /// `member` referred to `old` and refers to `new` now.
    pub fn replace(&self, member: &Ref, old: impl IntoIterator<Item = Key>, new: impl IntoIterator<Item = Key>) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        for key in old {
            let Entry::Occupied(mut found) = members.entry(key) else { continue };
            if let Ok(at) = found.get().binary_search(member) {
                found.get_mut().remove(at);
            }
            if found.get().is_empty() {
                found.remove();
            }
        }
        for key in new {
            let found = members.entry(key).or_insert_with(|| Vec::with_capacity(1));
            if let Err(at) = found.binary_search(member) {
                found.insert(at, member.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_come_and_go() {
        let index = Index::default();
        let (a, b) = (Ref::new("n", "a"), Ref::new("n", "b"));
        index.replace(&a, [], ["x", "y"]);
        index.replace(&b, [], ["x"]);
        assert_eq!(index.get(&"x"), [a.clone(), b.clone()]);
        index.replace(&a, ["x", "y"], ["y"]);
        assert_eq!((index.get(&"x"), index.get(&"y")), (vec![b.clone()], vec![a.clone()]));
        index.replace(&b, ["x"], []);
        assert_eq!(index.get(&"x"), []);
    }
}
