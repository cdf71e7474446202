//! The keys that seal the sessions of applications: made, replaced in time, and put back where somebody takes them away.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::Resource;

use crate::{
    api::{WebApp, parse::name_of},
    controller::{context::Context, credentials_secret as secret, objects::ObjectError},
    core::{credential::Hidden, name::Ref, signin::cookie_keys::CookieKeys},
};

/// Length of a key, in bytes before they are text.
const LENGTH: usize = 32;
/// How long what is in the Secret is believed: somebody may take it away.
const BELIEVED: i64 = 300;

/// When this run has last read or written the keys of each application, in seconds since the epoch, and what they were.
#[derive(Debug, Default)]
pub struct CookieKeeper {
    known: Mutex<HashMap<Ref, (CookieKeys, i64)>>,
}

impl CookieKeeper {
    fn get(&self, name: &Ref, now: i64) -> Option<CookieKeys> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(name).filter(|(_, at)| now < at.saturating_add(BELIEVED)).map(|(keys, _)| keys.clone())
    }

    fn put(&self, name: &Ref, keys: &CookieKeys, now: i64) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), (keys.clone(), now));
    }

    fn forget(&self, name: &Ref) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

/// Has the application keys, with the next one where it is due. Says when to look again.
pub async fn keep(ctx: &Context, object: &WebApp) -> Result<Duration, ObjectError> {
    let (name, now) = (name_of(object), Timestamp::now().as_second());
    let known = match ctx.cookie_keys.get(&name, now) {
        Some(keys) => Some(keys),
        None => read(ctx, &name).await?,
    };
    let keys = match known {
        None => {
            let keys = CookieKeys::first(key()?, now);
            write(ctx, object, &name, &keys).await?;
            keys
        }
        Some(keys) => match keys.step(now, key)? {
            Some(next) => {
                write(ctx, object, &name, &next).await?;
                next
            }
            None => keys,
        },
    };
    ctx.cookie_keys.put(&name, &keys, now);
    Ok(Duration::from_secs(keys.due().saturating_sub(now).max(0).unsigned_abs()))
}

/// Removes them: sessions end with their application.
pub async fn remove(ctx: &Context, object: &WebApp) -> Result<(), ObjectError> {
    let name = name_of(object);
    ctx.cookie_keys.forget(&name);
    let there = secret::get(ctx, &name.namespace).await?;
    if there.is_some_and(|data| data.contains_key(&CookieKeys::account(&name.name))) {
        secret::apply(ctx, &name.namespace, &manager(&name), object.owner_ref(&()), BTreeMap::new()).await?;
    }
    Ok(())
}

/// `None`: there are none, or not all of them.
async fn read(ctx: &Context, name: &Ref) -> Result<Option<CookieKeys>, ObjectError> {
    let Some(data) = secret::get(ctx, &name.namespace).await? else { return Ok(None) };
    let Some(ByteString(text)) = data.get(&CookieKeys::account(&name.name)) else { return Ok(None) };
    let keys: CookieKeys = serde_json::from_slice(text).map_err(secret::unreadable)?;
    let entries = entries(name, &keys)?;
    let is_whole = entries.iter().all(|(key, value)| data.get(key) == Some(value));
    if !is_whole {
        tracing::warn!(object = %name, "keys of an application were changed in the Secret; putting them back");
    }
    Ok(is_whole.then_some(keys))
}

async fn write(ctx: &Context, object: &WebApp, name: &Ref, keys: &CookieKeys) -> Result<(), ObjectError> {
    let data = entries(name, keys)?;
    secret::apply(ctx, &name.namespace, &manager(name), object.owner_ref(&()), data).await?;
    tracing::info!(object = %name, "wrote the keys that seal its sessions");
    Ok(())
}

fn entries(name: &Ref, keys: &CookieKeys) -> Result<BTreeMap<String, ByteString>, ObjectError> {
    let bytes = |key: &Hidden| ByteString(key.expose().as_bytes().to_vec());
    let account = serde_json::to_vec(keys).map(ByteString).map_err(secret::unreadable)?;
    let [current, beside] = CookieKeys::entries(&name.name);
    let mut entries = BTreeMap::from([(CookieKeys::account(&name.name), account), (current, bytes(&keys.current))]);
    entries.extend(keys.beside().map(|key| (beside, bytes(key))));
    Ok(entries)
}

fn manager(name: &Ref) -> String {
    format!("keywire-app-{}", name.name)
}

fn key() -> Result<Hidden, ObjectError> {
    let mut bytes = [0; LENGTH];
    rand::fill(&mut bytes).map_err(|_| secret::unusable("no key could be made on this machine".to_owned()))?;
    Ok(Hidden::new(BASE64_STANDARD.encode(bytes)))
}
