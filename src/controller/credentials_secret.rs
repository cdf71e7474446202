//! The one Secret of each namespace in which credentials and keys lie. Each object has entries of its own, under a field
//! manager of its own: those of others are not touched.

use std::collections::BTreeMap;

use futures::StreamExt;
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};

use super::{context::Context, objects::ObjectError, watch::Queues};
use crate::core::credential::CREDENTIALS_SECRET;

/// What is in that of a namespace; `None`: there is none.
///
/// # Errors
/// [`ObjectError::Api`].
pub async fn get(ctx: &Context, namespace: &str) -> Result<Option<BTreeMap<String, ByteString>>, ObjectError> {
    let found = api(ctx, namespace).get_opt(CREDENTIALS_SECRET).await.map_err(refused)?;
    Ok(found.map(|secret| secret.data.unwrap_or_default()))
}

/// Follows the Secrets for ever: what somebody takes out of one, or changes, is put back.
pub async fn watch(ctx: &Context, queues: &Queues) {
    // By name: the operator may see no other Secret.
    let config = watcher::Config::default().fields(&format!("metadata.name={CREDENTIALS_SECRET}"));
    let events = watcher(Api::<Secret>::all(ctx.client.clone()), config).default_backoff();
    futures::pin_mut!(events);
    while let Some(event) = events.next().await {
        let (secret, data) = match event {
            Ok(Event::Apply(mut secret)) => {
                let data = secret.data.take().unwrap_or_default();
                (secret, data)
            }
            Ok(Event::Delete(secret)) => (secret, BTreeMap::new()),
            Ok(Event::Init | Event::InitApply(_) | Event::InitDone) => continue,
            Err(error) => {
                tracing::warn!(%error, "the watch of the credentials failed; trying again");
                continue;
            }
        };
        let namespace = secret.namespace().unwrap_or_default();
        ctx.credentials.seen(&namespace, &data, queues);
        ctx.app_secrets.seen(&namespace, &data, queues);
    }
}

/// What one object has in it.
pub struct Entries {
    /// The object.
    pub owner: Option<OwnerReference>,
    /// By name.
    pub data: BTreeMap<String, ByteString>,
    /// Labels that it wants the Secret to have besides.
    pub labels: BTreeMap<String, String>,
}

/// Makes these the entries of one object.
///
/// # Errors
/// [`ObjectError::Api`].
pub async fn apply(ctx: &Context, namespace: &str, manager: &str, entries: Entries) -> Result<(), ObjectError> {
    let Entries { owner, data, mut labels } = entries;
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "keywire".to_owned());
    // Not as its controller: an object has one at most, and this one belongs to several.
    let owner = owner.map(|owner| OwnerReference { controller: None, block_owner_deletion: None, ..owner });
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(CREDENTIALS_SECRET.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels),
            // It goes with the last object that has something in it.
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let params = PatchParams::apply(manager).force();
    api(ctx, namespace).patch(CREDENTIALS_SECRET, &params, &Patch::Apply(&secret)).await.map_err(refused)?;
    Ok(())
}

/// Where in the text, never the text: it holds secrets.
pub fn unreadable(error: serde_json::Error) -> ObjectError {
    let reason = format!(
        "an entry is not as it was written (line {}, column {}); delete the Secret to have new credentials made",
        error.line(),
        error.column()
    );
    unusable(reason)
}

/// The Secret of credentials cannot be used for this reason.
pub fn unusable(reason: String) -> ObjectError {
    ObjectError::Unusable { kind: "Secret".to_owned(), name: CREDENTIALS_SECRET.to_owned(), reason }
}

fn api(ctx: &Context, namespace: &str) -> Api<Secret> {
    Api::namespaced(ctx.client.clone(), namespace)
}

fn refused(source: kube::Error) -> ObjectError {
    let (kind, name) = ("Secret".to_owned(), CREDENTIALS_SECRET.to_owned());
    ObjectError::Api { kind, name, source: Box::new(source) }
}
