//! Realm roles, what they include, and which of them everybody has.

use std::collections::BTreeSet;

use crate::core::desired::objects::{DesiredObjects, RealmRole, RoleHolder, RoleSet, default_role_name};
use crate::core::desired::representation::RoleRepresentation;
use crate::core::diff::conflict::{Claim, is_ours};
use crate::core::diff::object_change::ObjectChange;
use crate::core::diff::plan::by_name;

use super::SectionPlan;
use super::exact::compare_whole;
use super::observed::{ObservedRoles, RoleGrants};

/// What it takes to make the realm roles what is desired.
#[must_use]
pub fn plan_roles(desired: &DesiredObjects, observed: &ObservedRoles) -> SectionPlan {
    let mut plan = SectionPlan::default();
    let surplus = surplus_roles(desired, observed);
    for name in &surplus {
        plan.step([ObjectChange::DeleteRealmRole { role: name.clone() }]);
    }
    let roles = by_name(&desired.roles, |role| &role.name);
    let ours: Vec<_> = roles.into_iter().filter(|role| plan.is_free(claim(desired, role, observed))).collect();
    for role in &ours {
        plan.step(plan_role(desired, role, observed));
    }
    // After all roles: one may include another that is made in the same pass.
    for role in &ours {
        let held = included(observed, &role.name, &surplus);
        plan.step(plan_grants(&RoleHolder::Role(role.name.clone()), &role.composites, &held));
    }
    plan.step(plan_default(desired, &ours, observed));
    plan
}

fn claim(
    desired: &DesiredObjects,
    role: &RealmRole,
    observed: &ObservedRoles,
) -> Result<(), crate::core::diff::Conflict> {
    let Some(found) = find(observed, &role.name) else { return Ok(()) };
    let id = found.id.as_deref().unwrap_or_default();
    Claim { object: "realm role", name: &role.name, id, owner: found.owner() }.check(&desired.owner, desired.adopt)
}

fn plan_role(desired: &DesiredObjects, role: &RealmRole, observed: &ObservedRoles) -> Option<ObjectChange> {
    let wanted = role.representation(&desired.owner);
    let Some(found) = find(observed, &role.name) else { return Some(ObjectChange::CreateRealmRole { role: wanted }) };
    let fields = compare_whole(found, &wanted, "attributes", |_| true);
    let role = RoleRepresentation { id: found.id.clone(), ..wanted };
    (!fields.is_empty()).then_some(ObjectChange::UpdateRealmRole { role, fields })
}

/// What is to be taken from a holder, and what to be given. Taken first.
pub(super) fn plan_grants(holder: &RoleHolder, wanted: &RoleSet, held: &RoleGrants) -> Vec<ObjectChange> {
    let surplus = held.takeable.without(wanted);
    let missing = wanted.without(&held.takeable).without(&held.fixed);
    let remove = ObjectChange::RemoveRoles { holder: holder.clone(), roles: surplus.clone() };
    let add = ObjectChange::AddRoles { holder: holder.clone(), roles: missing.clone() };
    [(surplus, remove), (missing, add)].into_iter().filter(|(roles, _)| !roles.is_empty()).map(|(_, it)| it).collect()
}

/// Of the roles that everybody has, those that are ours are listed or taken away; the others are none of our business.
fn plan_default(desired: &DesiredObjects, roles: &[&RealmRole], observed: &ObservedRoles) -> Vec<ObjectChange> {
    let holder = default_role_name(&desired.realm);
    let none = RoleGrants::default();
    let held = observed.composites.get(&holder).unwrap_or(&none);
    let named = |default: bool| {
        let names = roles.iter().filter(|role| role.is_default == Some(default)).map(|role| role.name.as_str());
        RoleSet::of_realm(names)
    };
    let unlisted = named(false);
    let takeable = RoleSet { realm: &held.takeable.realm & &unlisted.realm, ..RoleSet::default() };
    let held = RoleGrants { takeable, fixed: held.takeable.clone() };
    plan_grants(&RoleHolder::Role(holder), &named(true), &held)
}

fn included(observed: &ObservedRoles, role: &str, gone: &BTreeSet<String>) -> RoleGrants {
    let mut held = observed.composites.get(role).cloned().unwrap_or_default();
    // A role that this plan deletes is in no other one by then.
    held.takeable.realm.retain(|name| !gone.contains(name));
    held
}

fn surplus_roles(desired: &DesiredObjects, observed: &ObservedRoles) -> BTreeSet<String> {
    let ours = observed.roles.iter().filter(|found| is_ours(found.owner(), &desired.owner));
    let is_listed = |name: &str| desired.roles.iter().any(|wanted| wanted.name == name);
    ours.map(|found| found.name.clone()).filter(|name| !is_listed(name)).collect()
}

fn find<'a>(observed: &'a ObservedRoles, name: &str) -> Option<&'a RoleRepresentation> {
    observed.roles.iter().find(|found| found.name == name)
}
