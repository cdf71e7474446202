//! The grants of a policy, found by caller. Pure.
//!
//! A decision reads the lines of memory that its caller's grant lies in, and with fifty thousand grants none of them is
//! in a cache. So a client's one grant lies in the index itself, and what grants have in common, which is most of their
//! permissions and models, is there once.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    sync::Arc,
};

use crate::core::{
    claims::{ClaimSet, Requirement, all_hold},
    permission::Permission,
    policy::document::{Grant, Subject},
};

/// A [`Grant`] of one caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledGrant {
    /// The AccessGrant that this came from.
    pub name: Box<str>,
    pub(super) permissions: Arc<[Permission]>,
    /// `None`: every model.
    pub(super) models: Option<Models>,
    /// Seconds since the epoch.
    pub(super) expires_at: Option<i64>,
    /// `None`: whatever the token carries. Few grants have any.
    claims: Option<Arc<Vec<Requirement>>>,
}

impl CompiledGrant {
    /// Whether a token carries what the grant is for.
    pub(super) fn is_for(&self, claims: &ClaimSet) -> bool {
        self.claims.as_ref().is_none_or(|wanted| all_hold(wanted, claims))
    }

    /// What a token has to carry.
    pub(super) fn claims(&self) -> impl Iterator<Item = &Requirement> {
        self.claims.iter().flat_map(|wanted| wanted.iter())
    }
}

/// The models that a grant is narrowed to, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Models(Arc<[Box<str>]>);

impl Models {
    pub fn contains(&self, model: &str) -> bool {
        self.0.binary_search_by(|own| (**own).cmp(model)).is_ok()
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name)
    }
}

/// All grants, by client id, and by role.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    by_client: HashMap<Box<str>, Held>,
    by_role: HashMap<Box<str>, Held>,
}

/// The grants of one client, in the document's order.
#[derive(Clone, Debug)]
enum Held {
    One(CompiledGrant),
    Several(Vec<CompiledGrant>),
}

impl Index {
    pub fn of(&self, client: &str) -> &[CompiledGrant] {
        self.by_client.get(client).map(Held::as_slice).unwrap_or_default()
    }

    /// The grants for whoever holds a role.
    pub fn of_role(&self, role: &str) -> &[CompiledGrant] {
        self.by_role.get(role).map(Held::as_slice).unwrap_or_default()
    }

    pub fn has_roles(&self) -> bool {
        !self.by_role.is_empty()
    }

    pub fn all(&self) -> impl Iterator<Item = &CompiledGrant> {
        self.by_client.values().chain(self.by_role.values()).flat_map(Held::as_slice)
    }
}

impl FromIterator<Grant> for Index {
    fn from_iter<T: IntoIterator<Item = Grant>>(grants: T) -> Self {
        let (mut permissions_of, mut models_of) = (Shared::default(), Shared::default());
        let mut all = Self::default();
        for Grant { name, subject, permissions, models, expires_at, claims } in grants {
            let models = models.map(|models| {
                let mut models: Vec<Box<str>> = models.into_iter().map(Into::into).collect();
                models.sort_unstable();
                Models(models_of.once(models))
            });
            let permissions = permissions_of.once(permissions);
            let claims = (!claims.is_empty()).then(|| Arc::new(claims));
            let grant = CompiledGrant { name: name.into(), permissions, models, expires_at, claims };
            let (index, subject) = match subject {
                Subject::Client(client) => (&mut all.by_client, client),
                Subject::Role(role) => (&mut all.by_role, role),
            };
            match index.remove(subject.as_str()) {
                None => index.insert(subject.into(), Held::One(grant)),
                Some(held) => index.insert(subject.into(), held.and(grant)),
            };
        }
        all
    }
}

impl Held {
    fn as_slice(&self) -> &[CompiledGrant] {
        match self {
            Self::One(grant) => std::slice::from_ref(grant),
            Self::Several(grants) => grants,
        }
    }

    fn and(self, grant: CompiledGrant) -> Self {
        Self::Several(match self {
            Self::One(first) => vec![first, grant],
            Self::Several(mut grants) => {
                grants.push(grant);
                grants
            }
        })
    }
}

/// Lists that are kept once, however often they come.
struct Shared<T>(HashSet<Arc<[T]>>);

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(HashSet::new())
    }
}

impl<T: Eq + Hash> Shared<T> {
    fn once(&mut self, list: Vec<T>) -> Arc<[T]> {
        if let Some(known) = self.0.get(list.as_slice()) {
            return Arc::clone(known);
        }
        let list: Arc<[T]> = list.into();
        self.0.insert(Arc::clone(&list));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(name: &str, client: &str, models: Option<&[&str]>) -> Grant {
        Grant {
            name: name.into(),
            subject: Subject::Client(client.into()),
            permissions: Permission::parse(Permission::READ).into_iter().collect(),
            models: models.map(|models| models.iter().map(|model| (*model).to_owned()).collect()),
            expires_at: None,
            claims: Vec::new(),
        }
    }

    #[test]
    fn grants_are_their_clients_alone_and_in_order() {
        let grants = [("1", "a"), ("2", "b"), ("3", "a"), ("4", "a")].map(|(name, client)| grant(name, client, None));
        let index: Index = grants.into_iter().collect();
        let names = |client| index.of(client).iter().map(|grant| &*grant.name).collect::<Vec<_>>();
        assert_eq!(names("a"), ["1", "3", "4"]);
        assert_eq!(names("b"), ["2"]);
        assert!(names("").is_empty() && names("A").is_empty());
        assert_eq!(index.all().count(), 4);
    }

    #[test]
    fn a_role_is_no_client() {
        let of_role = Grant { subject: Subject::Role("a".into()), ..grant("1", "a", None) };
        let index: Index = [of_role, grant("2", "b", None)].into_iter().collect();
        assert_eq!((index.of("a").len(), index.of_role("a").len()), (0, 1));
        assert_eq!((index.of("b").len(), index.of_role("b").len()), (1, 0));
        assert_eq!(index.all().count(), 2);
    }

    #[test]
    fn a_model_is_found_in_any_order_of_them() {
        let index: Index = [grant("g", "a", Some(&["rose", "iris", "rose"]))].into_iter().collect();
        let models = index.of("a")[0].models.as_ref().expect("models");
        for (model, expected) in [("iris", true), ("rose", true), ("", false), ("ros", false), ("tulip", false)] {
            assert_eq!(models.contains(model), expected, "{model}");
        }
    }

    #[test]
    fn what_is_the_same_is_kept_once() {
        let grants = (0..3).map(|client| grant("g", &client.to_string(), Some(&["iris"])));
        let index: Index = grants.collect();
        let [first, second] = ["0", "1"].map(|client| &index.of(client)[0]);
        assert!(Arc::ptr_eq(&first.permissions, &second.permissions));
        assert_eq!(
            first.models.as_ref().map(|models| Arc::as_ptr(&models.0)),
            second.models.as_ref().map(|models| Arc::as_ptr(&models.0))
        );
    }
}
