//! AccessGrant: the edge between subjects and an endpoint.

use k8s_openapi::jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    common::{ClaimRequirement, LABEL_PATTERN, ObjectRef, conditions_schema, timestamp_schema},
    condition::Condition,
};

/// Who may do what with an endpoint of the same namespace: its owner's consent.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "keywire.dev",
    version = "v1alpha1",
    kind = "AccessGrant",
    plural = "accessgrants",
    namespaced,
    shortname = "grant",
    category = "keywire",
    status = "AccessGrantStatus",
    derive = "PartialEq",
    doc = "Who may do what with a ModelEndpoint of the same namespace: its owner's consent.",
    validation = Rule::new("self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self.metadata.name) <= 63").message("metadata.name must be a DNS label: at most 63 lower-case letters, digits and dashes, no dots"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".spec.endpoint"),
    printcolumn(name = "Permissions", type_ = "string", json_path = ".spec.permissions"),
    printcolumn(name = "Subjects", type_ = "string", json_path = ".status.subjects"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".spec.expiresAt", priority = "1"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct AccessGrantSpec {
    /// The ModelEndpoint, in this namespace.
    #[schemars(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN))]
    pub endpoint: String,
    /// Who.
    #[schemars(length(min = 1, max = 64))]
    pub subjects: Vec<GrantSubject>,
    /// What: `read`, `predict`, `deploy`, `admin`, or a permission of the endpoint's own rules.
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 63), regex(pattern = LABEL_PATTERN)),
        extend("x-kubernetes-list-type" = "set"))]
    pub permissions: Vec<String>,
    /// Only these models; none given: every model of the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256), inner(length(min = 1, max = 255)))]
    pub models: Option<Vec<String>>,
    /// Only for tokens that carry this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub claims: Vec<ClaimRequirement>,
    /// When the grant ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "timestamp_schema")]
    pub expires_at: Option<Timestamp>,
}

/// Who a grant is for: exactly one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.workloadIdentity), has(self.user), has(self.group), has(self.realmRole)].filter(given, given).size() == 1")
    .message("spec.subjects: each subject must name exactly one of workloadIdentity, user, group and realmRole"))]
pub struct GrantSubject {
    /// A WorkloadIdentity of any namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<ObjectRef>,
    /// A user of the endpoint's realm, by username.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub user: Option<String>,
    /// A group of the endpoint's realm, by path: `/data-science`. Members of groups within it are meant too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 1024), regex(pattern = "^/"))]
    pub group: Option<String>,
    /// Whoever holds this role of the endpoint's realm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub realm_role: Option<String>,
}

/// What became of the grant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessGrantStatus {
    /// The generation that this status tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Subjects found, of those named: `2/3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subjects: Option<String>,
    /// `Ready`, `Accepted`, `Bound`.
    #[serde(default)]
    #[schemars(schema_with = "conditions_schema")]
    pub conditions: Vec<Condition>,
}
