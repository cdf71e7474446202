//! Rules for clients: profiles say what is enforced, policies for whom.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::extra::free_form;
use crate::core::desired::{self, FULL_SCOPE, MANAGED_ATTRIBUTE, Named};

/// Rules for clients. Profiles and policies that are not named here stay; those that were named once and are no more go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientPolicies {
    /// Whether the clients that Keywire makes can be given full scope by somebody else. Other clients are not touched.
    #[serde(default)]
    pub full_scope: FullScope,
    /// What is enforced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub profiles: Vec<ClientProfile>,
    /// For whom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub policies: Vec<ClientPolicy>,
}

/// Whether the clients that Keywire makes can be given full scope: every role of the account in every token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FullScope {
    /// Keycloak itself turns it off again, at once: profile and policy `keywire-full-scope`.
    #[default]
    Forbidden,
    /// It is found and put right as every other change is.
    Unguarded,
}

/// What is enforced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientProfile {
    /// Name of the profile.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// The executors, in order.
    #[schemars(length(min = 1, max = 32))]
    pub executors: Vec<Executor>,
}

/// An executor with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Executor {
    /// The executor's id, such as `pkce-enforcer`.
    #[schemars(length(min = 1, max = 255))]
    pub executor: String,
    /// Its settings.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "free_form")]
    pub configuration: Map<String, Value>,
}

/// For whom profiles are enforced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientPolicy {
    /// Name of the policy.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1000))]
    pub description: Option<String>,
    /// Whether it is in force.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// All of them have to hold.
    #[schemars(length(min = 1, max = 32))]
    pub conditions: Vec<ClientCondition>,
    /// Names of the profiles: of this object, of others in the realm, or of the server.
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 255)))]
    pub profiles: Vec<String>,
}

/// A condition with its settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientCondition {
    /// The condition's id, such as `client-access-type`.
    #[schemars(length(min = 1, max = 255))]
    pub condition: String,
    /// Its settings.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "free_form")]
    pub configuration: Map<String, Value>,
}

fn yes() -> bool {
    true
}

impl ClientPolicies {
    pub(super) fn desired(&self) -> desired::ClientPolicies {
        let mut desired = match self.full_scope {
            FullScope::Forbidden => full_scope_forbidden(),
            FullScope::Unguarded => desired::ClientPolicies::default(),
        };
        desired.profiles.extend(self.profiles.iter().map(|profile| {
            // Without a configuration Keycloak fails.
            let executors = profile.executors.iter();
            let executors: Vec<_> =
                executors.map(|item| json!({"executor": item.executor, "configuration": item.configuration})).collect();
            Named::new(&profile.name, json!({"description": profile.description, "executors": executors}))
        }));
        desired.policies.extend(self.policies.iter().map(|policy| {
            let conditions = policy.conditions.iter();
            let conditions: Vec<_> = conditions
                .map(|item| json!({"condition": item.condition, "configuration": item.configuration}))
                .collect();
            let body = json!({
                "description": policy.description, "enabled": policy.enabled, "conditions": conditions,
                "profiles": policy.profiles,
            });
            Named::new(&policy.name, body)
        }));
        desired
    }
}

/// Only for clients that carry our mark: for every client it would take roles from others' tokens at their next change.
fn full_scope_forbidden() -> desired::ClientPolicies {
    let attributes = json!([{"key": MANAGED_ATTRIBUTE, "value": "true"}]).to_string();
    let profile = json!({
        "description": "Clients of Keywire hold the roles that they were granted, and no others.",
        "executors": [{"executor": "full-scope-disabled", "configuration": {"auto-configure": true}}],
    });
    let policy = json!({
        "description": "Applies to the clients that Keywire made.",
        "enabled": true,
        "conditions": [{"condition": "client-attributes", "configuration": {"attributes": attributes}}],
        "profiles": [FULL_SCOPE],
    });
    desired::ClientPolicies {
        profiles: vec![Named::new(FULL_SCOPE, profile)],
        policies: vec![Named::new(FULL_SCOPE, policy)],
    }
}
