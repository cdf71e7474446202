//! Who refers to whom, kept up to date change by change: a reconcile must not
//! search ten thousand objects for the three that concern it.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::{PoisonError, RwLock},
};

use crate::core::name::Ref;

/// From a thing referred to, to the objects that refer to it.
pub struct Index<Key> {
    members: RwLock<HashMap<Key, BTreeSet<Ref>>>,
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
        members.get(key).map(|found| found.iter().cloned().collect()).unwrap_or_default()
    }

    /// `member` referred to `old` and refers to `new` now.
    pub fn replace(&self, member: &Ref, old: impl IntoIterator<Item = Key>, new: impl IntoIterator<Item = Key>) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        for key in old {
            if let Some(found) = members.get_mut(&key) {
                found.remove(member);
                if found.is_empty() {
                    members.remove(&key);
                }
            }
        }
        for key in new {
            members.entry(key).or_default().insert(member.clone());
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
