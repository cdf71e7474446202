//! Checks that several lists share.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::{
        ClientRole, Mapper,
        parse::{Problems, invalid},
    },
    core::desired::is_endpoint_client_id,
};

/// The longest name or attribute that Keycloak stores; above it, it fails.
const NAME_MAX: usize = 255;
/// What begins like this is ours to write.
const RESERVED: &str = "keywire.dev/";

/// A name that Keycloak can store and that a URL can hold.
pub fn name(field: &str, name: &str, problems: &mut Problems) {
    let length = name.chars().count();
    let is_odd = name.trim() != name || name.chars().any(char::is_control);
    if length == 0 || length > NAME_MAX {
        problems.push(invalid(field, format!("a name has 1 to {NAME_MAX} characters, this one has {length}")));
    } else if matches!(name, "." | "..") || name.contains('/') || is_odd {
        let message = format!("{name:?} cannot be used: no slash, no space around it, and more than dots");
        problems.push(invalid(field, message));
    }
}

/// Attributes that are not ours to write.
pub fn attributes(field: &str, attributes: &BTreeMap<String, Vec<String>>, problems: &mut Problems) {
    for (key, values) in attributes {
        if key.is_empty() || key.chars().count() > NAME_MAX || key.starts_with(RESERVED) {
            let message =
                format!("{key:?} cannot be used: 1 to {NAME_MAX} characters, and not {RESERVED} at its start");
            problems.push(invalid(field, message));
        }
        if values.iter().any(|value| value.chars().count() > NAME_MAX) {
            problems.push(invalid(field, format!("a value of {key:?} has more than {NAME_MAX} characters")));
        }
    }
}

/// Settings in Keycloak's words: no marks of ours, and no secret, which would be readable in the object.
pub fn config(field: &str, config: &BTreeMap<String, String>, secret: Option<(&str, &str)>, problems: &mut Problems) {
    for key in config.keys() {
        if key.is_empty() || key.starts_with(RESERVED) {
            problems.push(invalid(field, format!("{key:?} is no setting, or one that is ours")));
        }
        if let Some((name, instead)) = secret.filter(|(name, _)| name == key) {
            problems.push(invalid(field, format!("{name} is a secret: name a Secret in {instead} instead")));
        }
    }
}

/// Mappers with names of their own.
pub fn mappers(field: &str, mappers: &[Mapper], problems: &mut Problems) {
    unique(field, mappers.iter().map(|mapper| mapper.name.as_str()), problems);
    for mapper in mappers {
        let field = format!("{field}[{}]", mapper.name.chars().take(64).collect::<String>());
        name(&field, &mapper.name, problems);
        config(&format!("{field}.config"), &mapper.config, None, problems);
    }
}

/// Roles of clients that are not endpoints.
pub fn client_roles(field: &str, roles: &[ClientRole], problems: &mut Problems) {
    for ClientRole { client, role } in roles.iter().filter(|role| is_endpoint_client_id(&role.client)) {
        let message = format!(
            "{role} of {client} is a permission on a ModelEndpoint: give it by an AccessGrant in the endpoint's namespace"
        );
        problems.push(invalid(field, message));
    }
}

/// Names that differ.
pub fn unique<'a>(field: &str, names: impl Iterator<Item = &'a str>, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            problems.push(invalid(field, format!("{name:?} is listed twice")));
        }
    }
}

/// What belongs to a realm's settings, in a realm whose settings are someone else's.
pub fn setting(field: &str, is_full: bool, is_given: bool, problems: &mut Problems) {
    if is_given && !is_full {
        let message =
            "this is a setting of the realm, and they are someone else's: choose management Full or remove it";
        problems.push(invalid(field, message));
    }
}
