//! The scopes of a client that gets tokens.

use std::collections::BTreeSet;

use crate::core::desired::representation::ClientRepresentation;
use crate::core::desired::{ClientRef, ScopeRef, is_permission_scope_name};

use super::change::Change;

/// Scopes that Keycloak puts into every realm. They lead to no audience, so a client that has them besides keeps them;
/// any other scope that it may ask for is one that a Realm listed, or that somebody else gave it.
const BUILT_IN_SCOPES: [&str; 12] = [
    "acr",
    "address",
    "basic",
    "email",
    "microprofile-jwt",
    "offline_access",
    "organization",
    "phone",
    "profile",
    "roles",
    "service_account",
    "web-origins",
];

/// What it takes so that the client's tokens carry the scopes in `default`, and it may ask for those in `optional`.
pub(super) fn plan_scopes(
    found: &ClientRepresentation,
    client: &ClientRef,
    default: &[&str],
    optional: &BTreeSet<ScopeRef>,
) -> Vec<Change> {
    let nothing = BTreeSet::new();
    let has_default = found.default_client_scopes.as_ref().unwrap_or(&nothing);
    let has_optional = found.optional_client_scopes.as_ref().unwrap_or(&nothing);
    let wanted: BTreeSet<_> = optional.iter().map(|scope| scope.name.as_str()).collect();
    let mut changes = Vec::new();
    // A permission in every token would give every endpoint a token that another one accepts.
    for scope in has_default.iter().filter(|name| is_permission_scope_name(name) || wanted.contains(name.as_str())) {
        changes.push(Change::RemoveDefaultScope { client: client.clone(), scope: scope.clone() });
    }
    // A scope cannot be in both lists, so removing comes first.
    for scope in has_optional {
        let is_surplus = !BUILT_IN_SCOPES.contains(&scope.as_str()) && !wanted.contains(scope.as_str());
        if is_surplus || default.contains(&scope.as_str()) {
            changes.push(Change::RemoveOptionalScope { client: client.clone(), scope: scope.clone() });
        }
    }
    for scope in default.iter().filter(|name| !has_default.contains(**name)) {
        changes.push(Change::AddDefaultScope { client: client.clone(), scope: (*scope).to_owned() });
    }
    for scope in optional.iter().filter(|scope| !has_optional.contains(&scope.name)) {
        changes.push(Change::AddOptionalScope { client: client.clone(), scope: scope.clone() });
    }
    changes
}
