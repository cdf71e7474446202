//! Client scopes of a realm, their mappers, and which new clients get them.

use crate::core::desired::ScopeRef;
use crate::core::desired::is_permission_scope_name;
use crate::core::desired::objects::{DesiredObjects, RealmScope, ScopeAssignment};
use crate::core::desired::representation::{ClientScopeRepresentation, ProtocolMapperRepresentation};
use crate::core::diff::change::Change;
use crate::core::diff::conflict::{Claim, is_ours};
use crate::core::diff::fields::compare;
use crate::core::diff::object_change::ObjectChange;
use crate::core::diff::plan::by_name;

use super::exact::compare_whole;
use super::observed::{ObservedScopes, ServerTypes};
use super::{FindingReason, SectionPlan};

/// What it takes to make the client scopes what is desired.
#[must_use]
pub fn plan_scopes(desired: &DesiredObjects, observed: &ObservedScopes) -> SectionPlan {
    let mut plan = SectionPlan::default();
    for found in by_name(&observed.scopes, |scope| &scope.settings.name) {
        let is_listed = desired.client_scopes.iter().any(|wanted| is_same(wanted, found));
        // Permissions of endpoints have another kind of owner; the check is there should that ever change.
        let is_permission = is_permission_scope_name(&found.settings.name);
        if is_ours(found.owner(), &desired.owner) && !is_permission && !is_listed {
            plan.mixed_step([Change::DeleteScope { scope: found.reference() }]);
        }
    }
    for scope in by_name(&desired.client_scopes, |scope| &scope.name) {
        if !knows_mappers(scope, &observed.types, &mut plan) {
            continue;
        }
        plan_scope(desired, scope, observed, &mut plan);
    }
    plan
}

fn is_same(wanted: &RealmScope, found: &ClientScopeRepresentation) -> bool {
    found.id.as_deref() == Some(wanted.id.to_string().as_str()) || found.settings.name == wanted.name
}

fn knows_mappers(scope: &RealmScope, types: &ServerTypes, plan: &mut SectionPlan) -> bool {
    let known = types.protocol_mappers.get(&scope.protocol);
    let unknown = scope.mappers.iter().find(|mapper| !known.is_some_and(|known| known.contains(&mapper.mapper_type)));
    if let Some(mapper) = unknown {
        let (name, mapper, kind, protocol) = (&scope.name, &mapper.name, &mapper.mapper_type, &scope.protocol);
        let message = format!(
            "client scope {name} is left as it is: the server knows no {protocol} mapper type {kind:?} (mapper {mapper}), and tokens would fail with it; correct the type"
        );
        plan.find(FindingReason::UnknownType, message);
    }
    unknown.is_none()
}

fn plan_scope(desired: &DesiredObjects, scope: &RealmScope, observed: &ObservedScopes, plan: &mut SectionPlan) {
    let wanted = scope.representation(&desired.owner);
    let Some(found) = observed.scopes.iter().find(|found| is_same(scope, found)) else {
        let reference = wanted.reference();
        let assign = plan_assignment(scope, &reference, None);
        return plan.mixed_step([Change::CreateScope { scope: wanted }].into_iter().chain(assign));
    };
    let reference = found.reference();
    let claim = Claim { object: "client scope", name: &scope.name, id: &reference.id, owner: found.owner() };
    if !plan.is_free(claim.check(&desired.owner, desired.adopt)) {
        return;
    }
    let mut changes = Vec::new();
    let fields = compare(&found.settings, &wanted.settings);
    if !fields.is_empty() {
        changes.push(Change::UpdateScope { scope: reference.clone(), fields });
    }
    changes.extend(plan_mappers(&reference, &found.protocol_mappers, &wanted.protocol_mappers));
    let assigned = observed.assigned.get(&reference.id).copied();
    changes.extend(plan_assignment(scope, &reference, assigned));
    plan.mixed_step(changes);
}

/// The scope is ours as a whole, so a mapper that someone added is removed: it could put anything into a token.
fn plan_mappers(
    scope: &ScopeRef,
    found: &[ProtocolMapperRepresentation],
    wanted: &[ProtocolMapperRepresentation],
) -> Vec<Change> {
    let mut changes = Vec::new();
    for mapper in by_name(found, |mapper| &mapper.name) {
        let is_same = |wanted: &&ProtocolMapperRepresentation| {
            wanted.name == mapper.name && wanted.protocol_mapper == mapper.protocol_mapper
        };
        // The type of a mapper is fixed: one of another type is another mapper.
        if wanted.iter().find(is_same).is_none() {
            changes.push(Change::DeleteScopeMapper { scope: scope.clone(), mapper: mapper.clone() });
        }
    }
    for mapper in by_name(wanted, |mapper| &mapper.name) {
        let existing =
            found.iter().find(|found| found.name == mapper.name && found.protocol_mapper == mapper.protocol_mapper);
        let Some(existing) = existing else {
            changes.push(Change::CreateScopeMapper { scope: scope.clone(), mapper: mapper.clone() });
            continue;
        };
        let mapper = ProtocolMapperRepresentation { id: existing.id.clone(), ..mapper.clone() };
        let fields = compare_whole(existing, &mapper, "config", |_| true);
        if !fields.is_empty() {
            changes.push(Change::UpdateScopeMapper { scope: scope.clone(), mapper, fields });
        }
    }
    changes
}

/// A scope is in one list at most, so it leaves the one before it enters the other.
fn plan_assignment(scope: &RealmScope, reference: &ScopeRef, found: Option<ScopeAssignment>) -> Vec<Change> {
    let Some(wanted) = scope.assignment else { return Vec::new() };
    let found = found.unwrap_or(ScopeAssignment::Unassigned);
    if found == wanted {
        return Vec::new();
    }
    let mut changes = Vec::new();
    if found != ScopeAssignment::Unassigned {
        changes.push(ObjectChange::RemoveRealmScope { scope: reference.clone(), list: found });
    }
    if wanted != ScopeAssignment::Unassigned {
        changes.push(ObjectChange::AddRealmScope { scope: reference.clone(), list: wanted });
    }
    changes.into_iter().map(Change::Object).collect()
}
