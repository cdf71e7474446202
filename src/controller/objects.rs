//! Kubernetes objects that we keep: made, repaired and removed, never taken from others.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::status::MANAGER;

/// Label on everything that we keep: the name of the object that it belongs to.
pub const OBJECT: &str = crate::policy::OBJECT_LABEL;

/// The labels of something that belongs to `object`.
pub fn labels(object: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        (OBJECT.to_owned(), object.to_owned()),
        ("app.kubernetes.io/managed-by".to_owned(), "keywire".to_owned()),
    ])
}

/// Why an object could not be kept.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ObjectError {
    /// Somebody else's object has the name.
    #[error("{kind} {name:?} exists and is not Keywire's: delete it, or choose another name")]
    Taken {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The API server refused or was away.
    #[error("the API server did not take {kind} {name:?}: {source}")]
    Api {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// What it said.
        source: Box<kube::Error>,
    },
    /// What is in it, or is to be, cannot be used.
    #[error("{kind} {name:?} cannot be used: {reason}")]
    Unusable {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// What is wrong and what to do. Nothing of any value.
        reason: String,
    },
    /// The object has no JSON form.
    #[error("{kind} {name:?} cannot be written as JSON: {source}")]
    Json {
        /// Kind of the object.
        kind: String,
        /// Its name.
        name: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

impl ObjectError {
    /// As a condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Taken { .. } => "Conflict",
            Self::Api { .. } | Self::Unusable { .. } | Self::Json { .. } => "ApiServerRefused",
        }
    }
}

/// Kinds that we keep.
pub trait Kept: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned {}
impl<K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned> Kept for K {}

/// Makes the object where there is none of its name, without looking first. Tells whether it did.
pub async fn make<K: Kept>(api: &Api<K>, desired: &K) -> Result<bool, ObjectError> {
    let params = PostParams { dry_run: false, field_manager: Some(MANAGER.to_owned()) };
    match api.create(&params, desired).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(source) => Err(api_error::<K>(&desired.name_any(), source)),
    }
}

/// Makes the object, or repairs it, where it differs from `desired`. Tells whether it wrote.
pub async fn keep<K: Kept>(api: &Api<K>, owner: &OwnerReference, desired: &K) -> Result<bool, ObjectError> {
    let name = desired.name_any();
    let found = api.get_opt(&name).await.map_err(|source| api_error::<K>(&name, source))?;
    if found.as_ref().is_some_and(|found| !is_owned(found, owner)) {
        return Err(ObjectError::Taken { kind: K::kind(&()).into_owned(), name });
    }
    let wanted = json(desired)?;
    if let Some(found) = found
        && contains(&json(&found)?, &wanted)
    {
        return Ok(false);
    }
    let params = PatchParams::apply(MANAGER).force();
    api.patch(&name, &params, &Patch::Apply(&wanted)).await.map_err(|source| api_error::<K>(&name, source))?;
    Ok(true)
}

/// Removes those of the owner's objects of this kind that are not called `keep`.
pub async fn remove_others<K: Kept>(
    api: &Api<K>,
    owner: &OwnerReference,
    keep: Option<&str>,
) -> Result<(), ObjectError> {
    let labels = ListParams::default().labels(&format!("{OBJECT}={}", owner.name));
    let found = api.list(&labels).await.map_err(|source| api_error::<K>(&owner.name, source))?;
    for object in found.iter().filter(|object| is_owned(*object, owner) && Some(&*object.name_any()) != keep) {
        delete(api, object).await?;
    }
    Ok(())
}

/// Removes the owner's object of this name, where there is one.
pub async fn remove<K: Kept>(api: &Api<K>, owner: &OwnerReference, name: &str) -> Result<(), ObjectError> {
    let found = api.get_opt(name).await.map_err(|source| api_error::<K>(name, source))?;
    match found.filter(|found| is_owned(found, owner)) {
        Some(object) => delete(api, &object).await,
        None => Ok(()),
    }
}

async fn delete<K: Kept>(api: &Api<K>, object: &K) -> Result<(), ObjectError> {
    let name = object.name_any();
    let only_this = Preconditions { uid: object.uid(), resource_version: None };
    match api.delete(&name, &DeleteParams::default().preconditions(only_this)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
        Err(source) => Err(api_error::<K>(&name, source)),
    }
}

fn is_owned(object: &impl ResourceExt, owner: &OwnerReference) -> bool {
    object.owner_references().iter().any(|found| found.uid == owner.uid)
}

fn json<K: Kept>(object: &K) -> Result<Value, ObjectError> {
    serde_json::to_value(object).map_err(|source| ObjectError::Json {
        kind: K::kind(&()).into_owned(),
        name: object.name_any(),
        source,
    })
}

fn api_error<K: Kept>(name: &str, source: kube::Error) -> ObjectError {
    ObjectError::Api { kind: K::kind(&()).into_owned(), name: name.to_owned(), source: Box::new(source) }
}

/// Whether `found` says everything that `wanted` says. What the API server adds by itself does not count.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| found.get(key).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| contains(found, wanted))
        }
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_are_no_difference_and_all_else_is() {
        let found = json!({"a": 1, "list": [{"port": 1, "protocol": "TCP"}], "status": {}});
        assert!(contains(&found, &json!({"a": 1, "list": [{"port": 1}]})));
        for other in [json!({"a": 2}), json!({"b": 1}), json!({"list": []}), json!({"list": [{"port": 2}]})] {
            assert!(!contains(&found, &other), "{other}");
        }
    }
}
