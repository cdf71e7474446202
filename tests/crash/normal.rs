//! What two tenants have in common: their objects without names, ids and times.

use serde_json::{Map, Value};
use uuid::Uuid;

/// Fields that are another one for each object or each moment.
const PARTICULAR: [&str; 15] = [
    "clusterIP",
    "clusterIPs",
    "client.secret.creation.time",
    "createdTimestamp",
    "creationTimestamp",
    "deletionTimestamp",
    "generation",
    "lastTransitionTime",
    "managedFields",
    "number",
    "observedGeneration",
    "policyNumber",
    "resourceVersion",
    "stream-ca.crt",
    "keycloakVersion",
];

/// What a tenant's own words are to be replaced by, longer ones first.
pub type Words = Vec<(String, String)>;

/// The value in words that every tenant would use. Lists are sorted: what they hold are sets.
pub fn normal(value: &Value, words: &Words) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(name, _)| !PARTICULAR.contains(&name.as_str()));
            let kept = kept.map(|(name, value)| (replaced(name, words), normal(value, words)));
            Value::Object(kept.collect::<Map<_, _>>())
        }
        Value::Array(items) => {
            let mut items: Vec<_> = items.iter().map(|item| normal(item, words)).collect();
            items.sort_by_cached_key(ToString::to_string);
            Value::Array(items)
        }
        Value::String(text) => normal_text(text, words),
        other => other.clone(),
    }
}

/// Ids are as good as each other, and some texts are documents themselves.
fn normal_text(text: &str, words: &Words) -> Value {
    if text.starts_with(['{', '['])
        && let Ok(document) = serde_json::from_str(text)
    {
        return normal(&document, words);
    }
    let text = replaced(text, words);
    Value::String(if Uuid::try_parse(&text).is_ok() { "ID".to_owned() } else { text })
}

/// The name of a signing key tells when it was made.
fn replaced(text: &str, words: &Words) -> String {
    let text = words.iter().fold(text.to_owned(), |text, (word, common)| text.replace(word, common));
    let timeless = text.split(' ').map(|word| if word.parse::<jiff::Timestamp>().is_ok() { "TIME" } else { word });
    timeless.collect::<Vec<_>>().join(" ")
}

/// Where two values differ, for people: each place with both sides.
pub fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let mut all = Vec::new();
    compare("", expected, found, &mut all);
    all
}

fn compare(at: &str, expected: &Value, found: &Value, all: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            let names: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
            for name in names {
                let side = |of: &Map<String, Value>| of.get(name).cloned().unwrap_or(Value::Null);
                compare(&format!("{at}/{name}"), &side(expected), &side(found), all);
            }
        }
        (Value::Array(expected), Value::Array(found)) => {
            let only = |here: &[Value], there: &[Value]| -> Vec<Value> {
                here.iter().filter(|item| !there.contains(item)).cloned().collect()
            };
            let (missing, surplus) = (only(expected, found), only(found, expected));
            match (missing.as_slice(), surplus.as_slice()) {
                ([], []) if expected.len() == found.len() => {}
                ([missing], [surplus]) => compare(&format!("{at}[]"), missing, surplus, all),
                _ => all.push(format!("{at}: missing {missing:?}, surplus {surplus:?}")),
            }
        }
        (expected, found) if expected == found => {}
        (expected, found) => all.push(format!("{at}: expected {expected}, found {found}")),
    }
}
