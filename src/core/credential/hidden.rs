//! A secret on its way between the Secret, the stream and the sidecar.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A secret text. `Debug` never shows it; it is written as it is into a Secret, or into the stream to the pods that it is for,
/// and nowhere else.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// Takes a secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret, for a login or a file and nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown() {
        assert_eq!(format!("{:?}", Some(Hidden::new("hunter2".into()))), "Some(Hidden)");
    }
}
