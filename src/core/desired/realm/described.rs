//! The parts of a realm that Keycloak keeps as lists of its own beside the realm: user profile, required actions,
//! client profiles and policies. Held in Keycloak's own words (JSON), each item under its name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::core::desired::owner::{OWNER_ATTRIBUTE, Owner};

/// An item under its name. `body` holds everything but the name.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Named {
    /// The name, unique in its list.
    pub name: String,
    /// The rest, in Keycloak's words.
    pub body: Map<String, Value>,
}

impl Named {
    /// An item in Keycloak's words.
    #[must_use]
    pub fn new(name: impl Into<String>, body: Value) -> Self {
        let body = if let Value::Object(body) = body { body } else { Map::new() };
        Self { name: name.into(), body }
    }

    /// As JSON, with the name.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut item = self.body.clone();
        item.insert("name".to_owned(), json!(self.name));
        Value::Object(item)
    }

    /// The same with our mark among its `annotations`.
    #[must_use]
    pub fn annotated(&self, owner: &Owner) -> Value {
        let mut item = self.to_json();
        item["annotations"][OWNER_ATTRIBUTE] = json!(owner.to_attribute());
        item
    }

    /// The same with our mark at the end of its `description`.
    #[must_use]
    pub fn signed(&self, owner: &Owner) -> Value {
        let mut item = self.to_json();
        let text = item["description"].as_str().unwrap_or_default();
        item["description"] = json!(format!("{text} ({OWNER_ATTRIBUTE}: {})", owner.to_attribute()).trim_start());
        item
    }
}

/// The owner that an item's `annotations` tell.
pub(crate) fn annotated_owner(item: &Value) -> Option<Owner> {
    Owner::from_attribute(item.get("annotations")?.get(OWNER_ATTRIBUTE)?.as_str()?)
}

/// The owner that an item's `description` tells.
pub(crate) fn signed_owner(item: &Value) -> Option<Owner> {
    let (_, mark) = item.get("description")?.as_str()?.rsplit_once(&format!("({OWNER_ATTRIBUTE}: "))?;
    Owner::from_attribute(mark.strip_suffix(')')?)
}

/// What a realm knows of a person.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UserProfile {
    /// `unmanagedAttributePolicy`: null drops attributes outside the profile. None: as it is.
    pub unmanaged: Option<Value>,
    /// Attributes to be there, each as a whole.
    pub attributes: Vec<Named>,
    /// Groups of attributes to be there, each as a whole.
    pub groups: Vec<Named>,
}

/// Rules for clients: profiles say what is enforced, policies for whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClientPolicies {
    /// Profiles to be there, each as a whole.
    pub profiles: Vec<Named>,
    /// Policies to be there, each as a whole.
    pub policies: Vec<Named>,
}

/// The name of the profile, and of the policy, that keep full scope away from the clients that Keywire makes.
pub const FULL_SCOPE: &str = "keywire-full-scope";

/// What people may have to do when they sign in: `RequiredActionProviderRepresentation`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequiredAction {
    /// The alias, which is also the provider's id.
    pub alias: String,
    /// The name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The provider's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// Whether it can be asked for.
    pub enabled: bool,
    /// Whether every new person has to do it.
    pub default_action: bool,
    /// The order among several: the lowest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// The action's own settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<BTreeMap<String, String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        let text = |text: &str| text.to_owned();
        Owner { cluster: text("main"), kind: text("Realm"), namespace: None, name: text("ml"), uid: text("1") }
    }

    #[test]
    fn marks_are_found_again_and_others_have_none() {
        for body in [json!({}), json!({"description": "for a test (of it)", "annotations": {"theirs": "x"}})] {
            let item = Named::new("one", body);
            assert_eq!(annotated_owner(&item.annotated(&owner())), Some(owner()));
            assert_eq!(signed_owner(&item.signed(&owner())), Some(owner()));
            assert_eq!((annotated_owner(&item.to_json()), signed_owner(&item.to_json())), (None, None));
        }
        for foreign in [json!({"description": "(keywire.dev/owner: x)"}), json!({"description": null}), json!("text")] {
            assert_eq!(signed_owner(&foreign), None, "{foreign}");
        }
    }
}
