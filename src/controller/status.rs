//! Writing a status, and telling people of it, only when it says something new.

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::condition::{is_ready, ready};
use crate::api::{GROUP, VERSION, condition::Condition};

/// The field manager of everything that the controllers apply.
pub const MANAGER: &str = "keywire";

/// The longest note of an Event, in characters; the API server counts 1024 bytes.
const NOTE_MAX: usize = 500;

/// Writes `new` where it differs from `old`.
pub async fn write<K, S>(api: &Api<K>, object: &K, old: Option<&S>, new: &S) -> Result<bool, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    S: Serialize + PartialEq,
{
    if old == Some(new) {
        return Ok(false);
    }
    // Of what server-side apply no longer sends, the API server takes the old value away.
    let patch = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any(), "uid": object.uid()},
        "status": new,
    });
    let params = PatchParams::apply(MANAGER).force();
    match api.patch_status(&object.name_any(), &params, &Patch::Apply(patch)).await {
        Ok(_) => Ok(true),
        // Deleted meanwhile, possibly made again: the next pass sees what is there.
        Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

/// An Event where `Ready` reads differently from before, but not for an object that was right at once: ten thousand new
/// objects would be ten thousand Events that say nothing.
pub async fn announce<K>(events: &Recorder, object: &K, before: &[Condition], after: &[Condition])
where
    K: Resource<DynamicType = ()>,
{
    let reads = |conditions: &[Condition]| ready(conditions).map(|found| (found.reason.clone(), found.message.clone()));
    let Some((reason, message)) = reads(after) else { return };
    if reads(before).is_some_and(|before| before == (reason.clone(), message.clone())) {
        return;
    }
    if before.is_empty() && is_ready(after) {
        return;
    }
    let type_ = if is_ready(after) { EventType::Normal } else { EventType::Warning };
    tell(events, object, type_, &reason, "Reconcile", message.to_string()).await;
}

/// An Event.
pub async fn tell<K>(events: &Recorder, object: &K, type_: EventType, reason: &str, action: &str, note: String)
where
    K: Resource<DynamicType = ()>,
{
    // The API server refuses longer ones.
    let note = note.chars().take(NOTE_MAX).collect();
    let event =
        Event { type_, reason: reason.to_owned(), note: Some(note), action: action.to_owned(), secondary: None };
    if let Err(error) = events.publish(&event, &object.object_ref(&())).await {
        tracing::warn!(%error, reason, "could not record an event");
    }
}
