//! What people may have to do when they sign in.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::core::desired;

/// Something that people may have to do when they sign in, such as to accept terms. Registered where it is not; one that
/// Keywire registered is taken out again when it is no longer named, others stay as they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequiredAction {
    /// The provider's id, such as `TERMS_AND_CONDITIONS` or `webauthn-register`.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[A-Za-z0-9_.-]*[A-Za-z0-9_-][A-Za-z0-9_.-]*$"))]
    pub alias: String,
    /// The name that people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub name: Option<String>,
    /// Whether it can be asked for.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Every new person has to do it.
    #[serde(default)]
    pub default_action: bool,
    /// The order among several: the lowest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100_000))]
    pub priority: Option<i32>,
    /// The action's own settings. Others stay.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "config_schema")]
    pub config: BTreeMap<String, String>,
}

fn yes() -> bool {
    true
}

fn config_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 2000},
    })
}

impl RequiredAction {
    pub(super) fn desired(&self) -> desired::RequiredAction {
        desired::RequiredAction {
            alias: self.alias.clone(),
            name: self.name.clone(),
            provider_id: None,
            enabled: self.enabled,
            default_action: self.default_action,
            priority: self.priority,
            config: (!self.config.is_empty()).then(|| self.config.clone()),
        }
    }
}
