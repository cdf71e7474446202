//! One kind's watch: keeps its cache and tells of each change with the object before it.

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use futures::{StreamExt, pin_mut};
use kube::{
    Api, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store, store::Writer},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

/// Kinds that can be watched and cached.
pub trait Watched: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static {}
impl<K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static> Watched for K {}

/// A change of one object: what it was and what it is. Never both `None`.
pub struct Change<K> {
    /// The object before; `None` when it is new to us.
    pub old: Option<Arc<K>>,
    /// The object now; `None` when it is gone.
    pub new: Option<Arc<K>>,
}

/// A cache and the task that keeps it.
pub struct Watch<K: Watched> {
    api: Api<K>,
    config: watcher::Config,
    store: Store<K>,
    writer: Writer<K>,
}

impl<K: Watched> Watch<K> {
    /// A watch of every object of the kind that `api` and `config` reach.
    pub fn new(api: Api<K>, config: watcher::Config) -> Self {
        let (store, writer) = reflector::store();
        Self { api, config, store, writer }
    }

    /// The cache. Empty until the watch has listed once.
    pub fn store(&self) -> Store<K> {
        self.store.clone()
    }

    /// Watches for ever. `listed` is told once the first list is in the cache *and*
    /// has been handed to `on_change`.
    pub async fn run(self, listed: oneshot::Sender<()>, mut on_change: impl FnMut(Change<K>)) {
        let Self { api, config, store, mut writer } = self;
        let mut listed = Some(listed);
        let mut before_list = Vec::new();
        let events = watcher(api, config).default_backoff().modify(prune);
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Err(error) => tracing::warn!(kind = %K::kind(&()), %error, "watch failed; trying again"),
                Ok(event) => {
                    let touched = touched(&event);
                    if matches!(event, watcher::Event::Init) {
                        before_list = store.state();
                    }
                    let old = touched.as_ref().and_then(|key| store.get(key));
                    writer.apply_watcher_event(&event);
                    if matches!(event, watcher::Event::InitDone) {
                        relisted(std::mem::take(&mut before_list), &store).into_iter().for_each(&mut on_change);
                        listed.take().map(|listed| listed.send(()));
                    } else if let Some(key) = touched {
                        on_change(Change { old, new: store.get(&key) });
                    }
                }
            }
        }
    }
}

/// The object of an event that changes the cache at once.
fn touched<K: Watched>(event: &watcher::Event<K>) -> Option<ObjectRef<K>> {
    match event {
        watcher::Event::Apply(object) | watcher::Event::Delete(object) => Some(ObjectRef::from_obj(object)),
        watcher::Event::Init | watcher::Event::InitApply(_) | watcher::Event::InitDone => None,
    }
}

/// After a list: everything in it, and what it no longer holds.
fn relisted<K: Watched>(before: Vec<Arc<K>>, store: &Store<K>) -> Vec<Change<K>> {
    let mut before: HashMap<ObjectRef<K>, Arc<K>> =
        before.into_iter().map(|old| (ObjectRef::from_obj(old.as_ref()), old)).collect();
    let kept = store.state().into_iter();
    let mut changes: Vec<_> =
        kept.map(|new| Change { old: before.remove(&ObjectRef::from_obj(new.as_ref())), new: Some(new) }).collect();
    changes.extend(before.into_values().map(|old| Change { old: Some(old), new: None }));
    changes
}

/// What `kubectl apply` keeps in an object for itself: all of it once more.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Managed fields are most of a small object's memory, and nobody here reads them. A copy has no room to spare in its
/// lists, where what was just read has about half.
fn prune<K: Watched>(object: &mut K) {
    object.managed_fields_mut().clear();
    object.annotations_mut().remove(LAST_APPLIED);
    if object.annotations().is_empty() {
        object.meta_mut().annotations = None;
    }
    *object = object.clone();
}
