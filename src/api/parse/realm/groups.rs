//! Groups.

use std::collections::BTreeSet;

use super::{check, entry, role_set};
use crate::{
    api::{
        self, RealmSpec,
        parse::{Problems, invalid},
    },
    core::desired::objects::{Group, GroupPath, ledger_name},
};

pub fn parse(spec: &RealmSpec, is_full: bool, problems: &mut Problems) -> Vec<Group> {
    check::unique("spec.groups", spec.groups.iter().map(|group| group.path.as_str()), problems);
    check::setting("spec.defaultGroups", is_full, !spec.default_groups.is_empty(), problems);
    for path in &spec.default_groups {
        if !spec.groups.iter().any(|group| &group.path == path) {
            problems.push(invalid("spec.defaultGroups", format!("{path} is not in spec.groups: list it there, too")));
        }
    }
    let groups: Vec<_> = spec.groups.iter().filter_map(|group| parse_group(group, spec, is_full, problems)).collect();
    check_parents(&groups, problems);
    groups
}

fn parse_group(group: &api::Group, spec: &RealmSpec, is_full: bool, problems: &mut Problems) -> Option<Group> {
    let field = entry("groups", &group.path);
    let Some(path) = GroupPath::parse(&group.path) else {
        let message = "a path is written like /data-science/nlp, without empty names and without spaces around them";
        problems.push(invalid(&field, message));
        return None;
    };
    path.names().iter().for_each(|name| check::name(&field, name, problems));
    check::attributes(&format!("{field}.attributes"), &group.attributes, problems);
    check::client_roles(&format!("{field}.clientRoles"), &group.client_roles, problems);
    if path.names().first().is_some_and(|top| top.starts_with(&ledger_name(""))) {
        problems.push(invalid(&field, "names like this are ours: the users in spec.users are in such a group"));
    }
    Some(Group {
        attributes: group.attributes.clone(),
        roles: role_set(&group.realm_roles, &group.client_roles),
        is_default: is_full.then(|| spec.default_groups.contains(&group.path)),
        path,
    })
}

fn check_parents(groups: &[Group], problems: &mut Problems) {
    let listed: BTreeSet<_> = groups.iter().map(|group| &group.path).collect();
    for parent in groups.iter().filter_map(|group| group.path.parent()).collect::<BTreeSet<_>>() {
        if !listed.contains(&parent) {
            problems.push(invalid("spec.groups", format!("{parent} has groups in it and is not listed: list it, too")));
        }
    }
}
