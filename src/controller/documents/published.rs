//! What is published, as the watch of the ConfigMaps tells it: content as a fingerprint, not as a copy.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::oneshot;

use crate::{
    controller::watch::Queues,
    core::{
        build::Numbered,
        fingerprint::Fingerprint,
        policy::document::{EgressConfig, GuardPolicy, STREAM_CA_FILE},
    },
    policy::{DOCUMENT_LABEL, DocumentKey, DocumentKind, key_of},
};

/// What a document says, its number aside. Equal contents need no new number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content(Option<Fingerprint>);

impl Content {
    /// Of a document and the CA that is published with it.
    pub fn of<D: Numbered + Serialize>(document: &D, ca: Option<&str>) -> Self {
        Self(Fingerprint::of(&(document.clone().with_number(0), ca)))
    }
}

/// One published document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Kubernetes uid of the object that it belongs to.
    pub owner: String,
    /// Its number.
    pub number: u64,
    /// What it says.
    pub content: Content,
}

/// Everything that is published.
#[derive(Debug, Default)]
pub struct Published {
    entries: Mutex<HashMap<DocumentKey, Entry>>,
}

impl Published {
    /// What is published under a key.
    pub fn get(&self, key: &DocumentKey) -> Option<Entry> {
        self.entries().get(key).cloned()
    }

    /// Notes what was published.
    pub fn put(&self, key: DocumentKey, entry: Entry) {
        self.entries().insert(key, entry);
    }

    /// Follows the ConfigMaps for ever: one that somebody else changes or deletes is made right again. `listed` is told
    /// once all of them are known.
    pub async fn watch(&self, client: &Client, queues: &Queues, listed: oneshot::Sender<()>) {
        let mut listed = Some(listed);
        let mut before_list = HashSet::new();
        let config = watcher::Config::default().labels(DOCUMENT_LABEL);
        let events = watcher(Api::<ConfigMap>::all(client.clone()), config).default_backoff();
        futures::pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Err(error) => tracing::warn!(%error, "the watch of the policy documents failed; trying again"),
                Ok(Event::Init) => before_list = self.entries().keys().cloned().collect(),
                Ok(Event::InitApply(object)) => {
                    key_of(&object).map(|key| before_list.remove(&key)).ok();
                    self.seen(&object, queues);
                }
                Ok(Event::Apply(object)) => self.seen(&object, queues),
                Ok(Event::Delete(object)) => key_of(&object).into_iter().for_each(|key| self.gone(&key, queues)),
                Ok(Event::InitDone) => {
                    before_list.drain().for_each(|key| self.gone(&key, queues));
                    listed.take().map(|listed| listed.send(()));
                }
            }
        }
    }

    fn seen(&self, object: &ConfigMap, queues: &Queues) {
        let Ok(key) = key_of(object) else { return };
        let Some(entry) = entry_of(key.kind, object) else { return self.gone(&key, queues) };
        let before = self.entries().insert(key.clone(), entry.clone());
        // A document that we have just written comes back; another one is not as we left it.
        if before.is_some_and(|before| before != entry) {
            queue(&key, queues);
        }
    }

    fn gone(&self, key: &DocumentKey, queues: &Queues) {
        if self.entries().remove(key).is_some() {
            queue(key, queues);
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<DocumentKey, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn queue(DocumentKey { kind, object }: &DocumentKey, queues: &Queues) {
    match kind {
        DocumentKind::Guard => queues.guarded(object),
        DocumentKind::Egress => queues.identity(object),
        // In no ConfigMap.
        DocumentKind::Credential => {}
    }
}

/// What a ConfigMap holds; `None` for what is no document of ours.
fn entry_of(kind: DocumentKind, object: &ConfigMap) -> Option<Entry> {
    let owner = object.owner_references().first()?.uid.clone();
    let (number, content) = match kind {
        DocumentKind::Guard => content_of::<GuardPolicy>(kind, object)?,
        DocumentKind::Egress => content_of::<EgressConfig>(kind, object)?,
        DocumentKind::Credential => return None,
    };
    Some(Entry { owner, number, content })
}

fn content_of<D: Numbered + Serialize + DeserializeOwned>(
    kind: DocumentKind,
    object: &ConfigMap,
) -> Option<(u64, Content)> {
    let data = object.data.as_ref()?;
    let document: D = serde_json::from_str(data.get(kind.file())?).ok()?;
    Some((document.number(), Content::of(&document, data.get(STREAM_CA_FILE).map(String::as_str))))
}
