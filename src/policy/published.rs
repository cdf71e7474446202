//! How a policy document lies in the cluster: one ConfigMap per document, found by its labels.

use crate::core::{
    credential::CREDENTIAL_FILE,
    name::Ref,
    policy::document::{EGRESS_FILE, GUARD_FILE},
};

/// The label that says what a ConfigMap holds: a [`DocumentKind`], in lower case.
pub const DOCUMENT_LABEL: &str = "keywire.dev/document";
/// The label that names the ModelEndpoint or WorkloadIdentity of a document.
pub const OBJECT_LABEL: &str = "keywire.dev/object";

/// Which half of a proxy a document is for.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
)]
#[strum(serialize_all = "snake_case")]
pub enum DocumentKind {
    /// The policy of a ModelEndpoint.
    Guard,
    /// The targets of a WorkloadIdentity.
    Egress,
    /// The credential that a WorkloadIdentity keeps. It lies in a Secret, and only the identity's own pods are given it.
    Credential,
}

impl DocumentKind {
    /// The document's key in its ConfigMap, and its file name in the pod.
    pub fn file(self) -> &'static str {
        match self {
            Self::Guard => GUARD_FILE,
            Self::Egress => EGRESS_FILE,
            Self::Credential => CREDENTIAL_FILE,
        }
    }

    /// The name of the ConfigMap for the object of this name.
    pub fn config_map(self, object: &str) -> String {
        format!("keywire-{self}-{object}")
    }
}

/// A document, by what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentKey {
    /// For which half.
    pub kind: DocumentKind,
    /// Of which ModelEndpoint or WorkloadIdentity.
    pub object: Ref,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fixed() {
        assert_eq!(DocumentKind::Guard.config_map("iris"), "keywire-guard-iris");
        assert_eq!(DocumentKind::Egress.file(), "egress.json");
        assert_eq!("guard".parse(), Ok(DocumentKind::Guard));
        assert!("Guard".parse::<DocumentKind>().is_err());
    }
}
