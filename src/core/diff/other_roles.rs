//! The roles of clients that are not ours which a workload has beyond its grants.
//!
//! Keycloak's Admin API asks two things: whether the account holds the role, and whether the client is bound to it (its scope
//! mappings). So both are given, and both are taken. What the client's own attribute does not tell of is somebody else's.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::desired::{ClientRef, DesiredWorkload, roles_given};

use super::{change::Change, observed::ObservedWorkload};

/// What was given once and is not wanted any more.
pub(super) fn take(desired: &DesiredWorkload, observed: &ObservedWorkload) -> Vec<Change> {
    let Some(found) = &observed.client else { return Vec::new() };
    let (nothing, client) = (BTreeSet::new(), ClientRef { client_id: desired.client_id.clone(), ..found.reference() });
    let surplus = roles_given(&found.settings).into_iter().filter_map(|(of, given)| {
        let wanted = desired.roles.get(&of).unwrap_or(&nothing);
        let there = observed.held(&of).chain(observed.bound_to.get(&of).into_iter().flatten()).collect::<BTreeSet<_>>();
        let roles: BTreeSet<_> =
            given.into_iter().filter(|role| !wanted.contains(role) && there.contains(role)).collect();
        (!roles.is_empty()).then(|| Change::UnmapOtherRoles { client: client.clone(), of, roles })
    });
    surplus.collect()
}

/// What is wanted and not there, or only by half.
pub(super) fn give(desired: &DesiredWorkload, observed: &ObservedWorkload, client: &ClientRef) -> Vec<Change> {
    let missing = desired.roles.iter().filter_map(|(of, wanted)| {
        let held: BTreeSet<_> = observed.held(of).collect();
        let is_bound = |role: &String| observed.bound_to.get(of).is_some_and(|bound| bound.contains(role));
        let roles: BTreeSet<_> =
            wanted.iter().filter(|role| !held.contains(role) || !is_bound(role)).cloned().collect();
        (!roles.is_empty()).then(|| Change::MapOtherRoles { client: client.clone(), of: of.clone(), roles })
    });
    missing.collect()
}

impl ObservedWorkload {
    fn held<'a>(&'a self, of: &'a str) -> impl Iterator<Item = &'a String> {
        self.role_mappings.iter().filter(move |mapping| mapping.client_id == of).flat_map(|mapping| &mapping.roles)
    }

    /// As if it held what is desired: for what was read from a list, which tells of no roles.
    pub(super) fn with_other_roles(mut self, roles: &BTreeMap<String, BTreeSet<String>>) -> Self {
        self.role_mappings.extend(roles.iter().map(|(of, roles)| super::observed::ObservedRoleMapping {
            client_id: of.clone(),
            is_endpoint: false,
            roles: roles.clone(),
        }));
        self.bound_to = roles.clone();
        self
    }
}
