//! The plan for one workload.

use std::collections::BTreeSet;

use crate::core::desired::representation::ClientRepresentation;
use crate::core::desired::{ClientRef, DEFAULT_SCOPES, DesiredWorkload, Owner, SecondClient};

use super::change::Change;
use super::conflict::Conflict;
use super::endpoint::{check_client, delete_client};
use super::fields::compare_clients;
use super::observed::{ObservedRoleMapping, ObservedWorkload};
use super::other_roles;
use super::plan::{Plan, by_name};
use super::scopes::plan_scopes;
use super::secret::set_secret;

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
    // First: the client's update forgets that they were given.
    plan.extend(other_roles::take(desired, observed));
    let client = match &observed.client {
        None => {
            let (client, optional_scopes) = (Box::new(desired.client()), desired.optional_scopes.clone());
            plan.push(Change::CreateClient { client, optional_scopes });
            plan.extend(set_secret(Some(&desired.credential), None, &desired.reference(), &BTreeSet::new()));
            desired.reference()
        }
        Some(found) => update_client(desired, found, &mut plan),
    };
    plan.extend(revoke(desired, observed, &client));
    plan.extend(grant(desired, observed, &client));
    // Last: the client tells already that they are given, should this be where it stops.
    plan.extend(other_roles::give(desired, observed, &client));
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
        ObservedWorkload { client: Some(client.clone()), role_mappings: role_mappings.collect(), ..Default::default() };
    // What is not ours any more is a difference, too.
    plan_client(desired, &observed.with_other_roles(&desired.roles)).map_or(true, |plan| !plan.is_empty())
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
    plan.extend(set_secret(Some(&desired.credential), found.secret.as_ref(), &client, &BTreeSet::new()));
    let fields = compare_clients(&found.settings, &desired.settings());
    if !fields.is_empty() {
        plan.push(Change::UpdateClient { client: client.clone(), fields });
    }
    plan.extend(plan_scopes(found, &client, &DEFAULT_SCOPES, &desired.optional_scopes));
    client
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
