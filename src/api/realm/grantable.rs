//! Roles of clients that a realm lets its identities have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NamespaceAccess;

/// Roles of one client, and who may have them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrantableRoles {
    /// The client id of a client that is there already, such as `realm-management`. One that Keywire made is refused: the owner
    /// of an endpoint grants by an AccessGrant.
    #[schemars(length(min = 1, max = 255))]
    pub client: String,
    /// Names of its roles. Those of `realm-management` let identities administrate the realm as far as they go.
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 255)), extend("x-kubernetes-list-type" = "set"))]
    pub roles: Vec<String>,
    /// Which of the realm's namespaces they are for. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceAccess>,
}
