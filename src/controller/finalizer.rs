//! Our finalizer: nothing that left traces in Keycloak goes without a clean-up.
//!
//! kube's own helper takes a second pass to begin; ten thousand new objects
//! should not each be looked at twice.

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::{BREAK_GLASS, FINALIZER};

/// Whether the object carries our finalizer.
pub fn is_held(object: &impl ResourceExt) -> bool {
    object.finalizers().iter().any(|finalizer| finalizer == FINALIZER)
}

/// Whether a person has said that the object's Keycloak is gone for good.
pub fn is_released_by_hand(object: &impl ResourceExt) -> bool {
    object.annotations().get(BREAK_GLASS).is_some_and(|value| value == "true")
}

/// Adds the finalizer, before the first trace is left.
pub async fn hold<K>(api: &Api<K>, object: &K) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    if is_held(object) {
        return Ok(());
    }
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    write(api, object, &finalizers).await
}

/// Removes the finalizer, after the last trace is gone.
pub async fn release<K>(api: &Api<K>, object: &K) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    if !is_held(object) {
        return Ok(());
    }
    let finalizers: Vec<_> = object.finalizers().iter().filter(|finalizer| *finalizer != FINALIZER).cloned().collect();
    match write(api, object, &finalizers).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => result,
    }
}

/// Replaces the list; a conflict if anybody changed the object since we saw it, so no finalizer of another is lost.
async fn write<K>(api: &Api<K>, object: &K, finalizers: &[String]) -> Result<(), kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let patch = json!({"metadata": {
        "finalizers": finalizers,
        "uid": object.uid(),
        "resourceVersion": object.resource_version(),
    }});
    api.patch_metadata(&object.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await.map(|_| ())
}
