//! Where credentials lie: one Secret per namespace, in it two entries per identity. `NAME.json` is what pods are given;
//! `NAME.kept.json` is the operator's own account of what came before and comes next.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::StreamExt;
use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use serde::Serialize;

use crate::{
    api::WorkloadIdentity,
    controller::{context::Context, objects::ObjectError, watch::Queues},
    core::{
        credential::{CREDENTIALS_SECRET, CredentialDocument, Kept, Slot},
        graph::Workload,
        name::Ref,
    },
};

/// What this run has read or written of each identity's credentials: nobody else writes them.
#[derive(Debug, Default)]
pub struct Credentials {
    known: Mutex<HashMap<Ref, Known>>,
}

#[derive(Debug)]
struct Known {
    kept: Kept,
    /// Somebody took it out of the Secret.
    is_lost: bool,
}

impl Credentials {
    /// Those of an identity, once a pass has read them.
    pub fn get(&self, name: &Ref) -> Option<Kept> {
        self.known().get(name).map(|known| known.kept.clone())
    }

    /// The identity is gone, or keeps none.
    pub fn forget(&self, name: &Ref) {
        self.known().remove(name);
    }

    fn put(&self, name: &Ref, kept: &Kept) {
        self.known().insert(name.clone(), Known { kept: kept.clone(), is_lost: false });
    }

    /// Whether the Secret no longer has what it was given.
    pub fn is_lost(&self, name: &Ref) -> bool {
        self.known().get(name).is_some_and(|known| known.is_lost)
    }

    /// Follows the Secrets for ever: what somebody takes out of one is put back.
    pub async fn watch(&self, client: &Client, queues: &Queues) {
        // By name: the operator may see no other Secret.
        let config = watcher::Config::default().fields(&format!("metadata.name={CREDENTIALS_SECRET}"));
        let events = watcher(Api::<Secret>::all(client.clone()), config).default_backoff();
        futures::pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Apply(secret)) => self.seen(&secret, &|key| has(&secret, key), queues),
                Ok(Event::Delete(secret)) => self.seen(&secret, &|_| false, queues),
                Ok(Event::Init | Event::InitApply(_) | Event::InitDone) => {}
                Err(error) => tracing::warn!(%error, "the watch of the credentials failed; trying again"),
            }
        }
    }

    fn seen(&self, secret: &Secret, has: &dyn Fn(&str) -> bool, queues: &Queues) {
        let namespace = secret.namespace().unwrap_or_default();
        for (name, known) in self.known().iter_mut().filter(|(name, _)| name.namespace == namespace) {
            let was_given = known.kept != Kept::default();
            let document = known.kept.current.is_none() || has(&document_of(name));
            if was_given && !known.is_lost && !(document && has(&account_of(name))) {
                known.is_lost = true;
                queues.identity(name);
            }
        }
    }

    // Each change is one insertion or removal: the map is whole even after a panic.
    fn known(&self) -> MutexGuard<'_, HashMap<Ref, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of an identity.
pub async fn read(ctx: &Context, workload: &Workload) -> Result<Kept, ObjectError> {
    let name = &workload.name;
    if let Some(known) = ctx.credentials.get(name) {
        return Ok(known);
    }
    let found = api(ctx, name).get_opt(CREDENTIALS_SECRET).await.map_err(refused)?;
    let text = found.and_then(|secret| secret.data?.remove(&account_of(name)));
    let kept = match text {
        Some(ByteString(text)) => serde_json::from_slice(&text).map_err(unreadable)?,
        None => Kept::default(),
    };
    ctx.credentials.put(name, &kept);
    Ok(kept)
}

/// Writes both entries, under a field manager of the identity's own: entries of others are not touched.
pub async fn write(
    ctx: &Context,
    object: &WorkloadIdentity,
    workload: &Workload,
    kept: &Kept,
) -> Result<(), ObjectError> {
    let mut data = BTreeMap::from([(account_of(&workload.name), json(kept)?)]);
    if let Some(document) = document(workload, kept) {
        data.insert(document_of(&workload.name), json(&document)?);
    }
    apply(ctx, &workload.name, owner(object), data).await?;
    ctx.credentials.put(&workload.name, kept);
    Ok(())
}

/// Removes both.
pub async fn remove(ctx: &Context, object: &WorkloadIdentity, workload: &Workload) -> Result<(), ObjectError> {
    ctx.credentials.forget(&workload.name);
    let there = api(ctx, &workload.name).get_opt(CREDENTIALS_SECRET).await.map_err(refused)?;
    if there.is_some_and(|secret| has(&secret, &account_of(&workload.name))) {
        apply(ctx, &workload.name, owner(object), BTreeMap::new()).await?;
    }
    Ok(())
}

/// What pods are given.
fn document(workload: &Workload, kept: &Kept) -> Option<CredentialDocument> {
    let current = kept.current.as_ref()?;
    Some(CredentialDocument {
        number: current.number,
        identity: workload.name.clone(),
        service_account: workload.service_account.clone(),
        client_id: match current.slot {
            Slot::First => workload.name.workload_client_id(),
            Slot::Second => workload.name.second_workload_client_id(),
        },
        material: current.material.clone(),
    })
}

async fn apply(
    ctx: &Context,
    name: &Ref,
    owner: Option<OwnerReference>,
    data: BTreeMap<String, ByteString>,
) -> Result<(), ObjectError> {
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(CREDENTIALS_SECRET.to_owned()),
            namespace: Some(name.namespace.clone()),
            labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "keywire".to_owned())])),
            // It goes with the last identity that has something in it.
            owner_references: owner.map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let params = PatchParams::apply(&format!("keywire-credential-{}", name.name)).force();
    api(ctx, name).patch(CREDENTIALS_SECRET, &params, &Patch::Apply(&secret)).await.map_err(refused)?;
    Ok(())
}

/// Not as its controller: an object has one at most, and this one belongs to several.
fn owner(object: &WorkloadIdentity) -> Option<OwnerReference> {
    object.owner_ref(&()).map(|owner| OwnerReference { controller: None, block_owner_deletion: None, ..owner })
}

fn has(secret: &Secret, key: &str) -> bool {
    secret.data.as_ref().is_some_and(|data| data.contains_key(key))
}

fn account_of(name: &Ref) -> String {
    format!("{}.kept.json", name.name)
}

fn document_of(name: &Ref) -> String {
    format!("{}.json", name.name)
}

fn api(ctx: &Context, name: &Ref) -> Api<Secret> {
    Api::namespaced(ctx.client.clone(), &name.namespace)
}

fn json(value: &impl Serialize) -> Result<ByteString, ObjectError> {
    serde_json::to_vec(value).map(ByteString).map_err(unreadable)
}

/// Where in the text, never the text: it holds secrets.
fn unreadable(error: serde_json::Error) -> ObjectError {
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

fn refused(source: kube::Error) -> ObjectError {
    let (kind, name) = ("Secret".to_owned(), CREDENTIALS_SECRET.to_owned());
    ObjectError::Api { kind, name, source: Box::new(source) }
}
