//! Pieces that several kinds share: references, selectors, durations, conditions.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::core::name::Ref;

/// The longest name of a namespaced object: a DNS label (RFC 1123).
pub const LABEL_MAX: u32 = 63;
/// A DNS label.
pub const LABEL_PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// An object in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// Namespace of the object.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub namespace: String,
    /// Name of the object.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub name: String,
}

impl From<&ObjectRef> for Ref {
    fn from(reference: &ObjectRef) -> Self {
        Ref::new(&reference.namespace, &reference.name)
    }
}

/// Selects pods of the object's own namespace by their labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSelector {
    /// Labels that a pod must all carry. At least one.
    #[schemars(schema_with = "labels_schema")]
    pub match_labels: Labels,
}

/// A few labels, in order. A tree for each of ten thousand selectors of one label would be most of their memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(Box<[(String, String)]>);

impl From<BTreeMap<String, String>> for Labels {
    fn from(labels: BTreeMap<String, String>) -> Self {
        Self(labels.into_iter().collect())
    }
}

/// As Kubernetes' own objects have them.
impl From<Labels> for BTreeMap<String, String> {
    fn from(Labels(labels): Labels) -> Self {
        labels.into_iter().collect()
    }
}

impl PodSelector {
    /// Whether a pod with these labels is selected. An empty selector selects nothing.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let Labels(wanted) = &self.match_labels;
        !wanted.is_empty() && wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// A map of labels, bounded so that CEL rules over it stay within the API server's cost budget.
pub(super) fn labels_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63},
    })
}

/// A time (RFC 3339).
pub(super) fn timestamp_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time", "maxLength": 40})
}

/// The conditions of an object, one of each type.
pub(super) fn conditions_schema(generator: &mut SchemaGenerator) -> Schema {
    let item = generator.subschema_for::<Condition>();
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "items": item,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// What a claim of each token has to be: exactly one of the four.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.equals), has(self.__in__), has(self.contains), has(self.absent)].filter(x, x).size() == 1")
    .message("name one of equals, in, contains, absent"))]
pub struct ClaimRequirement {
    /// Name of the claim: a member at the top of the token.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[A-Za-z_][A-Za-z0-9_.:/-]*$"))]
    pub claim: String,
    /// It is this text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub equals: Option<String>,
    /// It is one of these texts.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "in")]
    #[schemars(length(min = 1, max = 32), inner(length(min = 1, max = 255)))]
    pub one_of: Option<Vec<String>>,
    /// It is a list with this text in it, or the text itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub contains: Option<String>,
    /// There is no such claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<Absent>,
}

/// Says that a claim must not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Absent {
    /// It is not.
    Required,
}

/// A claim's name, as identities may set it: one that Keycloak takes for no path.
pub const CLAIM_PATTERN: &str = "^[a-z][a-z0-9_]*$";

/// The URL of something outside the cluster.
pub const EXTERNAL_URL_PATTERN: &str = r"^https://[^/?#@\s]+(/[^?#\s]*)?$";

/// The name of a client scope (RFC 6749, appendix A.4).
pub const SCOPE_PATTERN: &str = r"^[!#-\[\]-~]+$";

/// A length of time, written as in `90s`, `5m` or `1h30m`. Held in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seconds(pub u32);

/// Why a string is no length of time.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no duration: write it like 90s, 5m or 1h30m")]
pub struct InvalidDuration(String);

impl TryFrom<String> for Seconds {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        parse_duration(&text).map(Self).ok_or(InvalidDuration(text))
    }
}

impl From<Seconds> for String {
    fn from(Seconds(mut rest): Seconds) -> Self {
        if rest == 0 {
            return "0s".into();
        }
        let mut text = String::new();
        for (unit, seconds) in [('h', 3600), ('m', 60), ('s', 1)] {
            if rest >= seconds {
                text.push_str(&format!("{}{unit}", rest / seconds));
                rest %= seconds;
            }
        }
        text
    }
}

fn parse_duration(text: &str) -> Option<u32> {
    let (mut total, mut number, mut units) = (0u32, None::<u32>, "hms");
    for c in text.chars() {
        if let Some(digit) = c.to_digit(10) {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            continue;
        }
        let at = units.find(c)?;
        units = &units[at + 1..];
        let scale = match c {
            'h' => 3600,
            'm' => 60,
            _ => 1,
        };
        total = total.checked_add(number.take()?.checked_mul(scale)?)?;
    }
    (number.is_none() && !text.is_empty()).then_some(total)
}

impl schemars::JsonSchema for Seconds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 2,
            "maxLength": 20,
            "pattern": "^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1h0m5s", 3605), ("0s", 0)] {
            assert_eq!(Seconds::try_from(text.to_owned()).unwrap(), Seconds(seconds), "{text}");
        }
        for bad in ["", "5", "5x", "m", "5s5m", "99999999h", "-1s"] {
            assert!(Seconds::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        assert_eq!(String::from(Seconds(5400)), "1h30m");
        assert_eq!(String::from(Seconds(0)), "0s");
    }

    #[test]
    fn an_empty_selector_selects_nothing() {
        let labels = BTreeMap::from([("app".to_owned(), "iris".to_owned()), ("x".to_owned(), "y".to_owned())]);
        assert!(!PodSelector::default().matches(&labels));
        let selector = |k: &str, v: &str| PodSelector { match_labels: BTreeMap::from([(k.into(), v.into())]).into() };
        assert!(selector("app", "iris").matches(&labels));
        assert!(!selector("app", "resnet").matches(&labels));
        assert!(!selector("tier", "iris").matches(&labels));
    }
}
