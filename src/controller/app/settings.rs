//! What an application that signs people in itself is told: its secret, and the ConfigMap `keywire-sign-in-NAME` with the rest,
//! for whoever does not have it put into pods.

use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Api, Resource};

use super::{Gathered, client_secret, is_changed};
use crate::{
    admission::Told,
    api::{WebApp, parse::name_of},
    controller::{
        context::Context,
        objects::{self, ObjectError},
    },
    core::native::Native,
};

/// Keeps both. Gives what its pods are told.
pub async fn keep(
    ctx: &Context,
    object: &WebApp,
    gathered: &Gathered,
    native: &Native,
) -> Result<Option<Told>, ObjectError> {
    let urls = &gathered.realm.urls;
    client_secret::keep(ctx, object, native, urls.ca.as_deref()).await?;
    let Some(told) = Told::new(&gathered.app, urls, urls.ca.is_some()) else { return Ok(None) };
    let Some(owner) = object.controller_owner_ref(&()) else { return Ok(Some(told)) };
    let name = name_of(object);
    let config_map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(config_map(&name.name)),
            namespace: Some(name.namespace.clone()),
            labels: Some(objects::labels(&name.name)),
            owner_references: Some(vec![owner.clone()]),
            ..ObjectMeta::default()
        },
        data: Some(told.text().clone()),
        ..ConfigMap::default()
    };
    objects::keep(&api(ctx, &name.namespace), &owner, &config_map).await?;
    Ok(Some(told))
}

/// Takes the ConfigMap away: it is told nothing any more.
pub async fn remove(ctx: &Context, object: &WebApp) -> Result<(), ObjectError> {
    let (name, owner) = (name_of(object), object.controller_owner_ref(&()));
    let Some(owner) = owner.filter(|_| is_changed(object)) else { return Ok(()) };
    objects::remove(&api(ctx, &name.namespace), &owner, &config_map(&name.name)).await
}

fn config_map(app: &str) -> String {
    format!("keywire-sign-in-{app}")
}

fn api(ctx: &Context, namespace: &str) -> Api<ConfigMap> {
    Api::namespaced(ctx.client.clone(), namespace)
}
