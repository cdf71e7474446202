//! The names by which Keycloak, the cluster and the tokens know the same thing.
//!
//! Namespaces and names are DNS labels (no dots), so `name.namespace.kind`
//! reads back unambiguously and two objects can never share an id.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The ending of the client id of every WorkloadIdentity.
const WORKLOAD_SUFFIX: &str = ".workload";
/// How the names of the roles begin by which guards tell the people of a grant. Permissions have no dot.
const GRANT_ROLE_PREFIX: &str = "grant.";

/// A namespaced object, by name: `vision/resnet`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Ref {
    /// Kubernetes namespace, a DNS label.
    pub namespace: String,
    /// Object name, a DNS label.
    pub name: String,
}

impl Ref {
    /// The reference to `name` in `namespace`.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The Keycloak client id of this ModelEndpoint, which is also its audience.
    pub fn endpoint_client_id(&self) -> String {
        format!("{}.{}.endpoint", self.name, self.namespace)
    }

    /// The Keycloak client id of this WebApp, which is also its audience.
    pub fn app_client_id(&self) -> String {
        format!("{}.{}.app", self.name, self.namespace)
    }

    /// The Keycloak client id of this WorkloadIdentity: the `azp` of its tokens.
    pub fn workload_client_id(&self) -> String {
        format!("{}.{}{WORKLOAD_SUFFIX}", self.name, self.namespace)
    }

    /// The other client of a WorkloadIdentity that logs in with secrets. No namespace has a dot.
    pub fn second_workload_client_id(&self) -> String {
        format!("{}.{}.second.workload", self.name, self.namespace)
    }

    /// The WorkloadIdentity whose client, of the two that it may have, has this client id.
    pub fn of_workload_client(client_id: &str) -> Option<Self> {
        let (name, namespace) = client_id.strip_suffix(".workload")?.split_once('.')?;
        let namespace = namespace.strip_suffix(".second").unwrap_or(namespace);
        let is_label = |label: &str| !label.is_empty() && !label.contains('.');
        (is_label(name) && is_label(namespace)).then(|| Self::new(namespace, name))
    }
}

impl fmt::Display for Ref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Whether a client with this id is a WorkloadIdentity's, by its name alone.
#[must_use]
pub fn is_workload_client_id(client_id: &str) -> bool {
    client_id.ends_with(WORKLOAD_SUFFIX)
}

/// Whether a client of this id is one that Keywire makes of an object. No other has such a name.
#[must_use]
pub fn is_ours(client_id: &str) -> bool {
    [".endpoint", ".app", WORKLOAD_SUFFIX].iter().any(|suffix| client_id.ends_with(suffix))
}

/// The endpoint's role that the people of an AccessGrant of this name hold.
#[must_use]
pub fn grant_role(grant: &str) -> String {
    format!("{GRANT_ROLE_PREFIX}{grant}")
}

/// Whether an endpoint's role is that of the people of a grant, and no permission.
#[must_use]
pub fn is_grant_role(role: &str) -> bool {
    role.starts_with(GRANT_ROLE_PREFIX)
}

/// The client scope that carries one permission of one endpoint.
///
/// `iris.vision.endpoint:predict`: asking for it asks for the audience and for
/// that one role, nothing more.
pub fn permission_scope(endpoint_client_id: &str, permission: &str) -> String {
    format!("{endpoint_client_id}:{permission}")
}

/// The subject that Kubernetes writes into the tokens of a ServiceAccount.
pub fn service_account_subject(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_kind_namespace_and_object() {
        let iris = Ref::new("vision", "iris");
        assert_eq!(iris.endpoint_client_id(), "iris.vision.endpoint");
        assert_eq!(iris.workload_client_id(), "iris.vision.workload");
        for id in [iris.workload_client_id(), iris.second_workload_client_id()] {
            assert_eq!(Ref::of_workload_client(&id), Some(iris.clone()), "{id}");
        }
        for other in ["iris.vision.endpoint", "workload", ".workload", "a.b.c.workload", "security-admin-console"] {
            assert_eq!(Ref::of_workload_client(other), None, "{other}");
        }
        assert_eq!(permission_scope(&iris.endpoint_client_id(), "read"), "iris.vision.endpoint:read");
        assert_eq!(service_account_subject("a", "b"), "system:serviceaccount:a:b");
        assert!(is_workload_client_id("iris.vision.workload") && !is_workload_client_id("iris.vision.endpoint"));
    }

    #[test]
    fn a_grants_role_is_no_permission() {
        use crate::core::permission::Permission;
        assert_eq!(grant_role("labelers"), "grant.labelers");
        assert!(is_grant_role("grant.labelers") && !is_grant_role("grant") && !is_grant_role("predict"));
        assert!(Permission::parse(&grant_role("labelers")).is_err(), "it can be asked for by no route");
    }
}
