//! Comparing what is ours as a whole: what is there and not desired is a difference, too.

use serde::Serialize;
use serde_json::Value;

use crate::core::diff::fields::{FieldChange, FieldPath, compare};

/// The fields of `desired` that differ in `observed`, and what `observed` has in the object `member` beyond `desired`.
pub(super) fn compare_whole(
    observed: &impl Serialize,
    desired: &impl Serialize,
    member: &str,
    is_ours_to_drop: impl Fn(&str) -> bool,
) -> Vec<FieldChange> {
    let mut changes = compare(observed, desired);
    let (Ok(observed), Ok(desired)) = (serde_json::to_value(observed), serde_json::to_value(desired)) else {
        return changes;
    };
    let Some(found) = observed.get(member).and_then(Value::as_object) else { return changes };
    for (key, value) in found {
        let is_wanted = desired.get(member).and_then(|wanted| wanted.get(key)).is_some();
        if !is_wanted && !is_empty(value) && is_ours_to_drop(key) {
            let path = FieldPath(vec![member.to_owned(), key.clone()]);
            changes.push(FieldChange { path, from: value.clone(), to: Value::Null });
        }
    }
    changes
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.iter().all(is_empty),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_too_much_is_a_difference() {
        let observed = json!({"name": "a", "theirs": 1, "config": {"same": "1", "more": "2", "kept": "3", "none": ""}});
        let desired = json!({"name": "b", "config": {"same": "1"}});
        let changes = compare_whole(&observed, &desired, "config", |key| key != "kept");
        let shown: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, [r#"name: "a" → "b""#, r#"config.more: "2" → null"#]);
    }
}
