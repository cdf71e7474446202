//! A value in a Secret.
//!
//! Only cluster-scoped kinds, which are the platform team's, may name one: no tenant's object can make the operator
//! read another namespace's Secret.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::common::LABEL_PATTERN;

/// One key of a Secret. The operator has to be allowed to read it: chart value `secretNamespaces`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// Namespace of the Secret.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub namespace: String,
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    pub name: String,
    /// Key within it.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}
