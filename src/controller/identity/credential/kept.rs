//! Where credentials lie: one Secret per namespace, in it two entries per identity. `NAME.json` is what pods are given;
//! `NAME.kept.json` is the operator's own account of what came before and comes next.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::ByteString;
use kube::Resource;
use serde::Serialize;

use crate::{
    api::WorkloadIdentity,
    controller::{context::Context, credentials_secret, objects::ObjectError, watch::Queues},
    core::{
        credential::{CredentialDocument, Kept, Slot},
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

    /// The Secret of a namespace is like this now: what somebody took out of it is put back.
    pub fn seen(&self, namespace: &str, found: &BTreeMap<String, ByteString>, queues: &Queues) {
        for (name, known) in self.known().iter_mut().filter(|(name, _)| name.namespace == namespace) {
            let was_given = known.kept != Kept::default();
            let document = known.kept.current.is_none() || found.contains_key(&document_of(name));
            if was_given && !known.is_lost && !(document && found.contains_key(&account_of(name))) {
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
    let found = credentials_secret::get(ctx, &name.namespace).await?;
    let text = found.and_then(|mut data| data.remove(&account_of(name)));
    let kept = match text {
        Some(ByteString(text)) => serde_json::from_slice(&text).map_err(credentials_secret::unreadable)?,
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
    apply(ctx, object, &workload.name, data).await?;
    ctx.credentials.put(&workload.name, kept);
    Ok(())
}

/// Removes both.
pub async fn remove(ctx: &Context, object: &WorkloadIdentity, workload: &Workload) -> Result<(), ObjectError> {
    ctx.credentials.forget(&workload.name);
    let there = credentials_secret::get(ctx, &workload.name.namespace).await?;
    if there.is_some_and(|data| data.contains_key(&account_of(&workload.name))) {
        apply(ctx, object, &workload.name, BTreeMap::new()).await?;
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
    object: &WorkloadIdentity,
    name: &Ref,
    data: BTreeMap<String, ByteString>,
) -> Result<(), ObjectError> {
    let manager = format!("keywire-credential-{}", name.name);
    let entries = credentials_secret::Entries { owner: object.owner_ref(&()), data, labels: BTreeMap::new() };
    credentials_secret::apply(ctx, &name.namespace, &manager, entries).await
}

fn account_of(name: &Ref) -> String {
    format!("{}.kept.json", name.name)
}

fn document_of(name: &Ref) -> String {
    format!("{}.json", name.name)
}

fn json(value: &impl Serialize) -> Result<ByteString, ObjectError> {
    serde_json::to_vec(value).map(ByteString).map_err(credentials_secret::unreadable)
}
