//! The ConfigMaps that carry documents to the proxies.

mod published;

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
        build::{Numbered, next_number},
        name::Ref,
        policy::document::STREAM_CA_FILE,
    },
    policy::{DOCUMENT_LABEL, DocumentKey, DocumentKind},
};

pub use published::Published;
use published::{Content, Entry};

/// The document that is published now; `None` where there is none, or none that can be read.
pub async fn published<D: DeserializeOwned>(
    ctx: &Context,
    kind: DocumentKind,
    object: &Ref,
) -> Result<Option<D>, ObjectError> {
    let name = kind.config_map(&object.name);
    let found = api(ctx, object).get_opt(&name).await.map_err(|source| ObjectError::Api {
        kind: "ConfigMap".to_owned(),
        name,
        source: Box::new(source),
    })?;
    let text = found.and_then(|found| found.data?.remove(kind.file()));
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Publishes a document, with a number of its own where it says something new. Returns it as published.
///
/// What is published already is known from the watch, so that a pass over an unchanged object asks nobody.
pub async fn publish<D: Numbered + Serialize + DeserializeOwned>(
    ctx: &Context,
    kind: DocumentKind,
    object: &Ref,
    owner: &OwnerReference,
    document: D,
) -> Result<D, ObjectError> {
    let key = DocumentKey { kind, object: object.clone() };
    let content = Content::of(&document, ctx.stream_ca.borrow().as_deref());
    let before = ctx.published.get(&key);
    if let Some(before) = before.as_ref().filter(|before| before.owner == owner.uid && before.content == content) {
        return Ok(document.with_number(before.number));
    }
    let document = match before {
        Some(before) => renew(ctx, kind, object, owner, document, Some(before.number)).await?,
        None => add(ctx, kind, object, owner, document).await?,
    };
    ctx.published.put(key, Entry { owner: owner.uid.clone(), number: document.number(), content });
    Ok(document)
}

/// The first document of an object.
async fn add<D: Numbered + Serialize + DeserializeOwned>(
    ctx: &Context,
    kind: DocumentKind,
    object: &Ref,
    owner: &OwnerReference,
    document: D,
) -> Result<D, ObjectError> {
    let first = document.clone().with_number(next_number(None, now_millis()));
    let made = config_map(ctx, kind, object, owner, json(kind, object, &first)?);
    if objects::make(&api(ctx, object), &made).await? {
        return Ok(first);
    }
    // There is one already: an earlier run's, or somebody else's.
    let before = published::<D>(ctx, kind, object).await?;
    renew(ctx, kind, object, owner, document, before.map(|before| before.number())).await
}

async fn renew<D: Numbered + Serialize>(
    ctx: &Context,
    kind: DocumentKind,
    object: &Ref,
    owner: &OwnerReference,
    document: D,
    before: Option<u64>,
) -> Result<D, ObjectError> {
    let document = document.with_number(next_number(before, now_millis()));
    let wanted = config_map(ctx, kind, object, owner, json(kind, object, &document)?);
    objects::keep(&api(ctx, object), owner, &wanted).await?;
    Ok(document)
}

fn api(ctx: &Context, object: &Ref) -> Api<ConfigMap> {
    Api::namespaced(ctx.client.clone(), &object.namespace)
}

fn json(kind: DocumentKind, object: &Ref, document: &impl Serialize) -> Result<String, ObjectError> {
    serde_json::to_string(document).map_err(|source| ObjectError::Json {
        kind: "ConfigMap".to_owned(),
        name: kind.config_map(&object.name),
        source,
    })
}

fn config_map(ctx: &Context, kind: DocumentKind, object: &Ref, owner: &OwnerReference, text: String) -> ConfigMap {
    let mut data = BTreeMap::from([(kind.file().to_owned(), text)]);
    if let Some(ca) = ctx.stream_ca.borrow().clone() {
        data.insert(STREAM_CA_FILE.to_owned(), ca.to_string());
    }
    let mut labels = objects::labels(&object.name);
    labels.insert(DOCUMENT_LABEL.to_owned(), kind.to_string());
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
