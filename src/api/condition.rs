//! Conditions, as every object's status has them, in little memory: ten thousand objects say the same few things.

use std::{
    collections::HashSet,
    fmt,
    ops::Deref,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition as MetaCondition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Kubernetes' `metav1.Condition`, field by field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// When the status last changed.
    pub last_transition_time: Time,
    /// A sentence for people.
    pub message: Word,
    /// The generation of the object that this was said of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// A word for machines, in CamelCase.
    pub reason: Word,
    /// `True`, `False` or `Unknown`.
    pub status: Word,
    /// What it is about, in CamelCase.
    #[serde(rename = "type")]
    pub type_: Word,
}

impl JsonSchema for Condition {
    fn inline_schema() -> bool {
        MetaCondition::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        MetaCondition::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        MetaCondition::json_schema(generator)
    }
}

/// A text that is kept once, however many say it.
#[derive(Clone, PartialEq, Eq)]
pub struct Word(Arc<str>);

/// Every word that is in use, and some that were.
static WORDS: LazyLock<Mutex<HashSet<Arc<str>>>> = LazyLock::new(Mutex::default);

impl Word {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(word) = words.get(text) {
            return Self(Arc::clone(word));
        }
        if words.len() == words.capacity() {
            // Before it grows: those that nobody says any more.
            words.retain(|word| Arc::strong_count(word) > 1);
        }
        let word = Arc::<str>::from(text);
        words.insert(Arc::clone(&word));
        Self(word)
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Word {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Word {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Word;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Word, E> {
                Ok(Word::from(text))
            }
        }

        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_word_is_kept_once_and_not_for_ever() {
        let (first, second) = (Word::from("kept once"), Word::from("kept once".to_owned()));
        assert!(Arc::ptr_eq(&first.0, &second.0));
        let told = |n: usize| Word::from(format!("said once, {n}").as_str());
        (0..20_000).for_each(|n| drop(told(n)));
        assert!(WORDS.lock().unwrap().len() < 10_000, "what nobody says any more goes");
        assert!(Arc::ptr_eq(&first.0, &Word::from("kept once").0));
    }

    #[test]
    fn it_reads_and_is_written_as_kubernetes_has_it() {
        let text = json!({"type": "Ready", "status": "True", "reason": "Ready", "message": "may \"log in\"",
            "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let ours: Condition = serde_json::from_value(text.clone()).unwrap();
        let theirs: MetaCondition = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(json!(ours), json!(theirs));
        assert_eq!(json!(ours), text);
        let bare: Condition = serde_json::from_value(
            json!({"type": "A", "status": "Unknown", "reason": "B", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}),
        )
        .unwrap();
        assert!(json!(bare).get("observedGeneration").is_none());
    }
}
