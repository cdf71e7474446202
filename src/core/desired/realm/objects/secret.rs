//! A secret that an object of a realm needs.

use serde::Serialize;
use uuid::Uuid;

use crate::core::desired::Sealed;

/// What is kept of a version where there is room for few characters only, less than the name of a Secret may have.
#[must_use]
pub fn digest(version: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, version.as_bytes()).to_string()
}

/// A secret that was asked for, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Secret {
    /// None is asked for.
    #[default]
    Absent,
    /// It was read.
    Known(Sealed),
    /// It could not be read, for the reason given: what Keycloak has stays.
    Unreadable(String),
}

impl Secret {
    /// The version of a secret that was read.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        match self {
            Self::Known(sealed) => Some(&sealed.version),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }

    /// The secret that was read.
    #[must_use]
    pub fn sealed(&self) -> Option<Sealed> {
        match self {
            Self::Known(sealed) => Some(sealed.clone()),
            Self::Absent | Self::Unreadable(_) => None,
        }
    }
}
