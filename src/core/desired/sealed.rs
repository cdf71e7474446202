//! A secret on its way to Keycloak.

use std::{fmt, sync::Arc};

use serde::{Serialize, Serializer};

/// A secret value and the version by which a new one is told from the old.
///
/// Keycloak shows such values as `**********`, so they cannot be compared; what is compared, and kept beside the value
/// in Keycloak, is the version: where it was read from, and the `resourceVersion` then. `Debug` and `Serialize` show it
/// and never the value, so a plan that holds one can be printed, and has another fingerprint with each version.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Tells this value from an earlier one; says nothing of the value.
    pub version: String,
    value: Arc<str>,
}

impl Sealed {
    /// A value as it was read under this version.
    #[must_use]
    pub fn new(version: impl Into<String>, value: &str) -> Self {
        Self { version: version.into(), value: value.into() }
    }

    /// The value, for the body of a request and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({})", self.version)
    }
}

impl Serialize for Sealed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("(secret {})", self.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown() {
        let sealed = Sealed::new("corp/mail@7", "hunter2");
        let shown = format!("{sealed:?} {}", serde_json::to_string(&sealed).expect("JSON"));
        assert!(!shown.contains("hunter2") && shown.contains("corp/mail@7"));
    }
}
