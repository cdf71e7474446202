//! How a tenant stands in Kubernetes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{normal::Words, remembered::remembered};

/// A tenant's objects and what is kept for them, by kind and name.
pub struct InKubernetes {
    objects: BTreeMap<String, Value>,
}

impl InKubernetes {
    /// Of all objects there are.
    pub fn of(everything: &[Value], tenant: &str) -> Self {
        let is_theirs = |object: &&Value| {
            let metadata = &object["metadata"];
            let is_cluster_wide = matches!(object["kind"].as_str(), Some("KeycloakServer" | "Realm"));
            metadata["namespace"] == tenant || (is_cluster_wide && metadata["name"] == tenant)
        };
        let named = |object: &Value| format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]));
        let theirs = everything.iter().filter(is_theirs).map(|object| (named(object), object.clone()));
        let all: BTreeMap<_, _> = theirs.collect();
        let uids: BTreeSet<_> = all.values().map(|object| text(&object["metadata"]["uid"]).to_owned()).collect();
        // What belongs to an object that is gone is the garbage collector's, and there is none here.
        let is_owned = |object: &Value| owners(object).all(|owner| uids.contains(owner));
        Self { objects: all.into_iter().filter(|(_, object)| is_owned(object)).collect() }
    }

    /// The object of this kind and name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.objects.get(name)
    }

    /// How many there are of a kind.
    pub fn count(&self, kind: &str) -> usize {
        self.objects.values().filter(|object| object["kind"] == kind).count()
    }

    /// The ids of the objects, by kind and name: an object that is made anew has another.
    pub fn ids(&self) -> BTreeMap<String, String> {
        self.objects.iter().map(|(name, object)| (name.clone(), text(&object["metadata"]["uid"]).to_owned())).collect()
    }

    /// What is kept and belongs to nobody.
    pub fn orphans(&self) -> Vec<String> {
        let kept = |object: &Value| matches!(object["kind"].as_str(), Some("ConfigMap" | "Service" | "NetworkPolicy"));
        let ownerless = self.objects.iter().filter(|(_, object)| kept(object) && owners(object).next().is_none());
        ownerless.map(|(name, _)| name.clone()).collect()
    }

    /// Whether each object says that all is well: what a run without a death is waited for with.
    pub fn is_ready(&self) -> Result<(), String> {
        let is_ours = |kind: &str| !matches!(kind, "ConfigMap" | "Service" | "NetworkPolicy");
        for (name, object) in &self.objects {
            let wanted: &[&str] = match text(&object["kind"]) {
                "Realm" => &["Ready", "DriftFeed"],
                "WorkloadIdentity" => &["Ready", "Granted"],
                kind if is_ours(kind) => &["Ready"],
                _ => continue,
            };
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let holds =
                |type_: &&str| conditions.iter().any(|found| found["type"] == **type_ && found["status"] == "True");
            let is_seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            if !is_seen || !wanted.iter().all(holds) || object["metadata"]["deletionTimestamp"].is_string() {
                return Err(format!("{name}: {conditions:?}"));
            }
        }
        Ok(())
    }

    /// Each object's id, replaced by its kind and name.
    pub fn words(&self) -> Words {
        self.ids().into_iter().map(|(name, id)| (id, format!("UID of {name}"))).collect()
    }

    /// What of the objects matters, as far as an operator had to do with it.
    pub fn shape(&self) -> Value {
        let shapes = self.objects.iter().map(|(name, object)| (name.clone(), self.shape_of(object)));
        Value::Object(shapes.collect::<Map<_, _>>())
    }

    fn shape_of(&self, object: &Value) -> Value {
        let metadata = &object["metadata"];
        let mut shape = json!({
            "labels": metadata["labels"],
            "finalizers": metadata["finalizers"],
            "isGoing": metadata["deletionTimestamp"].is_string(),
            "ownerReferences": metadata["ownerReferences"],
            "spec": object["spec"],
            "data": object["data"],
            "status": object["status"],
            "isObserved": object["status"]["observedGeneration"] == metadata["generation"],
        });
        if let Some(fingerprint) = object["status"]["fingerprint"].as_str() {
            let is_right = remembered(self, object).as_deref() == Some(fingerprint);
            shape["status"]["fingerprint"] = json!(if is_right { "right" } else { "stale" });
        }
        shape["numbered"] = json!(self.is_numbered(object));
        shape
    }

    /// Whether the status tells the number of the policy that is published.
    fn is_numbered(&self, object: &Value) -> bool {
        let name = format!("ConfigMap/keywire-guard-{}", text(&object["metadata"]["name"]));
        let document = self.get(&name).and_then(|found| found["data"]["guard.json"].as_str());
        let document: Value = document.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        object["status"]["policyNumber"] == document["number"]
    }
}

fn owners(object: &Value) -> impl Iterator<Item = &str> {
    object["metadata"]["ownerReferences"].as_array().into_iter().flatten().map(|owner| text(&owner["uid"]))
}

/// A text, or nothing.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
