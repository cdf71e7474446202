//! The keys that seal the sessions of applications: made, replaced in time, and put back where somebody takes them away.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::kept::{self, Data, Kept};
use crate::{
    api::{WebApp, parse::name_of},
    controller::{context::Context, credentials_secret as secret, objects::ObjectError},
    core::{credential::Hidden, name::Ref, signin::cookie_keys::CookieKeys},
};

/// Has the application keys, with the next one where it is due. Says when to look again.
pub async fn keep(ctx: &Context, object: &WebApp) -> Result<Duration, ObjectError> {
    let (name, now) = (name_of(object), Timestamp::now().as_second());
    let before = match ctx.app_secrets.cookies(&name) {
        Some(known) => Some(known),
        None => kept::account(ctx, &name, &CookieKeys::account(&name.name)).await?,
    };
    let keys = match before {
        None => CookieKeys::first(key()?, now),
        Some(before) => before.step(now, key)?.unwrap_or(before),
    };
    let entries = entries(&name, &keys)?;
    kept::hold(ctx, object, Kept::Cookies(keys.clone()), entries, BTreeMap::new()).await?;
    Ok(Duration::from_secs(keys.due().saturating_sub(now).max(0).unsigned_abs()))
}

fn entries(name: &Ref, keys: &CookieKeys) -> Result<Data, ObjectError> {
    let bytes = |key: &Hidden| ByteString(key.expose().as_bytes().to_vec());
    let account = serde_json::to_vec(keys).map(ByteString).map_err(secret::unreadable)?;
    let [current, beside] = CookieKeys::entries(&name.name);
    let mut entries = Data::from([(CookieKeys::account(&name.name), account), (current, bytes(&keys.current))]);
    entries.extend(keys.beside().map(|key| (beside, bytes(key))));
    Ok(entries)
}

fn key() -> Result<Hidden, ObjectError> {
    kept::random().map(|bytes| Hidden::new(BASE64_STANDARD.encode(bytes)))
}
