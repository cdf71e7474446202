//! The secret of an application that signs people in itself: made, put back where somebody takes it away, and replaced where
//! that is asked for.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use k8s_openapi::ByteString;

use super::kept::{self, Data, Kept};
use crate::{
    api::{WebApp, parse::name_of},
    controller::{context::Context, credentials_secret as secret, objects::ObjectError},
    core::{
        credential::{ClientSecret, Hidden},
        name::Ref,
        native::Native,
    },
};

/// Has the application a secret in the Secret of credentials, beside the CA certificates of Keycloak's server.
///
/// # Errors
/// [`ObjectError`] where it can be neither read nor written.
pub async fn keep(ctx: &Context, object: &WebApp, native: &Native, ca: Option<&str>) -> Result<(), ObjectError> {
    let name = name_of(object);
    let before = match ctx.app_secrets.client(&name) {
        Some(known) => Some(known),
        None => kept::account(ctx, &name, &ClientSecret::account(&name.name)).await?,
    };
    let word = native.rotate.as_deref();
    let secret = match before.filter(|before: &ClientSecret| !before.is_asked_for_another(word)) {
        Some(before) => before,
        None => made(native)?,
    };
    let entries = entries(&name, &secret, ca)?;
    kept::hold(ctx, object, Kept::Client(secret), entries, native.secret_labels.clone()).await
}

fn made(native: &Native) -> Result<ClientSecret, ObjectError> {
    let secret = Hidden::new(BASE64_URL_SAFE_NO_PAD.encode(kept::random()?));
    Ok(ClientSecret { secret, made_at: Timestamp::now().as_second(), rotated_for: native.rotate.clone() })
}

fn entries(name: &Ref, kept: &ClientSecret, ca: Option<&str>) -> Result<Data, ObjectError> {
    let account = serde_json::to_vec(kept).map(ByteString).map_err(secret::unreadable)?;
    let bytes = |text: &str| ByteString(text.as_bytes().to_vec());
    // Without a newline: some applications would take it for a part of the secret.
    let secret = (ClientSecret::entry(&name.name), bytes(kept.secret.expose()));
    let ca = ca.map(|ca| (ClientSecret::ca_entry(&name.name), bytes(ca)));
    Ok([(ClientSecret::account(&name.name), account), secret].into_iter().chain(ca).collect())
}
