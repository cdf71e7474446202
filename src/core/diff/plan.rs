//! An ordered list of changes.

use std::fmt;

use serde::Serialize;

use super::change::Change;

/// The calls that make Keycloak hold what it should, each after those that it depends on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The calls, in order.
    pub changes: Vec<Change>,
}

impl Plan {
    /// Whether Keycloak holds what it should already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    pub(super) fn extend(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.changes.extend(changes);
    }
}

/// The items by name, so that a plan does not depend on the order in which things were given or read.
pub(super) fn by_name<T>(items: &[T], name: impl Fn(&T) -> &str) -> Vec<&T> {
    let mut sorted: Vec<&T> = items.iter().collect();
    sorted.sort_by(|one, other| name(one).cmp(name(other)));
    sorted
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in &self.changes {
            writeln!(f, "{change}")?;
            for field in change.fields() {
                writeln!(f, "    {field}")?;
            }
        }
        Ok(())
    }
}
