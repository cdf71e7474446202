//! Groups, named by their path from the top.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::role::RoleSet;
use crate::core::desired::owner::{OWNER_ATTRIBUTE, Owner};

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Where it is.
    pub path: GroupPath,
    /// Free attributes.
    pub attributes: BTreeMap<String, Vec<String>>,
    /// The roles of its members.
    pub roles: RoleSet,
    /// Whether every new user becomes a member; none where that is not ours to decide.
    pub is_default: Option<bool>,
}

impl Group {
    /// The attributes as Keycloak is to hold them.
    #[must_use]
    pub fn owned_attributes(&self, owner: &Owner) -> BTreeMap<String, Vec<String>> {
        let mut attributes = self.attributes.clone();
        attributes.insert(OWNER_ATTRIBUTE.to_owned(), vec![owner.to_attribute()]);
        attributes
    }
}

/// The names from the top to a group. Parents sort before their children.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupPath(Vec<String>);

impl GroupPath {
    /// Reads a path such as `/data-science/nlp`; none where a name is empty or the path does not begin with a slash.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let names: Vec<String> = path.strip_prefix('/')?.split('/').map(Into::into).collect();
        let is_name = |name: &String| !name.is_empty() && name != "." && name != ".." && name.trim() == name;
        names.iter().all(is_name).then_some(Self(names))
    }

    /// The names from the top.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The group's own name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }

    /// The group that it is in; none at the top.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        (!rest.is_empty()).then(|| Self(rest.to_vec()))
    }

    /// A group in this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.to_owned()]).collect())
    }

    /// A group at the top.
    #[must_use]
    pub fn top(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// Whether `other` is this group or somewhere in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for GroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|name| write!(f, "/{name}"))
    }
}

impl Serialize for GroupPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_and_write() {
        for good in ["/a", "/a/b", "/data science/nlp", "/a.b/..c"] {
            assert_eq!(GroupPath::parse(good).expect(good).to_string(), good);
        }
        for bad in ["", "/", "a", "a/b", "/a/", "//a", "/a//b", "/..", "/a/.", "/ a", "/a /b"] {
            assert_eq!(GroupPath::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn parents_come_first() {
        let path = |text: &str| GroupPath::parse(text).expect("a path");
        let mut all = [path("/b"), path("/a/b/c"), path("/a-b"), path("/a/b"), path("/a")];
        all.sort();
        let at = |wanted: &str| all.iter().position(|found| *found == path(wanted)).expect("in it");
        assert!(at("/a") < at("/a/b") && at("/a/b") < at("/a/b/c"));
        assert!(path("/a").contains(&path("/a/b")) && !path("/a").contains(&path("/a-b")));
        assert_eq!(path("/a/b").parent(), Some(path("/a")));
        assert_eq!(path("/a").parent(), None);
    }
}
