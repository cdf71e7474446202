//! Keycloak's sections in memory, as far as plans touch them: what property tests carry plans out on.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::desired::objects::{GroupPath, RoleHolder, RoleSet};
use crate::core::desired::representation::{GroupRepresentation, RoleRepresentation};
use crate::core::diff::Change;
use crate::core::diff::object_change::ObjectChange;

use super::SectionPlan;
use super::observed::*;

/// A section that a plan can be carried out on.
pub(super) trait Section {
    fn make(&mut self, change: ObjectChange);

    fn make_any(&mut self, change: Change) {
        match change {
            Change::Object(change) => self.make(change),
            change => panic!("not a change of this section: {change}"),
        }
    }

    fn carry_out(&mut self, plan: SectionPlan) {
        plan.steps.into_iter().flat_map(|step| step.changes).for_each(|change| self.make_any(change));
    }
}

pub(super) fn give(grants: &mut RoleGrants, roles: RoleSet) {
    grants.takeable.extend(roles);
}

pub(super) fn take(grants: &mut RoleGrants, roles: &RoleSet) {
    grants.takeable = grants.takeable.without(roles);
}

impl Section for ObservedRoles {
    fn make(&mut self, change: ObjectChange) {
        match change {
            ObjectChange::CreateRealmRole { role } => {
                assert!(self.roles.iter().all(|found| found.name != role.name), "409: role exists");
                self.roles.push(role);
            }
            ObjectChange::UpdateRealmRole { role, .. } => {
                let found = self.roles.iter_mut().find(|found| found.name == role.name);
                *found.expect("404: role") = role;
            }
            ObjectChange::DeleteRealmRole { role } => {
                self.roles.retain(|found| found.name != role);
                self.composites.remove(&role);
                self.composites.values_mut().for_each(|held| held.takeable.realm.retain(|name| *name != role));
            }
            ObjectChange::AddRoles { holder: RoleHolder::Role(name), roles } => {
                let exists = |name: &String| self.roles.iter().any(|found| &found.name == name);
                assert!(exists(&name) && roles.realm.iter().all(exists), "404: role of {name}");
                give(self.composites.entry(name).or_default(), roles);
            }
            ObjectChange::RemoveRoles { holder: RoleHolder::Role(name), roles } => {
                take(self.composites.get_mut(&name).expect("404: composite"), &roles);
            }
            change => panic!("not a change of roles: {change}"),
        }
    }
}

impl Section for ObservedGroups {
    fn make(&mut self, change: ObjectChange) {
        match change {
            ObjectChange::CreateGroup { path, attributes } => {
                let has_parent = path.parent().is_none_or(|parent| self.groups.contains_key(&parent));
                assert!(has_parent && !self.groups.contains_key(&path), "404 or 409: {path}");
                let group = group(&path, attributes);
                self.groups.insert(path, ObservedGroup { group, ..ObservedGroup::default() });
            }
            ObjectChange::UpdateGroup { path, attributes, .. } => {
                self.groups.get_mut(&path).expect("404: group").group.attributes = attributes;
            }
            ObjectChange::DeleteGroup { path } => {
                let lost = self.groups.iter().filter(|(below, _)| path.contains(below));
                assert!(lost.clone().count() > 0, "404: group");
                assert!(lost.clone().all(|(_, found)| !found.has_members && found.group.owner().is_some()), "a loss");
                self.groups.retain(|below, _| !path.contains(below));
                self.default_groups.retain(|below| !path.contains(below));
            }
            ObjectChange::AddDefaultGroup { path } => {
                assert!(self.groups.contains_key(&path), "404: group");
                self.default_groups.insert(path);
            }
            ObjectChange::RemoveDefaultGroup { path } => assert!(self.default_groups.remove(&path), "404: default"),
            ObjectChange::AddRoles { holder: RoleHolder::Group(path), roles } => {
                give(&mut self.groups.get_mut(&path).expect("404: group").grants, roles);
            }
            ObjectChange::RemoveRoles { holder: RoleHolder::Group(path), roles } => {
                take(&mut self.groups.get_mut(&path).expect("404: group").grants, &roles);
            }
            change => panic!("not a change of groups: {change}"),
        }
    }
}

pub(super) fn group(path: &GroupPath, attributes: BTreeMap<String, Vec<String>>) -> GroupRepresentation {
    GroupRepresentation { id: Some(path.to_string()), name: path.name().into(), attributes, sub_group_count: 0 }
}

impl Section for ObservedScopes {
    fn make(&mut self, change: ObjectChange) {
        match change {
            ObjectChange::AddRealmScope { scope, list } => {
                assert!(self.assigned.insert(scope.id, list).is_none(), "409: in another list");
            }
            ObjectChange::RemoveRealmScope { scope, list } => {
                assert_eq!(self.assigned.remove(&scope.id), Some(list), "404: not in the list");
            }
            change => panic!("not a change of scopes: {change}"),
        }
    }

    fn make_any(&mut self, change: Change) {
        match change {
            Change::CreateScope { scope } => {
                let is_new = |found: &str| Some(found) != scope.id.as_deref() && found != scope.settings.name;
                assert!(self.scopes.iter().all(|found| is_new(&found.settings.name)), "409: scope exists");
                self.scopes.push(scope);
            }
            Change::DeleteScope { scope } => {
                self.scopes.retain(|found| found.reference() != scope);
                self.assigned.remove(&scope.id);
            }
            Change::UpdateScope { scope, fields } => {
                let found = self.scope(&scope.id);
                found.settings = crate::core::diff::simulation::patched(&found.settings, &fields);
            }
            Change::CreateScopeMapper { scope, mapper } => self.scope(&scope.id).protocol_mappers.push(mapper),
            Change::UpdateScopeMapper { scope, mapper, .. } => {
                let found = self.scope(&scope.id).protocol_mappers.iter_mut().find(|found| found.id == mapper.id);
                *found.expect("404: mapper") = mapper;
            }
            Change::DeleteScopeMapper { scope, mapper } => {
                self.scope(&scope.id).protocol_mappers.retain(|found| found.id != mapper.id);
            }
            Change::Object(change) => self.make(change),
            change => panic!("not a change of scopes: {change}"),
        }
    }
}

impl ObservedScopes {
    fn scope(&mut self, id: &str) -> &mut crate::core::desired::representation::ClientScopeRepresentation {
        self.scopes.iter_mut().find(|found| found.id.as_deref() == Some(id)).expect("404: scope")
    }
}

/// A realm role that is nobody's.
pub(super) fn theirs(name: &str) -> RoleRepresentation {
    RoleRepresentation { id: Some(name.into()), name: name.into(), ..RoleRepresentation::default() }
}

/// Names as a set.
pub(super) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}
