//! Settings of a realm that this kind has no field for.

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value};

use crate::{
    core::desired::RealmSettings,
    core::graph::{Problem, ProblemReason},
};

/// Any JSON object.
pub(super) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "maxProperties": 64, "x-kubernetes-preserve-unknown-fields": true})
}

/// What `extra` may not name: what has a field of its own in other words, other kinds' business, and secrets.
const REFUSED: &[(&str, &str)] = &[
    ("id", "is fixed by Keycloak"),
    ("realm", "is spec.realm"),
    ("enabled", "is always true"),
    ("smtpServer", "is spec.smtp, with its password from a Secret"),
    ("clientProfiles", "is spec.clientPolicies"),
    ("parsedClientProfiles", "is spec.clientPolicies"),
    ("clientPolicies", "is spec.clientPolicies"),
    ("parsedClientPolicies", "is spec.clientPolicies"),
    ("requiredActions", "is spec.requiredActions"),
    ("roles", "is spec.roles"),
    ("defaultRole", "is no setting"),
    ("defaultRoles", "is no setting"),
    ("groups", "is no setting"),
    ("defaultGroups", "is no setting"),
    ("clients", "is made from ModelEndpoints and WorkloadIdentities"),
    ("clientScopes", "is no setting"),
    ("defaultDefaultClientScopes", "is no setting"),
    ("defaultOptionalClientScopes", "is no setting"),
    ("scopeMappings", "is no setting"),
    ("clientScopeMappings", "is no setting"),
    ("protocolMappers", "is no setting"),
    ("users", "is no setting"),
    ("federatedUsers", "is no setting"),
    ("userFederationProviders", "is no setting"),
    ("userFederationMappers", "is no setting"),
    ("identityProviders", "is no setting"),
    ("identityProviderMappers", "is no setting"),
    ("organizations", "is no setting"),
    ("components", "is no setting"),
    ("authenticationFlows", "is no setting"),
    ("authenticatorConfig", "is no setting"),
    ("applications", "is no setting"),
    ("oauthClients", "is no setting"),
    ("clientTemplates", "is no setting"),
    ("privateKey", "is a secret"),
    ("codeSecret", "is a secret"),
    ("publicKey", "goes with spec.keys"),
    ("certificate", "goes with spec.keys"),
];

/// Keycloak fails (500) on longer texts, except for these.
const TEXT_MAX: usize = 255;
const LONG_TEXTS: [&str; 2] = ["displayNameHtml", "passwordPolicy"];
/// The prefix of the realm attributes that are ours.
const OURS: &str = "keywire.dev/";

/// Puts what `extra` names to the settings, except for what it may not name: that is told of. A field of this kind wins.
pub(super) fn merge(
    extra: &Map<String, Value>,
    settings: &mut RealmSettings,
    attributes: &mut BTreeMap<String, String>,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |name: &str, why: &str| {
        let message = format!("spec.extra.{name} {why}: remove it");
        problems.push(Problem::new(ProblemReason::InvalidField, message));
    };
    for (name, value) in extra {
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| refused == name) {
            refuse(name, why);
        } else if name == "attributes" {
            for (key, why) in merge_attributes(value, attributes) {
                refuse(&format!("attributes[{key}]"), why);
            }
        } else if settings.has(name) {
            refuse(name, "is given by a field of its own, which wins");
        } else if value.is_null() {
            refuse(name, "is null, which says nothing");
        } else if value.as_str().is_some_and(|text| text.len() > TEXT_MAX) && !LONG_TEXTS.contains(&name.as_str()) {
            refuse(name, "is longer than the 255 characters that Keycloak can store");
        } else {
            settings.set(name, Some(value.clone()));
        }
    }
    problems
}

fn merge_attributes<'a>(given: &'a Value, attributes: &mut BTreeMap<String, String>) -> Vec<(&'a str, &'static str)> {
    let mut refused = Vec::new();
    let Some(given) = given.as_object() else { return vec![("", "is no map of texts")] };
    for (key, value) in given {
        match value.as_str() {
            _ if key.starts_with(OURS) => refused.push((key.as_str(), "is Keywire's own")),
            _ if attributes.contains_key(key) => refused.push((key, "is given by a field of its own, which wins")),
            _ if key.is_empty() || key.len() > TEXT_MAX => refused.push((key, "has no name that Keycloak can store")),
            Some(text) => drop(attributes.insert(key.clone(), text.to_owned())),
            None => refused.push((key, "is no text")),
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn merged(extra: Value) -> (RealmSettings, BTreeMap<String, String>, Vec<String>) {
        let mut settings = RealmSettings::default().with("rememberMe", true);
        let mut attributes = BTreeMap::from([("adminEventsExpiration".to_owned(), "60".to_owned())]);
        let problems = merge(extra.as_object().unwrap(), &mut settings, &mut attributes);
        (settings, attributes, problems.into_iter().map(|problem| problem.message).collect())
    }

    #[test]
    fn what_has_no_field_is_passed_on() {
        let extra = json!({"otpPolicyDigits": 8, "attributes": {"frontendUrl": "https://auth.example"}});
        let (settings, attributes, problems) = merged(extra);
        assert_eq!(settings.get("otpPolicyDigits"), Some(&json!(8)));
        assert_eq!(attributes["frontendUrl"], "https://auth.example");
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn what_it_may_not_name_is_left_out_and_told_of() {
        for (extra, says) in [
            (json!({"rememberMe": false}), "spec.extra.rememberMe is given by a field"),
            (json!({"smtpServer": {"password": "x"}}), "spec.extra.smtpServer is spec.smtp"),
            (json!({"users": []}), "spec.extra.users is no setting"),
            (json!({"realm": "other"}), "spec.extra.realm is spec.realm"),
            (json!({"clientPolicies": {}}), "spec.clientPolicies"),
            (json!({"browserFlow": null}), "says nothing"),
            (json!({"browserFlow": "x".repeat(256)}), "255 characters"),
            (
                json!({"attributes": {"keywire.dev/owner": "me"}}),
                "spec.extra.attributes[keywire.dev/owner] is Keywire's",
            ),
            (json!({"attributes": {"adminEventsExpiration": "1"}}), "given by a field"),
            (json!({"attributes": {"a": 1}}), "spec.extra.attributes[a] is no text"),
            (json!({"attributes": []}), "no map of texts"),
        ] {
            let (before, kept, _) = merged(json!({}));
            let (settings, attributes, problems) = merged(extra.clone());
            assert_eq!((settings, attributes), (before, kept), "{extra}");
            assert!(problems.len() == 1 && problems[0].contains(says), "{problems:?}");
        }
    }
}
