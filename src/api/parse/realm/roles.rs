//! Realm roles.

use std::collections::{BTreeMap, BTreeSet};

use super::{check, entry, role_set};
use crate::{
    api::{
        self, RealmSpec,
        parse::{Problems, invalid},
    },
    core::desired::objects::{RealmRole, default_role_name},
};

pub fn parse(spec: &RealmSpec, is_full: bool, problems: &mut Problems) -> Vec<RealmRole> {
    check::unique("spec.roles", spec.roles.iter().map(|role| role.name.as_str()), problems);
    check::setting("spec.defaultRoles", is_full, !spec.default_roles.is_empty(), problems);
    for name in &spec.default_roles {
        if !spec.roles.iter().any(|role| &role.name == name) {
            problems.push(invalid("spec.defaultRoles", format!("{name:?} is not in spec.roles: list it there, too")));
        }
    }
    for role in &spec.roles {
        check_role(role, &spec.realm, problems);
    }
    if let Some(cycle) = find_cycle(&spec.roles) {
        let message = format!(
            "the composites go in a circle: {}; whoever has one of these would have all: take one composite out",
            cycle.join(" → ")
        );
        problems.push(invalid("spec.roles", message));
    }
    spec.roles.iter().map(|role| desired(role, spec, is_full)).collect()
}

fn check_role(role: &api::RealmRole, realm: &str, problems: &mut Problems) {
    let field = entry("roles", &role.name);
    check::name(&field, &role.name, problems);
    check::attributes(&format!("{field}.attributes"), &role.attributes, problems);
    check::client_roles(&format!("{field}.clientComposites"), &role.client_composites, problems);
    if role.name == default_role_name(realm) {
        problems.push(invalid(&field, "this role is Keycloak's own: say in spec.defaultRoles what every user has"));
    }
}

fn desired(role: &api::RealmRole, spec: &RealmSpec, is_full: bool) -> RealmRole {
    RealmRole {
        name: role.name.clone(),
        description: role.description.clone().unwrap_or_default(),
        composites: role_set(&role.composites, &role.client_composites),
        attributes: role.attributes.clone(),
        is_default: is_full.then(|| spec.default_roles.contains(&role.name)),
    }
}

/// A circle among the composites, from a role back to itself.
fn find_cycle(roles: &[api::RealmRole]) -> Option<Vec<&str>> {
    let edges = roles.iter().map(|role| (role.name.as_str(), role.composites.as_slice())).collect();
    let mut search = Search { edges, path: Vec::new(), done: BTreeSet::new() };
    roles.iter().find_map(|role| search.from(&role.name))
}

struct Search<'a> {
    edges: BTreeMap<&'a str, &'a [String]>,
    path: Vec<&'a str>,
    done: BTreeSet<&'a str>,
}

impl<'a> Search<'a> {
    fn from(&mut self, name: &'a str) -> Option<Vec<&'a str>> {
        if let Some(at) = self.path.iter().position(|above| *above == name) {
            return Some(self.path.iter().skip(at).copied().chain([name]).collect());
        }
        if self.done.contains(name) {
            return None;
        }
        self.path.push(name);
        let next = self.edges.get(name).copied().unwrap_or_default();
        let found = next.iter().find_map(|next| self.from(next));
        self.path.pop();
        self.done.insert(name);
        found
    }
}
