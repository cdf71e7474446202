//! What the realm knows of a person.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::extra::free_form;
use crate::core::desired::{self, Named};

/// What the realm knows of a person. Attributes and groups that are named here are as they are given; others stay.
/// Those that were named once and are no more go, but for Keycloak's own (`username`, `email`, `firstName`, `lastName`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserProfile {
    /// What becomes of attributes outside the profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmanaged_attributes: Option<UnmanagedAttributes>,
    /// Attributes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub attributes: Vec<ProfileAttribute>,
    /// Groups of attributes on forms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub groups: Vec<ProfileGroup>,
}

/// What becomes of attributes outside the profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UnmanagedAttributes {
    /// They are dropped without a word.
    Dropped,
    /// People and administrators read and write them.
    Enabled,
    /// Administrators read them.
    AdminView,
    /// Administrators read and write them.
    AdminEdit,
}

/// An attribute of a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileAttribute {
    /// Name of the attribute.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[A-Za-z0-9_.:-]+$"))]
    pub name: String,
    /// Name on forms, possibly `${key}` of the theme's messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub display_name: Option<String>,
    /// Name of its group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub group: Option<String>,
    /// It can have several values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multivalued: bool,
    /// Its value where none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub default_value: Option<String>,
    /// Who has to give a value. Absent: nobody; neither roles nor scopes: everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<AttributeRequired>,
    /// Who sees it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub view: Vec<ProfileRole>,
    /// Who changes it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub edit: Vec<ProfileRole>,
    /// The attribute is there only where one of these scopes is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    pub scopes: Vec<String>,
    /// Validators with their settings, such as `length: {max: 64}`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "free_form")]
    pub validations: Map<String, Value>,
    /// Hints for forms, such as `inputType: textarea`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "free_form")]
    pub annotations: BTreeMap<String, Value>,
}

/// Who has to give a value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttributeRequired {
    /// When one of these fills the form in.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2), extend("x-kubernetes-list-type" = "set"))]
    pub roles: Vec<ProfileRole>,
    /// When one of these scopes is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 255)))]
    pub scopes: Vec<String>,
}

/// Who deals with an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProfileRole {
    /// Administrators.
    Admin,
    /// The person.
    User,
}

/// A group of attributes on forms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileGroup {
    /// Name of the group.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Its heading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub display_header: Option<String>,
    /// What stands below the heading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 255))]
    pub display_description: Option<String>,
}

impl UserProfile {
    pub(super) fn desired(&self) -> desired::UserProfile {
        desired::UserProfile {
            unmanaged: self.unmanaged_attributes.map(|policy| match policy {
                UnmanagedAttributes::Dropped => Value::Null,
                UnmanagedAttributes::Enabled => json!("ENABLED"),
                UnmanagedAttributes::AdminView => json!("ADMIN_VIEW"),
                UnmanagedAttributes::AdminEdit => json!("ADMIN_EDIT"),
            }),
            attributes: self.attributes.iter().map(ProfileAttribute::desired).collect(),
            groups: self.groups.iter().map(ProfileGroup::desired).collect(),
        }
    }
}

impl ProfileAttribute {
    fn desired(&self) -> Named {
        let mut body = Map::new();
        let mut give = |name: &str, value: Option<Value>| value.map(|value| body.insert(name.to_owned(), value));
        give("displayName", self.display_name.as_ref().map(|text| json!(text)));
        give("group", self.group.as_ref().map(|text| json!(text)));
        give("multivalued", Some(json!(self.multivalued)));
        give("defaultValue", self.default_value.as_ref().map(|text| json!(text)));
        give("required", self.required.as_ref().map(AttributeRequired::desired));
        give("permissions", Some(json!({"view": self.view, "edit": self.edit})));
        give("selector", (!self.scopes.is_empty()).then(|| json!({"scopes": self.scopes})));
        give("validations", Some(json!(self.validations)));
        give("annotations", Some(json!(self.annotations)));
        Named { name: self.name.clone(), body }
    }
}

impl AttributeRequired {
    /// Everybody is spelled out: an empty object is easily taken for none.
    fn desired(&self) -> Value {
        if self.roles.is_empty() && self.scopes.is_empty() {
            return json!({"roles": [ProfileRole::Admin, ProfileRole::User]});
        }
        json!(self)
    }
}

impl ProfileGroup {
    fn desired(&self) -> Named {
        let body = json!({"displayHeader": self.display_header, "displayDescription": self.display_description});
        Named::new(&self.name, body)
    }
}
