//! Comparing two representations field by field.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::core::desired::representation::ClientSettings;

/// Where a field is in a representation, from the outside in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct FieldPath(pub Vec<String>);

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.0.iter().enumerate() {
            match (depth, segment.contains('.')) {
                (_, true) => write!(f, "[{segment}]")?,
                (0, false) => f.write_str(segment)?,
                (_, false) => write!(f, ".{segment}")?,
            }
        }
        Ok(())
    }
}

/// One field that is to change.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldChange {
    /// The field.
    pub path: FieldPath,
    /// What it is now; null where it is absent.
    pub from: Value,
    /// What it is to be.
    pub to: Value,
}

impl FieldChange {
    /// The changes as one JSON object that holds the new values at their places, and nothing else.
    #[must_use]
    pub fn to_body(fields: &[FieldChange]) -> Value {
        let mut body = Map::new();
        for field in fields {
            insert(&mut body, &field.path.0, field.to.clone());
        }
        Value::Object(body)
    }

    /// Whether any of the changes is at or below the top-level member `name`.
    #[must_use]
    pub fn touches(fields: &[FieldChange], name: &str) -> bool {
        fields.iter().any(|field| field.path.0.first().is_some_and(|first| first == name))
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.path, self.from, self.to)
    }
}

fn insert(object: &mut Map<String, Value>, path: &[String], value: Value) {
    let Some((first, rest)) = path.split_first() else { return };
    if rest.is_empty() {
        object.insert(first.clone(), value);
        return;
    }
    let child = object.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(child) = child {
        insert(child, rest, value);
    }
}

/// The fields of `desired` that differ in `observed`. What `desired` does not mention is not compared.
///
/// Both have to serialise to JSON objects; anything else has no fields and so no differences.
pub(super) fn compare(observed: &impl Serialize, desired: &impl Serialize) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    if let (Ok(observed), Ok(desired)) = (serde_json::to_value(observed), serde_json::to_value(desired)) {
        collect(&mut Vec::new(), &observed, &desired, &mut changes);
    }
    changes
}

/// The same of two clients. Told of a client without its web origins, Keycloak makes origins of its redirect URIs, whatever
/// else it was told: they go along with every change.
pub(super) fn compare_clients(observed: &ClientSettings, desired: &ClientSettings) -> Vec<FieldChange> {
    let mut fields = compare(observed, desired);
    if !fields.is_empty() && !desired.redirect_uris.is_empty() && !FieldChange::touches(&fields, "webOrigins") {
        let list = |client: &ClientSettings| client.web_origins.iter().cloned().map(Value::String).collect();
        let path = FieldPath(vec!["webOrigins".to_owned()]);
        fields.push(FieldChange { path, from: list(observed), to: list(desired) });
    }
    fields
}

fn collect(path: &mut Vec<String>, observed: &Value, desired: &Value, changes: &mut Vec<FieldChange>) {
    if let Value::Object(members) = desired {
        for (name, desired) in members {
            path.push(name.clone());
            collect(path, observed.get(name).unwrap_or(&Value::Null), desired, changes);
            path.pop();
        }
    } else if !same(observed, desired) {
        changes.push(FieldChange { path: FieldPath(path.clone()), from: observed.clone(), to: desired.clone() });
    }
}

/// Keycloak does not store empty text in attributes, so an absent value is an empty one.
fn same(observed: &Value, desired: &Value) -> bool {
    observed == desired || (observed.is_null() && desired.as_str() == Some(""))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_desired_is_compared() {
        let changes = compare(
            &json!({"enabled": true, "theirs": 1, "attributes": {"theirs": "x", "a.b": "old"}}),
            &json!({"enabled": false, "attributes": {"a.b": "new", "gone": ""}}),
        );
        let shown: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, [r#"attributes[a.b]: "old" → "new""#, "enabled: true → false"]);
    }

    #[test]
    fn a_body_holds_the_new_values_only() {
        let changes = compare(&json!({"a": {"b.c": "1"}, "d": 2}), &json!({"a": {"b.c": "3", "e": "4"}, "d": 2}));
        assert_eq!(FieldChange::to_body(&changes), json!({"a": {"b.c": "3", "e": "4"}}));
        assert!(FieldChange::touches(&changes, "a"));
        assert!(!FieldChange::touches(&changes, "d"));
    }
}
