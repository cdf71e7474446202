//! The latest version of each document, and who waits for the next one.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::watch;

use super::DocumentKey;

/// A version of a document, or of its absence, as one line of JSON that all streams share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Newest wins.
    pub number: u64,
    /// The line, with its line feed.
    pub line: Bytes,
    /// The document is gone.
    pub deleted: bool,
    /// The only ServiceAccount of the namespace that is told; `None`: each is.
    pub only_for: Option<String>,
}

impl Version {
    /// The version that says: the document with this number is gone.
    pub fn deleted_after(number: u64) -> Self {
        let number = number.saturating_add(1);
        let line = format!("{}\n", json!({"deleted": true, "number": number}));
        Self { number, line: line.into(), deleted: true, only_for: None }
    }
}

type Slots = HashMap<DocumentKey, watch::Sender<Option<Version>>>;

/// All documents.
#[derive(Debug, Default)]
pub struct Documents {
    slots: Mutex<Slots>,
}

/// One listener of one document.
#[derive(Debug)]
pub struct Subscription {
    key: DocumentKey,
    documents: Arc<Documents>,
    /// The newest version; `None`: nothing is known of the document.
    pub versions: watch::Receiver<Option<Version>>,
}

impl Documents {
    /// Takes a version, unless a newer one is there.
    pub fn publish(&self, key: DocumentKey, version: Version) {
        let mut slots = self.lock();
        let slot = slots.entry(key).or_insert_with(|| watch::channel(None).0);
        slot.send_if_modified(|current| {
            let newer = current.as_ref().is_none_or(|current| version.number > current.number);
            if newer {
                *current = Some(version);
            }
            newer
        });
    }

    /// A document is gone: its listeners are told.
    pub fn delete(&self, key: &DocumentKey) {
        let mut slots = self.lock();
        if let Some(slot) = slots.get(key) {
            delete_in(slot);
            if slot.is_closed() {
                slots.remove(key);
            }
        }
    }

    /// Every document that is not among these is gone.
    pub fn retain(&self, present: &HashSet<DocumentKey>) {
        self.lock().retain(|key, slot| {
            let here = present.contains(key);
            if !here {
                delete_in(slot);
            }
            here || !slot.is_closed()
        });
    }

    /// Listens to a document, whether it exists or not.
    pub fn subscribe(self: &Arc<Self>, key: DocumentKey) -> Subscription {
        let mut slots = self.lock();
        let slot = slots.entry(key.clone()).or_insert_with(|| watch::channel(None).0);
        let versions = slot.subscribe();
        Subscription { key, documents: Arc::clone(self), versions }
    }

    // Each change is one insertion or removal: the map is whole even after a panic.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delete_in(slot: &watch::Sender<Option<Version>>) {
    slot.send_if_modified(|current| match current {
        Some(version) if !version.deleted => {
            *version = Version::deleted_after(version.number);
            true
        }
        _ => false,
    });
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut slots = self.documents.lock();
        // The last listener of a document that is not there leaves nothing behind.
        let Some(slot) = slots.get(&self.key) else { return };
        let absent = slot.borrow().as_ref().is_none_or(|version| version.deleted);
        if absent && slot.receiver_count() <= 1 {
            slots.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{core::name::Ref, policy::DocumentKind};

    fn key(name: &str) -> DocumentKey {
        DocumentKey { kind: DocumentKind::Guard, object: Ref::new("vision", name) }
    }

    fn version(number: u64) -> Version {
        Version { number, line: format!("{number}\n").into(), deleted: false, only_for: None }
    }

    fn seen(subscription: &mut Subscription) -> Option<(u64, bool)> {
        subscription.versions.borrow_and_update().as_ref().map(|version| (version.number, version.deleted))
    }

    #[test]
    fn the_newest_number_wins() {
        let documents = Arc::new(Documents::default());
        let mut early = documents.subscribe(key("iris"));
        assert_eq!(seen(&mut early), None);
        documents.publish(key("iris"), version(5));
        assert!(early.versions.has_changed().unwrap());
        assert_eq!(seen(&mut early), Some((5, false)));
        documents.publish(key("iris"), version(4));
        documents.publish(key("iris"), version(5));
        assert!(!early.versions.has_changed().unwrap());
        documents.publish(key("iris"), version(6));
        assert_eq!(seen(&mut early), Some((6, false)));
        assert_eq!(seen(&mut documents.subscribe(key("iris"))), Some((6, false)), "a late listener sees it too");
    }

    #[test]
    fn a_deletion_is_told_once_and_forgotten_with_its_last_listener() {
        let documents = Arc::new(Documents::default());
        documents.publish(key("iris"), version(5));
        let (mut one, mut two) = (documents.subscribe(key("iris")), documents.subscribe(key("iris")));
        documents.delete(&key("iris"));
        assert_eq!((seen(&mut one), seen(&mut two)), (Some((6, true)), Some((6, true))));
        documents.delete(&key("iris"));
        assert_eq!(seen(&mut one), Some((6, true)), "not counted twice");
        drop(one);
        assert_eq!(documents.lock().len(), 1);
        documents.publish(key("iris"), version(9));
        assert_eq!(seen(&mut two), Some((9, false)), "made again");
        documents.delete(&key("iris"));
        drop(two);
        assert_eq!(documents.lock().len(), 0);
        drop(documents.subscribe(key("never")));
        assert_eq!(documents.lock().len(), 0);
    }

    #[test]
    fn a_relist_deletes_what_it_lacks() {
        let documents = Arc::new(Documents::default());
        documents.publish(key("kept"), version(1));
        documents.publish(key("gone"), version(1));
        documents.publish(key("forgotten"), version(1));
        let (mut gone, mut waiting) = (documents.subscribe(key("gone")), documents.subscribe(key("waiting")));
        documents.retain(&HashSet::from([key("kept")]));
        assert_eq!(seen(&mut gone), Some((2, true)));
        assert_eq!(seen(&mut waiting), None, "what never was is not deleted");
        assert_eq!(documents.lock().len(), 3, "kept, gone, waiting");
    }
}
