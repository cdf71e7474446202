//! Who made an object in Keycloak: the mark by which Keywire knows its own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The attribute (for identity providers: the config entry) that holds an [`Owner`] in Keycloak.
pub const OWNER_ATTRIBUTE: &str = "keywire.dev/owner";

/// The kind in the mark of what `keywire bootstrap` makes: the operator's own login, which no Kubernetes object stands for.
pub const BOOTSTRAP: &str = "Bootstrap";
/// The attribute, always `true`, of every client that Keywire makes: client policies can ask for whole values only, and
/// [`OWNER_ATTRIBUTE`] is another for each.
pub const MANAGED_ATTRIBUTE: &str = "keywire.dev/managed";

/// The Kubernetes object that a Keycloak object was made from.
///
/// It is stored as one value, `cluster/kind/namespace/name/uid`, because Keycloak keeps every attribute in a row of its
/// own. The value has to fit the 255 characters of a role's attribute: names are DNS labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// The cluster's name as the operator was told it.
    pub cluster: String,
    /// The kind, such as `ModelEndpoint`.
    pub kind: String,
    /// The namespace, absent for cluster-scoped kinds.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
    /// The object's uid: tells an object from a later one of the same name.
    pub uid: String,
}

impl Owner {
    /// Whether `other` stands for the same Kubernetes object, or for an earlier or later one of the same name.
    #[must_use]
    pub fn is_same_object(&self, other: &Owner) -> bool {
        (&self.cluster, &self.kind, &self.namespace, &self.name)
            == (&other.cluster, &other.kind, &other.namespace, &other.name)
    }

    /// Whether this marks a part of the operator's own login from `cluster`.
    #[must_use]
    pub fn is_login_of(&self, cluster: &str) -> bool {
        self.kind == BOOTSTRAP && self.cluster == cluster
    }

    /// The value of [`OWNER_ATTRIBUTE`].
    #[must_use]
    pub fn to_attribute(&self) -> String {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        format!("{}/{}/{namespace}/{}/{}", self.cluster, self.kind, self.name, self.uid)
    }

    /// Reads the value of [`OWNER_ATTRIBUTE`]; none for anything that Keywire did not write.
    #[must_use]
    pub fn from_attribute(value: &str) -> Option<Self> {
        // From the right: only the cluster's name could contain a slash.
        let mut parts = value.rsplitn(5, '/');
        let uid = parts.next()?.to_owned();
        let name = parts.next()?.to_owned();
        let namespace = parts.next()?;
        let kind = parts.next()?.to_owned();
        let cluster = parts.next()?.to_owned();
        let namespace = (!namespace.is_empty()).then(|| namespace.to_owned());
        Some(Self { cluster, kind, namespace, name, uid })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name)?,
            None => write!(f, "{} {}", self.kind, self.name)?,
        }
        write!(f, " of cluster {}", self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(namespace: Option<&str>) -> Owner {
        Owner {
            cluster: "eu/main".into(),
            kind: "ModelEndpoint".into(),
            namespace: namespace.map(Into::into),
            name: "resnet".into(),
            uid: "u-1".into(),
        }
    }

    #[test]
    fn survives_the_attribute() {
        for owner in [owner(Some("vision")), owner(None)] {
            assert_eq!(Owner::from_attribute(&owner.to_attribute()), Some(owner));
        }
    }

    #[test]
    fn foreign_values_have_no_owner() {
        assert_eq!(Owner::from_attribute(""), None);
        assert_eq!(Owner::from_attribute("someone else"), None);
    }

    #[test]
    fn a_recreated_object_is_the_same_object() {
        let later = Owner { uid: "u-2".into(), ..owner(None) };
        assert!(later.is_same_object(&owner(None)));
        assert!(!later.is_same_object(&owner(Some("vision"))));
    }
}
