//! The ConfigMaps that carry documents to the proxies.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::Api;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    context::Context,
    objects::{self, ObjectError},
};
use crate::{
    core::{
        build::{Numbered, number},
        name::Ref,
        policy::document::{EGRESS_FILE, GUARD_FILE, STREAM_CA_FILE},
    },
    policy::DOCUMENT_LABEL,
};

/// The two kinds of documents.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A guard policy.
    Guard,
    /// An egress configuration.
    Egress,
}

impl Kind {
    fn label(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Egress => "egress",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Guard => GUARD_FILE,
            Self::Egress => EGRESS_FILE,
        }
    }

    /// Name of the ConfigMap of an object.
    pub fn config_map(self, object: &str) -> String {
        format!("keywire-{}-{object}", self.label())
    }
}

/// The document that is published now; `None` where there is none, or none that can be read.
pub async fn published<D: DeserializeOwned>(ctx: &Context, kind: Kind, object: &Ref) -> Result<Option<D>, ObjectError> {
    let name = kind.config_map(&object.name);
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &object.namespace);
    let found = api.get_opt(&name).await.map_err(|source| ObjectError::Api {
        kind: "ConfigMap".to_owned(),
        name,
        source: Box::new(source),
    })?;
    let text = found.and_then(|found| found.data?.remove(kind.file()));
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Publishes a document, with a number of its own where it says something new. Returns it as published.
pub async fn publish<D: Numbered + Serialize + DeserializeOwned>(
    ctx: &Context,
    kind: Kind,
    object: &Ref,
    owner: &OwnerReference,
    document: D,
) -> Result<D, ObjectError> {
    let before = published::<D>(ctx, kind, object).await?;
    let document = number(before, document, now_millis());
    let text = serde_json::to_string(&document).map_err(|source| ObjectError::Json {
        kind: "ConfigMap".to_owned(),
        name: kind.config_map(&object.name),
        source,
    })?;
    let api = Api::<ConfigMap>::namespaced(ctx.client.clone(), &object.namespace);
    objects::keep(&api, owner, &config_map(ctx, kind, object, owner, text)).await?;
    Ok(document)
}

fn config_map(ctx: &Context, kind: Kind, object: &Ref, owner: &OwnerReference, text: String) -> ConfigMap {
    let mut data = BTreeMap::from([(kind.file().to_owned(), text)]);
    if let Some(ca) = ctx.stream_ca.borrow().clone() {
        data.insert(STREAM_CA_FILE.to_owned(), ca.to_string());
    }
    let mut labels = objects::labels(&object.name);
    labels.insert(DOCUMENT_LABEL.to_owned(), kind.label().to_owned());
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(kind.config_map(&object.name)),
            namespace: Some(object.namespace.clone()),
            labels: Some(labels),
            owner_references: Some(vec![owner.clone()]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        ..ConfigMap::default()
    }
}

fn now_millis() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default()
}
