//! The plan for one endpoint.

use std::collections::BTreeSet;

use crate::core::desired::representation::{ClientRepresentation, ProtocolMapperRepresentation, RoleRepresentation};
use crate::core::desired::{ClientRef, DesiredEndpoint, Owner, PEOPLES_SCOPES, PermissionScope, PersonRoles};
use crate::core::name::is_grant_role;
use crate::core::person::Person;

use super::change::{Change, RoleSource};
use super::conflict::{Claim, Conflict, is_ours, is_this};
use super::fields::{compare, compare_clients};
use super::observed::{ObservedEndpoint, ObservedScope, ObservedScopeMapping};
use super::plan::{Plan, by_name};
use super::scopes::plan_scopes;
use super::secret::set_secret;

/// What it takes to make `observed` the endpoint that is desired.
///
/// Access is taken away before any is given, so that a failure in giving never keeps what should be gone. A role goes
/// after its scope and comes before it: the role is how a scope that is no longer wanted is found.
///
/// # Errors
/// A [`Conflict`] if the client or one of the scopes is not ours and is not to be adopted.
pub fn plan_endpoint(desired: &DesiredEndpoint, observed: &ObservedEndpoint) -> Result<Plan, Conflict> {
    check_claims(desired, observed)?;
    let mut plan = Plan::default();
    let client = plan_client(desired, observed.client.as_ref(), &mut plan);
    plan.extend(surplus_people(desired, observed, &client));
    plan.extend(surplus_scopes(desired, observed));
    plan.extend(surplus_roles(desired, observed, &client));
    for role in by_name(&desired.roles, |role| &role.name) {
        plan.extend(plan_role(&client, &desired.role(role), &observed.roles));
    }
    for scope in by_name(&desired.scopes, |scope| &scope.name) {
        match find_scope(observed, scope) {
            None => plan.extend(create_scope(desired, scope, &client)),
            Some(found) => plan.extend(update_scope(desired, scope, found, &client)),
        }
    }
    plan.extend(missing_people(desired, observed, &client));
    Ok(plan)
}

/// Whether a client that was read from a list differs from the endpoint's; its roles and scopes are not in there.
#[must_use]
pub fn client_differs_from_endpoint(desired: &DesiredEndpoint, client: &ClientRepresentation) -> bool {
    check_client(Some(client), &desired.owner, desired.adopt).is_err()
        || !compare(&client.settings, &desired.settings()).is_empty()
        || !scopes_of_people(desired, client, &client.reference()).is_empty()
        || plan_secret(desired, Some(client), &client.reference()).is_some()
}

/// What it takes to remove everything that was made for `owner`, and nothing else.
#[must_use]
pub fn plan_delete_endpoint(owner: &Owner, observed: &ObservedEndpoint) -> Plan {
    let mut plan = Plan::default();
    for ObservedScope { scope, .. } in by_name(&observed.scopes, |found| &found.scope.settings.name) {
        if is_this(scope.owner(), owner) {
            plan.push(Change::DeleteScope { scope: scope.reference() });
        }
    }
    // The client last: its roles are how the scopes are found should this be interrupted.
    plan.extend(delete_client(owner, observed.client.as_ref()));
    plan
}

/// The deletion of a client, if it was made for `owner`.
pub(super) fn delete_client(owner: &Owner, client: Option<&ClientRepresentation>) -> Option<Change> {
    let client = client.filter(|client| is_this(client.owner(), owner))?;
    Some(Change::DeleteClient { client: client.reference() })
}

/// Whether an existing client may be changed for `owner`.
pub(super) fn check_client(client: Option<&ClientRepresentation>, owner: &Owner, adopt: bool) -> Result<(), Conflict> {
    let Some(client) = client else { return Ok(()) };
    let reference = client.reference();
    Claim { object: "client", name: &reference.client_id, id: &reference.id, owner: client.owner() }.check(owner, adopt)
}

fn check_claims(desired: &DesiredEndpoint, observed: &ObservedEndpoint) -> Result<(), Conflict> {
    check_client(observed.client.as_ref(), &desired.owner, desired.adopt)?;
    for scope in &desired.scopes {
        let Some(ObservedScope { scope, .. }) = find_scope(observed, scope) else { continue };
        let reference = scope.reference();
        Claim { object: "client scope", name: &reference.name, id: &reference.id, owner: scope.owner() }
            .check(&desired.owner, desired.adopt)?;
    }
    Ok(())
}

fn plan_client(desired: &DesiredEndpoint, found: Option<&ClientRepresentation>, plan: &mut Plan) -> ClientRef {
    let Some(found) = found else {
        let client = Box::new(desired.client());
        plan.push(Change::CreateClient { client, optional_scopes: BTreeSet::new() });
        plan.extend(plan_secret(desired, None, &desired.reference()));
        return desired.reference();
    };
    let client = ClientRef { client_id: desired.client_id.clone(), ..found.reference() };
    // First, so that none is opened with a secret that others know.
    plan.extend(plan_secret(desired, Some(found), &client));
    let fields = compare_clients(&found.settings, &desired.settings());
    if !fields.is_empty() {
        plan.push(Change::UpdateClient { client: client.clone(), fields });
    }
    plan.extend(scopes_of_people(desired, found, &client));
    client
}

fn plan_secret(desired: &DesiredEndpoint, found: Option<&ClientRepresentation>, client: &ClientRef) -> Option<Change> {
    let nothing = BTreeSet::new();
    let web_origins = desired.browser.as_ref().map_or(&nothing, |browser| &browser.web_origins);
    set_secret(desired.login.as_ref(), found.and_then(|found| found.secret.as_ref()), client, web_origins)
}

/// Nobody gets a token with a client with which nobody signs in: its scopes are nothing.
fn scopes_of_people(desired: &DesiredEndpoint, found: &ClientRepresentation, client: &ClientRef) -> Vec<Change> {
    if desired.browser.is_none() {
        return Vec::new();
    }
    plan_scopes(found, client, &PEOPLES_SCOPES, &BTreeSet::new())
}

fn plan_role(client: &ClientRef, desired: &RoleRepresentation, observed: &[RoleRepresentation]) -> Option<Change> {
    let Some(found) = observed.iter().find(|role| role.name == desired.name) else {
        return Some(Change::CreateClientRole { client: client.clone(), role: desired.clone() });
    };
    let fields = compare(&sorted(found), &sorted(desired));
    let role = merged(found, desired);
    (!fields.is_empty()).then(|| Change::UpdateClientRole { client: client.clone(), role, fields })
}

/// Keycloak tells the values of an attribute in any order.
fn sorted(role: &RoleRepresentation) -> RoleRepresentation {
    let mut role = role.clone();
    role.attributes.values_mut().for_each(|values| values.sort());
    role
}

/// Who holds what he should not. Where people hold none at all, and did not, nobody was asked.
fn surplus_people(desired: &DesiredEndpoint, observed: &ObservedEndpoint, client: &ClientRef) -> Vec<Change> {
    let wanted = |person: &Person| desired.people.iter().find(|held| held.person == *person);
    let surplus = observed.people.iter().filter_map(|(person, held)| {
        let kept = wanted(person).map(|wanted| &wanted.roles);
        let roles: BTreeSet<_> =
            held.iter().filter(|role| kept.is_none_or(|kept| !kept.contains(*role))).cloned().collect();
        let (client, person) = (client.clone(), person.clone());
        (!roles.is_empty()).then_some(Change::UnmapPerson { client, person, roles })
    });
    surplus.collect()
}

fn missing_people(desired: &DesiredEndpoint, observed: &ObservedEndpoint, client: &ClientRef) -> Vec<Change> {
    let there = desired.people.iter().filter(|wanted| !observed.absent.contains(&wanted.person));
    let missing = there.filter_map(|PersonRoles { person, roles }| {
        let roles: BTreeSet<_> = match observed.people.get(person) {
            Some(held) => roles.difference(held).cloned().collect(),
            None => roles.clone(),
        };
        let (client, person) = (client.clone(), person.clone());
        (!roles.is_empty()).then_some(Change::MapPerson { client, person, roles })
    });
    missing.collect()
}

/// The desired role with the attributes that others gave it: a PUT with attributes replaces all of them.
pub(super) fn merged(found: &RoleRepresentation, desired: &RoleRepresentation) -> RoleRepresentation {
    let mut attributes = found.attributes.clone();
    attributes.extend(desired.attributes.clone());
    RoleRepresentation { attributes, id: found.id.clone(), ..desired.clone() }
}

fn surplus_roles(desired: &DesiredEndpoint, observed: &ObservedEndpoint, client: &ClientRef) -> Vec<Change> {
    let wanted: BTreeSet<_> = desired.roles.iter().map(|role| role.name.as_str()).collect();
    let surplus = by_name(&observed.roles, |role| &role.name)
        .into_iter()
        .filter(|role| is_ours(role.owner(), &desired.owner) && !wanted.contains(role.name.as_str()));
    surplus.map(|role| Change::DeleteClientRole { client: client.clone(), role: role.name.clone() }).collect()
}

fn surplus_scopes(desired: &DesiredEndpoint, observed: &ObservedEndpoint) -> Vec<Change> {
    let wanted: BTreeSet<_> = desired
        .scopes
        .iter()
        .filter_map(|scope| find_scope(observed, scope))
        .map(|found| found.scope.reference())
        .collect();
    let all = by_name(&observed.scopes, |found| &found.scope.settings.name);
    let ours = all.into_iter().filter(|found| is_ours(found.scope.owner(), &desired.owner));
    ours.map(|found| found.scope.reference())
        .filter(|scope| !wanted.contains(scope))
        .map(|scope| Change::DeleteScope { scope })
        .collect()
}

fn find_scope<'a>(observed: &'a ObservedEndpoint, desired: &PermissionScope) -> Option<&'a ObservedScope> {
    let id = desired.id.to_string();
    let by_id = observed.scopes.iter().find(|found| found.scope.id.as_deref() == Some(id.as_str()));
    by_id.or_else(|| observed.scopes.iter().find(|found| found.scope.settings.name == desired.name))
}

fn create_scope(desired: &DesiredEndpoint, scope: &PermissionScope, client: &ClientRef) -> [Change; 2] {
    [
        Change::CreateScope { scope: scope.representation(&desired.owner) },
        Change::AddScopeMapping {
            scope: scope.reference(),
            source: RoleSource::Client(client.clone()),
            roles: scope.mapped_roles(),
        },
    ]
}

fn update_scope(
    desired: &DesiredEndpoint,
    scope: &PermissionScope,
    found: &ObservedScope,
    client: &ClientRef,
) -> Vec<Change> {
    let wanted = scope.representation(&desired.owner);
    let reference = found.scope.reference();
    let mut changes = Vec::new();
    let fields = compare(&found.scope.settings, &wanted.settings);
    if !fields.is_empty() {
        changes.push(Change::UpdateScope { scope: reference.clone(), fields });
    }
    changes.extend(plan_mappers(&wanted.protocol_mappers, found));
    changes.extend(plan_scope_mappings(scope, found, client));
    changes
}

/// The scope is ours as a whole, so a mapper that someone added is removed: it could add a second audience.
fn plan_mappers(wanted: &[ProtocolMapperRepresentation], found: &ObservedScope) -> Vec<Change> {
    let scope = found.scope.reference();
    let mut changes = Vec::new();
    for mapper in by_name(&found.scope.protocol_mappers, |mapper| &mapper.name) {
        if !wanted.iter().any(|wanted| wanted.name == mapper.name) {
            changes.push(Change::DeleteScopeMapper { scope: scope.clone(), mapper: mapper.clone() });
        }
    }
    for mapper in wanted {
        let Some(existing) = found.scope.protocol_mappers.iter().find(|existing| existing.name == mapper.name) else {
            changes.push(Change::CreateScopeMapper { scope: scope.clone(), mapper: mapper.clone() });
            continue;
        };
        let mapper = ProtocolMapperRepresentation { id: existing.id.clone(), ..mapper.clone() };
        let fields = compare(existing, &mapper);
        if !fields.is_empty() {
            changes.push(Change::UpdateScopeMapper { scope: scope.clone(), mapper, fields });
        }
    }
    changes
}

/// One permission of this client and the roles of its grants, and no other: each further role would make the scope take effect
/// for more accounts.
fn plan_scope_mappings(scope: &PermissionScope, found: &ObservedScope, client: &ClientRef) -> Vec<Change> {
    let reference = found.scope.reference();
    let mut changes = Vec::new();
    let mut missing = scope.mapped_roles();
    let mut mappings: Vec<_> = found.mappings.iter().collect();
    mappings.sort_by_key(|mapping| &mapping.source);
    for ObservedScopeMapping { source, roles } in mappings {
        let mut surplus = roles.clone();
        if is_same_client(source, client) {
            let wanted = scope.mapped_roles();
            surplus.retain(|role| !wanted.contains(role));
            missing.retain(|role| !roles.contains(role));
        }
        // The role of a grant may be gone by then, which must not keep the others.
        let (of_grants, others): (BTreeSet<_>, BTreeSet<_>) = surplus.into_iter().partition(|role| is_grant_role(role));
        let each = of_grants.into_iter().map(|role| BTreeSet::from([role])).chain([others]);
        changes.extend(each.filter(|roles| !roles.is_empty()).map(|roles| Change::RemoveScopeMapping {
            scope: reference.clone(),
            source: source.clone(),
            roles,
        }));
    }
    if !missing.is_empty() {
        let source = RoleSource::Client(client.clone());
        changes.push(Change::AddScopeMapping { scope: reference, source, roles: missing });
    }
    changes
}

fn is_same_client(source: &RoleSource, client: &ClientRef) -> bool {
    matches!(source, RoleSource::Client(found) if found.id == client.id)
}
