//! Whose tokens are refused before their time. Looked up once for each token, when it is verified.

use std::collections::HashMap;

use super::document::{Holder, Revocation};

/// Until when the tokens of each are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    clients: HashMap<Box<str>, i64>,
    subjects: HashMap<Box<str>, i64>,
}

impl Revoked {
    /// The time before which a token must not have been issued, in seconds since the epoch; `None`: it may be of any.
    #[must_use]
    pub fn before(&self, client: &str, subject: &str) -> Option<i64> {
        self.clients.get(client).into_iter().chain(self.subjects.get(subject)).max().copied()
    }
}

impl FromIterator<Revocation> for Revoked {
    fn from_iter<I: IntoIterator<Item = Revocation>>(revocations: I) -> Self {
        let mut all = Self::default();
        for Revocation { of, before } in revocations {
            let (held, name) = match of {
                Holder::Client(name) => (&mut all.clients, name),
                Holder::Subject(name) => (&mut all.subjects, name),
            };
            let until = held.entry(name.into()).or_insert(i64::MIN);
            *until = (*until).max(before.unwrap_or(i64::MAX));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_time_counts() {
        let of = |of: Holder, before| Revocation { of, before };
        let revoked: Revoked = [
            of(Holder::Client("a".into()), Some(5)),
            of(Holder::Client("a".into()), Some(3)),
            of(Holder::Subject("u".into()), None),
        ]
        .into_iter()
        .collect();
        for (client, subject, before) in [
            ("a", "x", Some(5)),
            ("b", "x", None),
            ("b", "u", Some(i64::MAX)),
            ("a", "u", Some(i64::MAX)),
            ("u", "a", None),
        ] {
            assert_eq!(revoked.before(client, subject), before, "{client} {subject}");
        }
    }
}
