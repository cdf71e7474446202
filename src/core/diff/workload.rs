//! The plan for one workload.

use std::collections::BTreeSet;

use crate::core::credential::Hidden;
use crate::core::desired::representation::ClientRepresentation;
use crate::core::desired::{ClientRef, DEFAULT_SCOPES, DesiredWorkload, Owner, SecondClient, is_permission_scope_name};

use super::change::Change;
use super::conflict::Conflict;
use super::endpoint::{check_client, delete_client};
use super::fields::compare;
use super::observed::{ObservedRoleMapping, ObservedWorkload};
use super::plan::{Plan, by_name};

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

/// What it takes to make `observed` the workload that is desired.
///
/// Roles and scopes of endpoints that are not desired are taken away; those of other clients are left alone.
///
/// # Errors
/// A [`Conflict`] if the client is not ours and is not to be adopted.
pub fn plan_workload(desired: &DesiredWorkload, observed: &ObservedWorkload) -> Result<Plan, Conflict> {
    let mut plan = plan_client(desired, observed)?;
    let nothing = ObservedWorkload::default();
    let found = observed.second.as_deref().unwrap_or(&nothing);
    match &desired.second {
        SecondClient::Kept(second) => plan.extend(plan_client(second, found)?.changes),
        SecondClient::Gone { .. } => plan.extend(delete_client(&desired.owner, found.client.as_ref())),
        SecondClient::Never => {}
    }
    Ok(plan)
}

/// One of the clients that a workload may have.
fn plan_client(desired: &DesiredWorkload, observed: &ObservedWorkload) -> Result<Plan, Conflict> {
    check_client(observed.client.as_ref(), &desired.owner, desired.adopt)?;
    let mut plan = Plan::default();
    let client = match &observed.client {
        None => {
            let (client, optional_scopes) = (Box::new(desired.client()), desired.optional_scopes.clone());
            plan.push(Change::CreateClient { client, optional_scopes });
            plan.extend(set_secret(desired, None, &desired.reference()));
            desired.reference()
        }
        Some(found) => update_client(desired, found, &mut plan),
    };
    plan.extend(revoke(desired, observed, &client));
    plan.extend(grant(desired, observed, &client));
    Ok(plan)
}

/// Whether a client that was read from a list differs from the workload's; its roles are not in there.
#[must_use]
pub fn client_differs_from_workload(desired: &DesiredWorkload, client: &ClientRepresentation) -> bool {
    let of_second = desired.second.place().filter(|(_, client_id)| *client_id == client.settings.client_id);
    let desired = match (of_second, &desired.second) {
        (Some(_), SecondClient::Kept(second)) => second,
        // It is to go.
        (Some(_), _) => return true,
        (None, _) => desired,
    };
    let role_mappings = desired.grants.iter().map(|(client_id, roles)| ObservedRoleMapping {
        client_id: client_id.clone(),
        is_endpoint: true,
        roles: roles.clone(),
    });
    let observed =
        ObservedWorkload { client: Some(client.clone()), role_mappings: role_mappings.collect(), second: None };
    // What is not ours any more is a difference, too.
    plan_client(desired, &observed).map_or(true, |plan| !plan.is_empty())
}

/// What it takes to remove everything that was made for `owner`; the service account and its roles go with the client.
#[must_use]
pub fn plan_delete_workload(owner: &Owner, observed: &ObservedWorkload) -> Plan {
    let second = observed.second.as_ref().and_then(|second| second.client.as_ref());
    let clients = observed.client.iter().chain(second);
    Plan { changes: clients.filter_map(|client| delete_client(owner, Some(client))).collect() }
}

fn update_client(desired: &DesiredWorkload, found: &ClientRepresentation, plan: &mut Plan) -> ClientRef {
    let client = ClientRef { client_id: desired.client_id.clone(), ..found.reference() };
    // First, so that none is opened with a secret that was used up.
    plan.extend(set_secret(desired, found.secret.as_ref(), &client));
    let fields = compare(&found.settings, &desired.settings());
    if !fields.is_empty() {
        plan.push(Change::UpdateClient { client: client.clone(), fields });
    }
    plan.extend(plan_scopes(desired, found, &client));
    client
}

fn set_secret(desired: &DesiredWorkload, found: Option<&Hidden>, client: &ClientRef) -> Option<Change> {
    let secret = desired.credential.secret()?;
    let is_set = found.is_some_and(|found| found.expose() == secret.expose());
    (!is_set).then(|| Change::SetClientSecret { client: client.clone(), secret: secret.clone() })
}

fn plan_scopes(desired: &DesiredWorkload, found: &ClientRepresentation, client: &ClientRef) -> Vec<Change> {
    let nothing = BTreeSet::new();
    let default = found.default_client_scopes.as_ref().unwrap_or(&nothing);
    let optional = found.optional_client_scopes.as_ref().unwrap_or(&nothing);
    let wanted: BTreeSet<_> = desired.optional_scopes.iter().map(|scope| scope.name.as_str()).collect();
    let mut changes = Vec::new();
    // A permission in every token would give every endpoint a token that another one accepts.
    for scope in default.iter().filter(|name| is_permission_scope_name(name) || wanted.contains(name.as_str())) {
        changes.push(Change::RemoveDefaultScope { client: client.clone(), scope: scope.clone() });
    }
    // A scope cannot be in both lists, so removing comes first.
    for scope in optional {
        let is_surplus = !BUILT_IN_SCOPES.contains(&scope.as_str()) && !wanted.contains(scope.as_str());
        if is_surplus || DEFAULT_SCOPES.contains(&scope.as_str()) {
            changes.push(Change::RemoveOptionalScope { client: client.clone(), scope: scope.clone() });
        }
    }
    for scope in DEFAULT_SCOPES.into_iter().filter(|name| !default.contains(*name)) {
        changes.push(Change::AddDefaultScope { client: client.clone(), scope: scope.to_owned() });
    }
    for scope in desired.optional_scopes.iter().filter(|scope| !optional.contains(&scope.name)) {
        changes.push(Change::AddOptionalScope { client: client.clone(), scope: scope.clone() });
    }
    changes
}

fn revoke(desired: &DesiredWorkload, observed: &ObservedWorkload, client: &ClientRef) -> Vec<Change> {
    let nothing = BTreeSet::new();
    let mut changes = Vec::new();
    let mappings = by_name(&observed.role_mappings, |mapping| &mapping.client_id);
    for mapping in mappings.into_iter().filter(|mapping| mapping.is_endpoint) {
        let wanted = desired.grants.get(&mapping.client_id).unwrap_or(&nothing);
        let roles: BTreeSet<_> = mapping.roles.difference(wanted).cloned().collect();
        if !roles.is_empty() {
            changes.push(Change::UnmapRoles { client: client.clone(), endpoint: mapping.client_id.clone(), roles });
        }
    }
    changes
}

fn grant(desired: &DesiredWorkload, observed: &ObservedWorkload, client: &ClientRef) -> Vec<Change> {
    let mut changes = Vec::new();
    for (endpoint, wanted) in &desired.grants {
        let held = observed.role_mappings.iter().filter(|mapping| &mapping.client_id == endpoint);
        let held: BTreeSet<_> = held.flat_map(|mapping| &mapping.roles).collect();
        let roles: BTreeSet<_> = wanted.iter().filter(|role| !held.contains(role)).cloned().collect();
        if !roles.is_empty() {
            changes.push(Change::MapRoles { client: client.clone(), endpoint: endpoint.clone(), roles });
        }
    }
    changes
}
