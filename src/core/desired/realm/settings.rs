//! The settings of a realm.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings of a realm under Keycloak's own names (`RealmRepresentation`). Only those that are given are compared and
/// written; the others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RealmSettings {
    fields: BTreeMap<String, Value>,
}

impl RealmSettings {
    /// Gives a setting, where there is a value.
    pub fn set(&mut self, field: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.fields.insert(field.to_owned(), value.into());
        }
    }

    /// The same settings and one more.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.set(field, Some(value));
        self
    }

    /// One setting; none if it is not given.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.fields.get(field)
    }

    /// Whether a setting is given.
    #[must_use]
    pub fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// All settings that are given, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.fields.iter()
    }

    /// A number of seconds; none if it is not given, or no such number.
    #[must_use]
    pub fn seconds(&self, field: &str) -> Option<u64> {
        self.get(field)?.as_u64()
    }

    /// The same settings with every list of texts in order. Keycloak keeps them as sets, and shows them in any order.
    #[must_use]
    pub fn in_order(&self) -> Self {
        let mut fields = self.fields.clone();
        fields.values_mut().for_each(sort_texts);
        Self { fields }
    }
}

fn sort_texts(value: &mut Value) {
    let Value::Array(items) = value else { return };
    let texts: Option<BTreeSet<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    if let Some(texts) = texts {
        *items = texts.into_iter().map(Value::String).collect();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_given_is_not_there() {
        let mut settings = RealmSettings::default().with("enabled", true);
        settings.set("accessTokenLifespan", None::<u32>);
        assert_eq!(serde_json::to_value(&settings).unwrap(), json!({"enabled": true}));
        assert!(settings.has("enabled") && !settings.has("accessTokenLifespan"));
    }

    #[test]
    fn lists_of_texts_are_sets() {
        let one = RealmSettings::default().with("supportedLocales", json!(["de", "en", "de"]));
        let other = RealmSettings::default().with("supportedLocales", json!(["en", "de"]));
        assert_eq!(one.in_order(), other.in_order());
        let numbers = RealmSettings::default().with("other", json!([2, 1]));
        assert_eq!(numbers.in_order(), numbers);
    }
}
