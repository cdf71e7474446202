//! The one Secret of each namespace in which credentials and keys lie. Each object has entries of its own, under a field
//! manager of its own: those of others are not touched.

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};

use super::{context::Context, objects::ObjectError};
use crate::core::credential::CREDENTIALS_SECRET;

/// What is in that of a namespace; `None`: there is none.
///
/// # Errors
/// [`ObjectError::Api`].
pub async fn get(ctx: &Context, namespace: &str) -> Result<Option<BTreeMap<String, ByteString>>, ObjectError> {
    let found = api(ctx, namespace).get_opt(CREDENTIALS_SECRET).await.map_err(refused)?;
    Ok(found.map(|secret| secret.data.unwrap_or_default()))
}

/// Makes these the entries of one object.
///
/// # Errors
/// [`ObjectError::Api`].
pub async fn apply(
    ctx: &Context,
    namespace: &str,
    manager: &str,
    owner: Option<OwnerReference>,
    data: BTreeMap<String, ByteString>,
) -> Result<(), ObjectError> {
    // Not as its controller: an object has one at most, and this one belongs to several.
    let owner = owner.map(|owner| OwnerReference { controller: None, block_owner_deletion: None, ..owner });
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(CREDENTIALS_SECRET.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "keywire".to_owned())])),
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
