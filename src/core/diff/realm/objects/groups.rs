//! Groups.
//!
//! Deleting a group loses who was in it, and a rename is a deletion. So a group of ours that is no longer listed and
//! still has members, or groups of others, stays: without roles, so that it gives nobody anything, until it is empty.

use std::collections::BTreeSet;

use crate::core::desired::objects::{DesiredObjects, Group, GroupPath, LEDGER_MARK, RoleHolder, RoleSet};
use crate::core::diff::conflict::{Claim, is_ours};
use crate::core::diff::object_change::ObjectChange;

use super::exact::compare_whole;
use super::observed::{ObservedGroup, ObservedGroups};
use super::roles::plan_grants;
use super::{FindingReason, SectionPlan};

/// What it takes to make the groups what is desired.
#[must_use]
pub fn plan_groups(desired: &DesiredObjects, observed: &ObservedGroups) -> SectionPlan {
    let mut plan = SectionPlan::default();
    let listed: BTreeSet<_> = desired.groups.iter().map(|group| &group.path).collect();
    // From the bottom, so that a group is empty of groups when its turn comes.
    for (path, found) in observed.groups.iter().rev() {
        if is_of(desired, found) && !listed.contains(path) {
            plan_surplus(path, found, desired, observed, &mut plan);
        }
    }
    let mut groups: Vec<_> = desired.groups.iter().collect();
    groups.sort_by_key(|group| &group.path);
    let mut refused: Vec<&GroupPath> = Vec::new();
    for group in groups {
        let is_refused = refused.iter().any(|above| above.contains(&group.path));
        if is_refused || !plan.is_free(claim(desired, group, observed)) {
            refused.push(&group.path);
            continue;
        }
        plan_group(desired, group, observed, &mut plan);
    }
    plan
}

/// Whether a group is one that the Realm object lists or listed.
pub(super) fn is_of(desired: &DesiredObjects, found: &ObservedGroup) -> bool {
    is_ours(found.group.owner(), &desired.owner) && !found.group.attributes.contains_key(LEDGER_MARK)
}

fn claim(
    desired: &DesiredObjects,
    group: &Group,
    observed: &ObservedGroups,
) -> Result<(), crate::core::diff::Conflict> {
    let Some(found) = observed.groups.get(&group.path) else { return Ok(()) };
    let name = group.path.to_string();
    Claim { object: "group", name: &name, id: found.group.id(), owner: found.group.owner() }
        .check(&desired.owner, desired.adopt)
}

fn plan_group(desired: &DesiredObjects, group: &Group, observed: &ObservedGroups, plan: &mut SectionPlan) {
    let (path, attributes) = (group.path.clone(), group.owned_attributes(&desired.owner));
    let found = observed.groups.get(&path);
    let mut changes = Vec::new();
    match found {
        None => changes.push(ObjectChange::CreateGroup { path: path.clone(), attributes }),
        Some(ObservedGroup { group: found, .. }) => {
            let wanted = serde_json::json!({ "attributes": attributes });
            let fields = compare_whole(found, &wanted, "attributes", |_| true);
            if !fields.is_empty() {
                changes.push(ObjectChange::UpdateGroup { path: path.clone(), attributes, fields });
            }
        }
    }
    let held = found.map(|found| found.grants.clone()).unwrap_or_default();
    changes.extend(plan_grants(&RoleHolder::Group(path.clone()), &group.roles, &held));
    match (group.is_default, observed.default_groups.contains(&path)) {
        (Some(true), false) => changes.push(ObjectChange::AddDefaultGroup { path }),
        (Some(false), true) => changes.push(ObjectChange::RemoveDefaultGroup { path }),
        _ => {}
    }
    plan.step(changes);
}

fn plan_surplus(
    path: &GroupPath,
    found: &ObservedGroup,
    desired: &DesiredObjects,
    observed: &ObservedGroups,
    plan: &mut SectionPlan,
) {
    let Some(reason) = why_kept(path, desired, observed) else {
        return plan.step([ObjectChange::DeleteGroup { path: path.clone() }]);
    };
    let mut changes = plan_grants(&RoleHolder::Group(path.clone()), &RoleSet::default(), &found.grants);
    if observed.default_groups.contains(path) {
        changes.push(ObjectChange::RemoveDefaultGroup { path: path.clone() });
    }
    plan.step(changes);
    plan.find(
        FindingReason::StillInUse,
        format!(
            "group {path} is no longer listed but {reason}: it stays, without roles; move them elsewhere and it is deleted"
        ),
    );
}

/// What deleting a group would lose, in it or in one below.
fn why_kept(path: &GroupPath, desired: &DesiredObjects, observed: &ObservedGroups) -> Option<&'static str> {
    let below = || observed.groups.iter().filter(|(other, _)| path.contains(other));
    if below().any(|(_, found)| found.has_members) {
        return Some("has members, or a group in it has");
    }
    below().any(|(_, found)| !is_of(desired, found)).then_some("has groups in it that are not ours")
}
