//! The plan for a realm: its settings and its workload issuer; [`objects`] has what is in it.

pub mod objects;

use crate::core::desired::objects::BROKER_MARK;
use crate::core::desired::representation::RealmRepresentation;
use crate::core::desired::{DesiredRealm, Owner};

use crate::core::diff::change::Change;
use crate::core::diff::conflict::{Claim, Conflict, is_ours};
use crate::core::diff::fields::compare;
use crate::core::diff::observed::ObservedRealm;
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
/// A [`Conflict`] if the realm or the identity provider is not ours and is not to be adopted, if the realm is
/// missing and not ours to make, or if too little of it is visible.
pub fn plan_realm(desired: &DesiredRealm, observed: &ObservedRealm) -> Result<Plan, Conflict> {
    let mut plan = Plan::default();
    plan.extend(plan_settings(desired, observed.realm.as_ref())?);
    plan.extend(surplus(desired, observed));
    plan.extend(plan_issuer(desired, observed)?);
    Ok(plan)
}

/// What it takes to remove what was made for `owner`: the realm if that was ours, else the trust that we put into it.
#[must_use]
pub fn plan_delete_realm(owner: &Owner, observed: &ObservedRealm, policy: DeletionPolicy) -> Plan {
    let mut plan = Plan::default();
    let (Some(realm), DeletionPolicy::Delete) = (&observed.realm, policy) else { return plan };
    if is_ours(realm.owner(), owner) {
        plan.push(Change::DeleteRealm { realm: realm.realm.clone() });
    } else {
        plan.extend(issuers_of(owner, observed));
    }
    plan
}

fn plan_settings(desired: &DesiredRealm, found: Option<&RealmRepresentation>) -> Result<Option<Change>, Conflict> {
    let name = &desired.realm;
    let Some(wanted) = desired.representation() else {
        return found.map(|_| None).ok_or_else(|| Conflict::RealmMissing { realm: name.clone() });
    };
    let Some(found) = found else { return Ok(Some(Change::CreateRealm { realm: Box::new(wanted) })) };
    if found.is_partial() {
        return Err(Conflict::RealmHidden { realm: name.clone() });
    }
    Claim { object: "realm", name, id: name, owner: found.owner() }.check(&desired.owner, desired.adopt)?;
    let fields = compare(found, &wanted);
    Ok((!fields.is_empty()).then(|| Change::UpdateRealm { realm: name.clone(), fields }))
}

fn plan_issuer(desired: &DesiredRealm, observed: &ObservedRealm) -> Result<Option<Change>, Conflict> {
    let Some(issuer) = &desired.workload_issuer else { return Ok(None) };
    let wanted = issuer.identity_provider(&desired.owner);
    let Some(found) = observed.identity_providers.iter().find(|found| found.alias == wanted.alias) else {
        return Ok(Some(Change::CreateIdentityProvider { identity_provider: wanted }));
    };
    Claim { object: "identity provider", name: &found.alias, id: &found.alias, owner: found.owner() }
        .check(&desired.owner, desired.adopt)?;
    let fields = compare(&found.with_canonical_keys(), &wanted);
    Ok((!fields.is_empty()).then_some(Change::UpdateIdentityProvider { identity_provider: wanted, fields }))
}

/// What we made earlier and is no longer desired. It goes first: the next issuer may have the same `iss`.
fn surplus(desired: &DesiredRealm, observed: &ObservedRealm) -> Vec<Change> {
    let is_wanted = |change: &Change| match change {
        Change::DeleteIdentityProvider { alias } => {
            desired.workload_issuer.as_ref().is_some_and(|issuer| &issuer.alias == alias)
        }
        _ => false,
    };
    issuers_of(&desired.owner, observed).into_iter().filter(|change| !is_wanted(change)).collect()
}

/// Those that people log in with have the same owner and are another part's.
fn issuers_of(owner: &Owner, observed: &ObservedRealm) -> Vec<Change> {
    let all = by_name(&observed.identity_providers, |found| &found.alias);
    let ours = all.into_iter().filter(|found| is_ours(found.owner(), owner) && !found.config.contains_key(BROKER_MARK));
    ours.map(|found| Change::DeleteIdentityProvider { alias: found.alias.clone() }).collect()
}
