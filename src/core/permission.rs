//! Permissions: the verbs of a grant, in Keycloak the client roles of an endpoint.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Serialize};

/// The longest permission name, in bytes.
pub const MAX_LEN: usize = 63;

/// A permission name: lower-case letters, digits and inner dashes, 1–63 bytes.
///
/// Checked when parsed or deserialised, never again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Permission(Box<str>);

/// Why a string is no permission name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no permission name: use 1 to 63 lower-case letters, digits and inner dashes, such as \"predict\" or \"fine-tune\""
)]
pub struct InvalidPermission(String);

impl Permission {
    /// Look at metadata, status and lists.
    pub const READ: &'static str = "read";
    /// Ask a model for an answer.
    pub const PREDICT: &'static str = "predict";
    /// Run a tool or a job.
    pub const EXECUTE: &'static str = "execute";
    /// Write down what comes of training: runs, metrics, artifacts.
    pub const TRAIN: &'static str = "train";
    /// Make a model from another one and data.
    pub const FINE_TUNE: &'static str = "fine-tune";
    /// Load, unload and configure models.
    pub const DEPLOY: &'static str = "deploy";
    /// Take work and report on it, with the secrets that this needs: what a worker does.
    pub const WORK: &'static str = "work";
    /// Everything that changes the server itself.
    pub const ADMIN: &'static str = "admin";

    /// Checks and wraps a name.
    pub fn parse(name: &str) -> Result<Self, InvalidPermission> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = name.as_bytes();
        let ends = bytes.first().is_some_and(|b| inner(*b)) && bytes.last().is_some_and(|b| inner(*b));
        if ends && bytes.len() <= MAX_LEN && bytes.iter().all(|b| inner(*b) || *b == b'-') {
            Ok(Self(name.into()))
        } else {
            Err(InvalidPermission(name.chars().take(MAX_LEN).collect()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Permission {
    type Error = InvalidPermission;
    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::parse(&name)
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> Self {
        permission.0.into()
    }
}

impl Borrow<str> for Permission {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_once() {
        for good in ["read", "fine-tune", "a", "v2"] {
            assert!(Permission::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(MAX_LEN + 1);
        for bad in ["", "-a", "a-", "Read", "a b", "a:b", "é", &long] {
            assert!(Permission::parse(bad).is_err(), "{bad}");
        }
    }
}
