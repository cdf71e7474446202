//! The plan for a realm: that it is there and ours, its roles and its workload issuer. Its settings, which can fail one
//! by one without harm to the rest, have plans of their own.

mod described;
mod keys;
mod lists;
#[cfg(test)]
mod properties;
mod rotation;
mod settings;

pub use described::{plan_client_policies, plan_required_actions, plan_user_profile};
pub use keys::{KeyPlan, KeySetting, plan_keys};
pub use settings::{claim_realm, plan_settings, plan_smtp};

use std::collections::BTreeSet;

use crate::core::desired::representation::RealmRepresentation;
use crate::core::desired::{DesiredRealm, Management, Owner, RealmRole, WorkloadIssuer};

use crate::core::diff::change::Change;
use crate::core::diff::conflict::{Claim, Conflict, is_ours};
use crate::core::diff::endpoint::merged;
use crate::core::diff::fields::compare;
use crate::core::diff::observed::{ObservedRealm, ObservedRealmRole};
use crate::core::diff::plan::{Plan, by_name};

/// What becomes of what was made when the object that asked for it is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It is deleted as well.
    Delete,
    /// It stays as it is, owner marks included, so that the same object finds it again.
    Orphan,
}

/// What it takes to make `observed` the realm that is desired.
///
/// # Errors
/// A [`Conflict`] if the realm, a role or the identity provider is not ours and is not to be adopted, if the realm is
/// missing and not ours to make, or if too little of it is visible.
pub fn plan_realm(desired: &DesiredRealm, observed: &ObservedRealm) -> Result<Plan, Conflict> {
    let mut plan = Plan::default();
    plan.extend(plan_existence(desired, observed.realm.as_ref())?);
    plan.extend(surplus(desired, observed));
    let roles = by_name(&desired.roles, |role| &role.name);
    for role in &roles {
        plan.extend(plan_role(desired, role, observed)?);
    }
    // After all roles: one may include another that is made in the same plan.
    for role in &roles {
        plan.extend(plan_composites(desired, role, observed));
    }
    plan.extend(plan_issuer(desired, observed)?);
    Ok(plan)
}

/// What it takes to remove what was made for `owner`: the realm if that was ours, else what we put into it.
#[must_use]
pub fn plan_delete_realm(owner: &Owner, observed: &ObservedRealm, policy: DeletionPolicy) -> Plan {
    let mut plan = Plan::default();
    let (Some(realm), DeletionPolicy::Delete) = (&observed.realm, policy) else { return plan };
    if is_ours(realm.owner(), owner) {
        plan.push(Change::DeleteRealm { realm: realm.realm.clone() });
    } else {
        plan.extend(issuers_of(owner, observed));
        plan.extend(roles_of(owner, observed));
    }
    plan
}

fn plan_existence(desired: &DesiredRealm, found: Option<&RealmRepresentation>) -> Result<Option<Change>, Conflict> {
    match (desired.new_realm(), found) {
        (None, Some(_)) => Ok(None),
        (None, None) => Err(Conflict::RealmMissing { realm: desired.realm.clone() }),
        (Some(wanted), None) => Ok(Some(Change::CreateRealm { realm: Box::new(wanted) })),
        (Some(_), Some(found)) => claim_realm(desired, found).map(|()| None),
    }
}

fn plan_role(desired: &DesiredRealm, role: &RealmRole, observed: &ObservedRealm) -> Result<Option<Change>, Conflict> {
    let wanted = role.representation(&desired.owner);
    let Some(ObservedRealmRole { role: found, .. }) = find_role(observed, &role.name) else {
        return Ok(Some(Change::CreateRealmRole { role: wanted }));
    };
    // In a realm of ours a role without an owner is Keycloak's own, or was made by hand under a name that is ours.
    let is_free = found.owner().is_none() && matches!(desired.management, Management::Full(_));
    let id = found.id.as_deref().unwrap_or_default();
    Claim { object: "realm role", name: &role.name, id, owner: found.owner() }
        .check(&desired.owner, desired.adopt || is_free)?;
    let fields = compare(found, &wanted);
    let role = merged(found, &wanted);
    Ok((!fields.is_empty()).then_some(Change::UpdateRealmRole { role, fields }))
}

fn plan_composites(desired: &DesiredRealm, role: &RealmRole, observed: &ObservedRealm) -> Vec<Change> {
    let wanted: BTreeSet<_> = role.composites.iter().cloned().collect();
    let found = find_role(observed, &role.name).map(|found| found.composites.clone()).unwrap_or_default();
    let name = &role.name;
    let mut changes = Vec::new();
    // A role that this plan deletes is in no other one by then.
    let is_left = |name: &&String| !is_surplus_role(desired, observed, name);
    let surplus: BTreeSet<_> = found.difference(&wanted).filter(is_left).cloned().collect();
    if !surplus.is_empty() {
        changes.push(Change::RemoveComposites { role: name.clone(), composites: surplus });
    }
    let missing: BTreeSet<_> = wanted.difference(&found).cloned().collect();
    if !missing.is_empty() {
        changes.push(Change::AddComposites { role: name.clone(), composites: missing });
    }
    changes
}

fn plan_issuer(desired: &DesiredRealm, observed: &ObservedRealm) -> Result<Option<Change>, Conflict> {
    let Some(issuer) = &desired.workload_issuer else { return Ok(None) };
    check_issuer(desired, issuer, observed)?;
    let Some(found) = observed.identity_providers.iter().find(|found| found.alias == issuer.alias) else {
        return Ok(Some(Change::CreateIdentityProvider {
            identity_provider: issuer.identity_provider(&desired.owner),
        }));
    };
    // Where the operator logs in at this realm, one identity provider serves both. The mark stays as it is: the login
    // outlives this object.
    let login = found.owner().filter(|owner| owner.is_login_of(&desired.owner.cluster));
    if login.is_none() {
        Claim { object: "identity provider", name: &found.alias, id: &found.alias, owner: found.owner() }
            .check(&desired.owner, desired.adopt)?;
    }
    let wanted = issuer.identity_provider(login.as_ref().unwrap_or(&desired.owner));
    let fields = compare(&found.with_canonical_keys(), &wanted);
    Ok((!fields.is_empty()).then_some(Change::UpdateIdentityProvider { identity_provider: wanted, fields }))
}

/// Keycloak refuses a second identity provider with the same issuer, without saying which is the first.
fn check_issuer(desired: &DesiredRealm, issuer: &WorkloadIssuer, observed: &ObservedRealm) -> Result<(), Conflict> {
    let others = observed.identity_providers.iter().filter(|found| found.alias != issuer.alias);
    // One of our own under another alias is deleted by the same plan.
    let mut taken = others.filter(|found| found.issuer() == Some(issuer.issuer.as_str()));
    match taken.find(|found| !is_ours(found.owner(), &desired.owner)) {
        None => Ok(()),
        Some(found) => Err(Conflict::issuer_taken(found)),
    }
}

/// What we made earlier and is no longer desired. An issuer goes first: the next one may have the same `iss`.
fn surplus(desired: &DesiredRealm, observed: &ObservedRealm) -> Vec<Change> {
    let is_wanted = |change: &Change| match change {
        Change::DeleteIdentityProvider { alias } => {
            desired.workload_issuer.as_ref().is_some_and(|issuer| &issuer.alias == alias)
        }
        Change::DeleteRealmRole { role } => desired.roles.iter().any(|wanted| &wanted.name == role),
        _ => false,
    };
    let ours = issuers_of(&desired.owner, observed).into_iter().chain(roles_of(&desired.owner, observed));
    ours.filter(|change| !is_wanted(change)).collect()
}

fn is_surplus_role(desired: &DesiredRealm, observed: &ObservedRealm, name: &str) -> bool {
    let is_ours = find_role(observed, name).is_some_and(|found| is_ours(found.role.owner(), &desired.owner));
    is_ours && desired.roles.iter().all(|wanted| wanted.name != name)
}

fn issuers_of(owner: &Owner, observed: &ObservedRealm) -> Vec<Change> {
    let all = by_name(&observed.identity_providers, |found| &found.alias);
    let ours = all.into_iter().filter(|found| is_ours(found.owner(), owner));
    ours.map(|found| Change::DeleteIdentityProvider { alias: found.alias.clone() }).collect()
}

fn roles_of(owner: &Owner, observed: &ObservedRealm) -> Vec<Change> {
    let all = by_name(&observed.roles, |found| &found.role.name);
    let ours = all.into_iter().filter(|found| is_ours(found.role.owner(), owner));
    ours.map(|found| Change::DeleteRealmRole { role: found.role.name.clone() }).collect()
}

fn find_role<'a>(observed: &'a ObservedRealm, name: &str) -> Option<&'a ObservedRealmRole> {
    observed.roles.iter().find(|found| found.role.name == name)
}
