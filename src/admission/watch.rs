//! The webhook's caches: what it must know of the cluster to review a pod at once.

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Arc, PoisonError, RwLock},
};

use futures::StreamExt;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use super::select::Catalog;
use crate::{
    api::{KeycloakServer, ModelEndpoint, Realm, WebApp, WorkloadIdentity},
    server::{Pending, Readiness},
};

type Objects<K> = HashMap<String, HashMap<String, Arc<K>>>;

/// All objects of a kind, by namespace and name, so that a review looks only at its own namespace.
#[derive(Debug)]
struct Cache<K> {
    objects: RwLock<Objects<K>>,
}

// Not derived: that would ask for `K: Default`.
impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self { objects: RwLock::default() }
    }
}

/// What a watch delivers, step by step, until it is whole.
#[derive(Debug)]
struct Filling<K> {
    relisted: Objects<K>,
    first: Option<Pending>,
}

impl<K: ResourceExt> Cache<K> {
    fn take(&self, event: Event<K>, filling: &mut Filling<K>) {
        match event {
            Event::Init => filling.relisted = HashMap::new(),
            Event::InitApply(object) => insert(&mut filling.relisted, object),
            Event::InitDone => {
                *self.write() = std::mem::take(&mut filling.relisted);
                if let Some(first) = filling.first.take() {
                    first.done();
                }
            }
            Event::Apply(object) => insert(&mut self.write(), object),
            Event::Delete(object) => {
                let mut objects = self.write();
                let namespace = object.namespace().unwrap_or_default();
                if let Some(named) = objects.get_mut(&namespace) {
                    named.remove(&object.name_any());
                    if named.is_empty() {
                        objects.remove(&namespace);
                    }
                }
            }
        }
    }

    // Every change is one insertion or removal: the maps are whole even after a panic.
    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Objects<K>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Objects<K>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self, namespace: &str) -> Vec<Arc<K>> {
        self.read().get(namespace).into_iter().flat_map(HashMap::values).cloned().collect()
    }

    fn get(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        self.read().get(namespace).and_then(|named| named.get(name)).cloned()
    }
}

fn insert<K: ResourceExt>(objects: &mut Objects<K>, mut object: K) {
    // Nothing reads them, and they are most of a small object.
    object.managed_fields_mut().clear();
    let named = objects.entry(object.namespace().unwrap_or_default()).or_default();
    named.insert(object.name_any(), Arc::new(object));
}

/// Everything that the webhook knows of the cluster.
#[derive(Debug, Default)]
pub struct Caches {
    endpoints: Cache<ModelEndpoint>,
    apps: Cache<WebApp>,
    identities: Cache<WorkloadIdentity>,
    realms: Cache<Realm>,
    servers: Cache<KeycloakServer>,
}

impl Caches {
    /// Fills the caches and keeps them, for ever. From the call on, `readiness` waits for them.
    pub fn run<'a>(&'a self, client: Client, readiness: &Readiness) -> impl Future<Output = ()> + use<'a> {
        let endpoints = keep(&self.endpoints, client.clone(), readiness.pending("modelendpoints"));
        let apps = keep(&self.apps, client.clone(), readiness.pending("webapps"));
        let identities = keep(&self.identities, client.clone(), readiness.pending("workloadidentities"));
        let realms = keep(&self.realms, client.clone(), readiness.pending("realms"));
        let servers = keep(&self.servers, client, readiness.pending("keycloakservers"));
        async move {
            tokio::join!(endpoints, apps, identities, realms, servers);
        }
    }
}

async fn keep<K>(cache: &Cache<K>, client: Client, first: Pending)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let kind = K::kind(&());
    let mut filling = Filling { relisted: HashMap::new(), first: Some(first) };
    let mut events = std::pin::pin!(watcher(Api::all(client), Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => cache.take(event, &mut filling),
            Err(error) => tracing::warn!(%kind, %error, "cannot watch, will try again"),
        }
    }
}

impl Catalog for Caches {
    fn endpoints(&self, namespace: &str) -> Vec<Arc<ModelEndpoint>> {
        self.endpoints.all(namespace)
    }

    fn apps(&self, namespace: &str) -> Vec<Arc<WebApp>> {
        self.apps.all(namespace)
    }

    fn identities(&self, namespace: &str) -> Vec<Arc<WorkloadIdentity>> {
        self.identities.all(namespace)
    }

    fn realm(&self, name: &str) -> Option<Arc<Realm>> {
        self.realms.get("", name)
    }

    fn server(&self, name: &str) -> Option<Arc<KeycloakServer>> {
        self.servers.get("", name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::fixtures::endpoint;

    #[test]
    fn a_relist_replaces_everything_at_once() {
        let (readiness, cache) = (Readiness::default(), Cache::<ModelEndpoint>::default());
        let mut filling = Filling { relisted: HashMap::new(), first: Some(readiness.pending("x")) };
        let mut names = |event| {
            cache.take(event, &mut filling);
            let mut names: Vec<_> = cache.all("vision").iter().map(|e| e.name_any()).collect();
            names.sort();
            names
        };
        assert_eq!(names(Event::Init), [""; 0]);
        assert_eq!(names(Event::InitApply(endpoint("vision", "a", "x"))), [""; 0]);
        assert_eq!(readiness.missing(), ["x"]);
        assert_eq!(names(Event::InitDone), ["a"]);
        assert_eq!(readiness.missing(), [""; 0]);
        assert_eq!(names(Event::Apply(endpoint("vision", "b", "x"))), ["a", "b"]);
        assert_eq!(names(Event::Apply(endpoint("other", "c", "x"))), ["a", "b"]);
        assert_eq!(names(Event::Delete(endpoint("vision", "a", "x"))), ["b"]);
        assert_eq!(names(Event::Init), ["b"], "the old set serves until the new one is whole");
        assert_eq!(names(Event::InitDone), [""; 0]);
    }
}
