//! What the operator keeps of applications in the Secret of credentials: each has entries of its own, under a field manager
//! of its own.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_lc_rs::rand;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::Resource;
use serde::de::DeserializeOwned;

use crate::{
    api::{WebApp, parse::name_of},
    controller::{context::Context, credentials_secret as secret, objects::ObjectError, watch::Queues},
    core::{credential::ClientSecret, name::Ref, signin::cookie_keys::CookieKeys},
};

/// Length of a key or secret, in bytes before they are text.
const LENGTH: usize = 32;
/// How long the Secret is believed to be as it was, in seconds: its watch may have been away.
const BELIEVED: i64 = 300;

/// Entries of the Secret.
pub type Data = BTreeMap<String, ByteString>;

/// What is kept of one application.
#[derive(Clone, Debug)]
pub enum Kept {
    /// What seals its sessions.
    Cookies(CookieKeys),
    /// What it logs in with.
    Client(ClientSecret),
    /// Nothing.
    Nothing,
}

#[derive(Debug)]
struct Known {
    kept: Kept,
    entries: Data,
    /// Until when the Secret is believed to have them, in seconds since the epoch.
    believed: i64,
}

/// What this run has last read or written of each application: nobody else writes it.
#[derive(Debug, Default)]
pub struct AppSecrets {
    known: Mutex<HashMap<Ref, Known>>,
}

impl AppSecrets {
    /// What seals an application's sessions.
    pub fn cookies(&self, name: &Ref) -> Option<CookieKeys> {
        match &self.known().get(name)?.kept {
            Kept::Cookies(keys) => Some(keys.clone()),
            Kept::Client(_) | Kept::Nothing => None,
        }
    }

    /// What it logs in with.
    pub fn client(&self, name: &Ref) -> Option<ClientSecret> {
        match &self.known().get(name)?.kept {
            Kept::Client(secret) => Some(secret.clone()),
            Kept::Cookies(_) | Kept::Nothing => None,
        }
    }

    /// A Secret of credentials is like this now: what somebody changed in it is put back.
    pub fn seen(&self, namespace: &str, found: &Data, queues: &Queues) {
        for (name, known) in self.known().iter_mut().filter(|(name, _)| name.namespace == namespace) {
            if !has(found, &known.entries) {
                known.believed = 0;
                queues.app(name);
            }
        }
    }

    fn is_held(&self, name: &Ref, entries: &Data, now: i64) -> bool {
        self.known().get(name).is_some_and(|known| now < known.believed && known.entries == *entries)
    }

    fn put(&self, name: &Ref, kept: Kept, entries: Data, now: i64) {
        self.known().insert(name.clone(), Known { kept, entries, believed: now.saturating_add(BELIEVED) });
    }

    fn forget(&self, name: &Ref) {
        self.known().remove(name);
    }

    // Each change is one insertion or removal: the map is whole even after a panic.
    fn known(&self) -> MutexGuard<'_, HashMap<Ref, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operator's own account of what it keeps, from an earlier run.
pub async fn account<T: DeserializeOwned>(ctx: &Context, name: &Ref, entry: &str) -> Result<Option<T>, ObjectError> {
    let Some(data) = secret::get(ctx, &name.namespace).await? else { return Ok(None) };
    let Some(ByteString(text)) = data.get(entry) else { return Ok(None) };
    serde_json::from_slice(text).map(Some).map_err(secret::unreadable)
}

/// Has the Secret these entries of an application, and the labels that it wants.
pub async fn hold(
    ctx: &Context,
    object: &WebApp,
    kept: Kept,
    entries: Data,
    labels: BTreeMap<String, String>,
) -> Result<(), ObjectError> {
    let (name, now) = (name_of(object), Timestamp::now().as_second());
    if ctx.app_secrets.is_held(&name, &entries, now) {
        return Ok(());
    }
    let found = secret::get(ctx, &name.namespace).await?;
    if !found.is_some_and(|found| has(&found, &entries)) {
        write(ctx, object, entries.clone(), labels).await?;
        tracing::info!(object = %name, "wrote what is kept of an application into the Secret");
    }
    ctx.app_secrets.put(&name, kept, entries, now);
    Ok(())
}

/// Removes all of it: the application is gone.
pub async fn forget(ctx: &Context, object: &WebApp) -> Result<(), ObjectError> {
    remove(ctx, object).await?;
    ctx.app_secrets.forget(&name_of(object));
    Ok(())
}

/// Removes all of it: the application needs nothing kept, and may have.
pub async fn nothing(ctx: &Context, object: &WebApp) -> Result<(), ObjectError> {
    let (name, now) = (name_of(object), Timestamp::now().as_second());
    if !ctx.app_secrets.is_held(&name, &Data::new(), now) {
        remove(ctx, object).await?;
        ctx.app_secrets.put(&name, Kept::Nothing, Data::new(), now);
    }
    Ok(())
}

async fn remove(ctx: &Context, object: &WebApp) -> Result<(), ObjectError> {
    let name = name_of(object);
    let Some(data) = secret::get(ctx, &name.namespace).await? else { return Ok(()) };
    let accounts = [CookieKeys::account(&name.name), ClientSecret::account(&name.name)];
    if accounts.iter().any(|account| data.contains_key(account)) {
        write(ctx, object, Data::new(), BTreeMap::new()).await?;
    }
    Ok(())
}

async fn write(
    ctx: &Context,
    object: &WebApp,
    data: Data,
    labels: BTreeMap<String, String>,
) -> Result<(), ObjectError> {
    let name = name_of(object);
    let manager = format!("keywire-app-{}", name.name);
    let entries = secret::Entries { owner: object.owner_ref(&()), data, labels };
    secret::apply(ctx, &name.namespace, &manager, entries).await
}

/// Whether all of an application's entries are there as they are to be.
fn has(found: &Data, wanted: &Data) -> bool {
    wanted.iter().all(|(key, value)| found.get(key) == Some(value))
}

/// Random bytes for a key or a secret.
pub fn random() -> Result<[u8; LENGTH], ObjectError> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| secret::unusable("no key could be made on this machine".to_owned()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_not_written_again_until_somebody_changes_it() {
        let (secrets, name) = (AppSecrets::default(), Ref::new("tools", "board"));
        let entries = Data::from([("key".to_owned(), ByteString(b"value".to_vec()))]);
        assert!(!secrets.is_held(&name, &entries, 0));
        secrets.put(&name, Kept::Nothing, entries.clone(), 1000);
        assert!(secrets.is_held(&name, &entries, 1000));
        assert!(!secrets.is_held(&name, &entries, 1000 + BELIEVED), "nothing was heard for long");
        assert!(!secrets.is_held(&name, &Data::new(), 1000), "it is to be another");
        assert!(
            has(&Data::from([("other".to_owned(), ByteString::default())]), &Data::new()),
            "others' are not looked at"
        );
        assert!(!has(&Data::from([("key".to_owned(), ByteString(b"forged".to_vec()))]), &entries));
    }
}
