//! Watches the ConfigMaps that hold the documents.

use std::{collections::HashSet, sync::Arc};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{Config, Event, watcher},
    },
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    DOCUMENT_LABEL, DocumentKey, DocumentKind, OBJECT_LABEL,
    store::{Documents, Version},
};
use crate::{core::name::Ref, server::Pending};

/// Why a ConfigMap was not taken as a document.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DocumentError {
    /// A label is missing or names no kind.
    #[error("its labels {DOCUMENT_LABEL} and {OBJECT_LABEL} name no document")]
    Labels,
    /// Only one ConfigMap can hold the document of an object: the one of this name.
    #[error("the document of its labels belongs into ConfigMap {expected}")]
    Name {
        /// Where it belongs.
        expected: String,
    },
    /// The document's key is missing.
    #[error("it has no key {0}")]
    Key(&'static str),
    /// The document is no JSON of ours.
    #[error("{file} is no document: {source}")]
    Json {
        /// The key.
        file: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The document is another object's.
    #[error("its document is about {0}")]
    Object(Ref),
}

/// Where documents come from.
#[derive(Clone)]
pub struct Source {
    client: Client,
    documents: Arc<Documents>,
}

/// What this server reads of a document: the rest is the proxy's, of whatever version.
#[derive(Deserialize)]
struct Head {
    number: u64,
    #[serde(alias = "endpoint", alias = "identity")]
    object: Ref,
}

impl Source {
    /// A source that feeds `documents`.
    pub fn new(client: Client, documents: Arc<Documents>) -> Self {
        Self { client, documents }
    }

    /// Watches all namespaces, for ever. `first` is done once every document is known.
    pub async fn run(self, first: Pending) {
        let api: Api<ConfigMap> = Api::all(self.client.clone());
        let config = Config::default().labels(&format!("{DOCUMENT_LABEL} in (guard,egress)"));
        let (mut first, mut relisted) = (Some(first), HashSet::new());
        let mut events = std::pin::pin!(watcher(api, config).default_backoff());
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => relisted.clear(),
                Ok(Event::InitApply(map)) => relisted.extend(self.take(&map)),
                Ok(Event::InitDone) => {
                    self.documents.retain(&relisted);
                    relisted = HashSet::new();
                    if let Some(first) = first.take() {
                        first.done();
                    }
                }
                Ok(Event::Apply(map)) => drop(self.take(&map)),
                Ok(Event::Delete(map)) => {
                    if let Ok(key) = key_of(&map) {
                        self.documents.delete(&key);
                    }
                }
                Err(error) => tracing::warn!(%error, "cannot watch policy documents, will try again"),
            }
        }
    }

    /// Whether a document that is not known here is really not there: asks the API server.
    /// `None`: it could not be told, or it is there and has been taken in.
    pub async fn confirm_absent(&self, key: &DocumentKey) -> Option<()> {
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), &key.object.namespace);
        match api.get_opt(&key.kind.config_map(&key.object.name)).await {
            Ok(None) => Some(()),
            Ok(Some(map)) => {
                self.take(&map);
                None
            }
            Err(error) => {
                tracing::warn!(object = %key.object, %error, "cannot tell whether a document is there");
                None
            }
        }
    }

    fn take(&self, map: &ConfigMap) -> Option<DocumentKey> {
        match document(map) {
            Ok((key, version)) => {
                self.documents.publish(key.clone(), version);
                Some(key)
            }
            Err(error) => {
                let (namespace, name) = (map.namespace().unwrap_or_default(), map.name_any());
                let reason: &'static str = (&error).into();
                tracing::error!(namespace, name, reason, %error, "a ConfigMap is no policy document: left out");
                // A document that became unreadable is not gone: proxies keep the last good one.
                key_of(map).ok()
            }
        }
    }
}

/// The document that a ConfigMap is for, by its labels and its name.
///
/// # Errors
/// [`DocumentError`] for a ConfigMap that is no document's.
pub fn key_of(map: &ConfigMap) -> Result<DocumentKey, DocumentError> {
    let label = |name| map.labels().get(name).ok_or(DocumentError::Labels);
    let kind: DocumentKind = label(DOCUMENT_LABEL)?.parse().map_err(|_| DocumentError::Labels)?;
    let object = Ref::new(map.namespace().unwrap_or_default(), label(OBJECT_LABEL)?);
    let expected = kind.config_map(&object.name);
    if map.name_any() != expected {
        return Err(DocumentError::Name { expected });
    }
    Ok(DocumentKey { kind, object })
}

fn document(map: &ConfigMap) -> Result<(DocumentKey, Version), DocumentError> {
    let key = key_of(map)?;
    let file = key.kind.file();
    let text = map.data.as_ref().and_then(|data| data.get(file)).ok_or(DocumentError::Key(file))?;
    let json = |source| DocumentError::Json { file, source };
    let value: Value = serde_json::from_str(text).map_err(json)?;
    let head = Head::deserialize(&value).map_err(json)?;
    if head.object != key.object {
        return Err(DocumentError::Object(head.object));
    }
    // Written anew, so that it is one line whatever it was.
    let line = format!("{value}\n").into();
    Ok((key, Version { number: head.number, line, deleted: false, only_for: None }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(name: &str, kind: &str, object: &str, data: Value) -> ConfigMap {
        serde_json::from_value(json!({
            "metadata": {"namespace": "vision", "name": name,
                "labels": {DOCUMENT_LABEL: kind, OBJECT_LABEL: object}},
            "data": data,
        }))
        .unwrap()
    }

    #[test]
    fn a_document_becomes_one_line() {
        let text =
            "{\n \"number\": 7,\n \"endpoint\": {\"namespace\": \"vision\", \"name\": \"iris\"},\n \"later\": []\n}";
        let (key, version) =
            document(&map("keywire-guard-iris", "guard", "iris", json!({"guard.json": text, "stream-ca.crt": ""})))
                .unwrap();
        assert_eq!(key, DocumentKey { kind: DocumentKind::Guard, object: Ref::new("vision", "iris") });
        assert_eq!((version.number, version.deleted), (7, false));
        assert_eq!(version.line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let back: Value = serde_json::from_slice(&version.line).unwrap();
        assert_eq!(back["later"], json!([]), "fields of a newer controller pass through");
    }

    #[test]
    fn look_alikes_are_left_out() {
        let good = r#"{"number": 7, "identity": {"namespace": "vision", "name": "iris"}}"#;
        let other = r#"{"number": 7, "identity": {"namespace": "vision", "name": "other"}}"#;
        for (name, kind, data, reason) in [
            ("keywire-egress-iris", "egress", json!({"egress.json": good}), None),
            ("mine", "egress", json!({"egress.json": good}), Some("name")),
            ("keywire-egress-iris", "secret", json!({"egress.json": good}), Some("labels")),
            ("keywire-egress-iris", "egress", json!({"guard.json": good}), Some("key")),
            ("keywire-egress-iris", "egress", json!({"egress.json": "{"}), Some("json")),
            ("keywire-egress-iris", "egress", json!({"egress.json": "{\"number\": -1}"}), Some("json")),
            ("keywire-egress-iris", "egress", json!({"egress.json": other}), Some("object")),
        ] {
            let result = document(&map(name, kind, "iris", data));
            assert_eq!(result.err().map(|error| <&str>::from(&error)), reason, "{name} {kind}");
        }
    }
}
