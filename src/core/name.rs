//! The names by which Keycloak, the cluster and the tokens know the same thing.
//!
//! Namespaces and names are DNS labels (no dots), so `name.namespace.kind`
//! reads back unambiguously and two objects can never share an id.

use std::fmt;

use serde::{Deserialize, Serialize};

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

    /// The Keycloak client id of this WorkloadIdentity: the `azp` of its tokens.
    pub fn workload_client_id(&self) -> String {
        format!("{}.{}.workload", self.name, self.namespace)
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
    }
}
