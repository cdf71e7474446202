//! The roles in a token. Pure.

/// Roles joined by commas, as a header field carries them to the application. No role has a comma.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles<'a>(&'a str);

impl<'a> Roles<'a> {
    /// What `joined` lists.
    pub const fn joined(joined: &'a str) -> Self {
        Self(joined)
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.0.split(',').filter(|role| !role.is_empty())
    }

    /// Whether this role is among them.
    pub fn contains(self, role: &str) -> bool {
        !role.is_empty() && self.0.split(',').any(|own| own == role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_roles_count() {
        for (joined, role, expected) in [
            ("read", "read", true),
            ("read,predict", "predict", true),
            ("read,predict", "read,predict", false),
            ("read,predict", "rea", false),
            ("read,predict", "dict", false),
            ("read", "Read", false),
            ("", "read", false),
            ("", "", false),
            ("a,,b", "", false),
        ] {
            assert_eq!(Roles::joined(joined).contains(role), expected, "{joined:?} {role:?}");
        }
    }
}
