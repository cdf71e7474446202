//! Comparing and merging lists that Keycloak only replaces as a whole: ours are as they should be, others stay.

use serde_json::Value;

use crate::core::diff::fields::{FieldChange, FieldPath};

/// Which items of a list are ours, and how they should be.
pub(super) struct Merge<'a> {
    /// What the list is called.
    pub list: &'static str,
    /// The items that are to be there, complete, each with a `name`.
    pub wanted: &'a [Value],
    /// Whether an item that is not wanted was made by us, and can go.
    pub is_surplus: &'a dyn Fn(&Value) -> bool,
}

/// A list as it should be, and the items that differ in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Merged {
    pub items: Vec<Value>,
    pub fields: Vec<FieldChange>,
}

impl Merge<'_> {
    /// The list with ours put in at their places, new ones at the end.
    pub fn merge(&self, found: &[Value]) -> Merged {
        let mut merged = Merged::default();
        for item in found {
            match self.wanted.iter().find(|wanted| name(wanted) == name(item)) {
                Some(wanted) if is_same(item, wanted) => merged.items.push(item.clone()),
                Some(wanted) => {
                    merged.fields.push(self.change(name(item), item, wanted));
                    merged.items.push(wanted.clone());
                }
                None if (self.is_surplus)(item) => merged.fields.push(self.change(name(item), item, &Value::Null)),
                None => merged.items.push(item.clone()),
            }
        }
        for wanted in self.wanted.iter().filter(|wanted| found.iter().all(|item| name(item) != name(wanted))) {
            merged.fields.push(self.change(name(wanted), &Value::Null, wanted));
            merged.items.push(wanted.clone());
        }
        merged
    }

    fn change(&self, name: &str, from: &Value, to: &Value) -> FieldChange {
        let path = FieldPath(vec![self.list.to_owned(), name.to_owned()]);
        FieldChange { path, from: from.clone(), to: to.clone() }
    }
}

/// An item's name; empty for what has none.
pub(super) fn name(item: &Value) -> &str {
    item.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// Whether two values mean the same to Keycloak: an absent member is an empty one, and a list of texts is a set.
pub(super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(left), Value::Object(right)) => {
            let member = |of: &serde_json::Map<String, Value>, name| of.get(name).cloned().unwrap_or_default();
            left.keys().chain(right.keys()).all(|name| is_same(&member(left, name), &member(right, name)))
        }
        (Value::Array(left), Value::Array(right)) => {
            let same = left.len() == right.len();
            let is_texts = left.iter().chain(right).all(Value::is_string);
            let in_order = || left.iter().zip(right).all(|(left, right)| is_same(left, right));
            same && if is_texts { left.iter().all(|item| right.contains(item)) } else { in_order() }
        }
        (one, other) => one == other || (is_blank(one) && is_blank(other)),
    }
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(is_blank),
        Value::Number(_) | Value::Bool(true) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_is_empty_and_texts_are_sets() {
        for (one, other, same) in [
            (json!({"a": 1}), json!({"a": 1, "b": {}, "c": [], "d": false, "e": null, "f": ""}), true),
            (json!({"a": 1}), json!({"a": 1, "b": true}), false),
            (json!({"a": {}}), json!({"a": {"b": {"c": []}}}), true),
            (json!({"roles": ["admin", "user"]}), json!({"roles": ["user", "admin"]}), true),
            (json!([{"a": 1}, {"a": 2}]), json!([{"a": 2}, {"a": 1}]), false),
            (json!({"a": 0}), json!({}), false),
        ] {
            assert_eq!(is_same(&one, &other), same, "{one} {other}");
            assert_eq!(is_same(&other, &one), same, "{other} {one}");
        }
    }

    #[test]
    fn others_stay_where_they_are() {
        let found = [json!({"name": "theirs"}), json!({"name": "ours", "x": 1}), json!({"name": "old"})];
        let wanted = [json!({"name": "ours", "x": 2}), json!({"name": "new"})];
        let is_surplus = |item: &Value| name(item) == "old";
        let merge = Merge { list: "policies", wanted: &wanted, is_surplus: &is_surplus };
        let merged = merge.merge(&found);
        assert_eq!(merged.items, [found[0].clone(), wanted[0].clone(), wanted[1].clone()]);
        let fields: Vec<_> = merged.fields.iter().map(|field| field.path.to_string()).collect();
        assert_eq!(fields, ["policies.ours", "policies.old", "policies.new"]);
        assert_eq!(merge.merge(&merged.items), Merged { items: merged.items, fields: Vec::new() });
    }
}
