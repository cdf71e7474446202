//! Watches the Secrets that hold credentials: one of a fixed name in each namespace, and no other.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use futures::StreamExt;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};

use super::{
    DocumentKey, DocumentKind,
    store::{Documents, Version},
};
use crate::{
    core::{
        credential::{CREDENTIALS_SECRET, CredentialDocument},
        name::Ref,
    },
    server::Pending,
};

/// Follows all namespaces, for ever. `first` is done once every credential is known.
pub async fn follow(client: Client, documents: Arc<Documents>, first: Pending) {
    let config = Config::default().fields(&format!("metadata.name={CREDENTIALS_SECRET}"));
    let mut events = std::pin::pin!(watcher(Api::<Secret>::all(client), config).default_backoff());
    let (mut first, mut known) = (Some(first), Known { documents, of: HashMap::new() });
    let mut relisted = HashSet::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Init) => relisted.clear(),
            Ok(Event::InitApply(secret)) => {
                relisted.insert(secret.namespace().unwrap_or_default());
                known.take(&secret);
            }
            Ok(Event::InitDone) => {
                known.retain(&relisted);
                if let Some(first) = first.take() {
                    first.done();
                }
            }
            Ok(Event::Apply(secret)) => known.take(&secret),
            Ok(Event::Delete(secret)) => known.forget(&secret.namespace().unwrap_or_default(), &HashSet::new()),
            Err(error) => tracing::warn!(%error, "cannot watch credentials, will try again"),
        }
    }
}

/// Which identities of each namespace have one.
struct Known {
    documents: Arc<Documents>,
    of: HashMap<String, HashSet<Ref>>,
}

impl Known {
    fn take(&mut self, secret: &Secret) {
        let namespace = secret.namespace().unwrap_or_default();
        let mut present = HashSet::new();
        for (entry, ByteString(text)) in secret.data.iter().flatten() {
            // The operator's own account of an identity is nobody else's.
            let Some(name) = entry.strip_suffix(".json").filter(|name| !name.contains('.')) else { continue };
            let object = Ref::new(&namespace, name);
            match version(&object, text) {
                Some(version) => {
                    self.documents.publish(key(&object), version);
                    present.insert(object);
                }
                None => {
                    tracing::error!(%object, "an entry of Secret {CREDENTIALS_SECRET} is no credential: left out");
                    // What became unreadable is not gone.
                    present.insert(object);
                }
            }
        }
        self.forget(&namespace, &present);
        self.of.insert(namespace, present);
    }

    /// Those of a namespace that are not among these are gone.
    fn forget(&mut self, namespace: &str, present: &HashSet<Ref>) {
        let before = self.of.remove(namespace).unwrap_or_default();
        before.difference(present).for_each(|gone| self.documents.delete(&key(gone)));
    }

    fn retain(&mut self, namespaces: &HashSet<String>) {
        let gone: Vec<_> = self.of.keys().filter(|namespace| !namespaces.contains(*namespace)).cloned().collect();
        gone.iter().for_each(|namespace| self.forget(namespace, &HashSet::new()));
    }
}

fn key(object: &Ref) -> DocumentKey {
    DocumentKey { kind: DocumentKind::Credential, object: object.clone() }
}

/// One line for the pods of the ServiceAccount that it names; `None` for what is no credential of this identity.
fn version(object: &Ref, text: &[u8]) -> Option<Version> {
    let document: CredentialDocument = serde_json::from_slice(text).ok()?;
    let line = serde_json::to_string(&document).ok().filter(|_| document.identity == *object)?;
    let (number, only_for) = (document.number, Some(document.service_account));
    Some(Version { number, line: format!("{line}\n").into(), deleted: false, only_for })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(data: &[(&str, serde_json::Value)]) -> Secret {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_string().into_bytes())));
        let mut secret = Secret { data: Some(data.collect()), ..Secret::default() };
        secret.metadata.namespace = Some("agents".into());
        secret
    }

    fn credential(name: &str, number: u64) -> serde_json::Value {
        json!({"number": number, "identity": {"namespace": "agents", "name": name}, "serviceAccount": "runner",
            "clientId": "c", "material": {"clientSecret": {"secret": "hunter2"}}})
    }

    #[test]
    fn each_entry_is_for_its_own_account() {
        let documents = Arc::new(Documents::default());
        let mut known = Known { documents: Arc::clone(&documents), of: HashMap::new() };
        known.take(&secret(&[
            ("labeler.json", credential("labeler", 5)),
            ("labeler.kept.json", json!({"current": null})),
            ("forged.json", credential("labeler", 9)),
        ]));
        let seen = |name: &str| documents.subscribe(key(&Ref::new("agents", name))).versions.borrow().clone();
        let version = seen("labeler").expect("published");
        assert_eq!((version.number, version.only_for.as_deref()), (5, Some("runner")));
        assert_eq!(seen("forged"), None, "an entry is about the identity that it is named after");
        known.take(&secret(&[]));
        assert_eq!(seen("labeler"), None);
    }
}
