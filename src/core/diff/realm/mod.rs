//! The plan for a realm: that it is there and ours, and its workload issuer. Its settings and what is in it ([`objects`])
//! can fail one by one without harm to the rest, and have plans of their own.

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

pub mod objects;

use crate::core::desired::objects::BROKER_MARK;
use crate::core::desired::representation::{IdentityProviderRepresentation, RealmRepresentation};
use crate::core::desired::{DesiredRealm, Owner, WorkloadIssuer};

use crate::core::diff::change::Change;
use crate::core::diff::conflict::{Claim, Conflict, is_ours, is_this};
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
    plan.extend(plan_existence(desired, observed.realm.as_ref())?);
    let issuer = plan_issuer(desired, observed)?;
    plan.extend(surplus(desired, observed));
    plan.extend(issuer);
    Ok(plan)
}

/// What it takes to remove what was made for `owner`: the realm if that was ours, else the trust that we put into it.
#[must_use]
pub fn plan_delete_realm(owner: &Owner, observed: &ObservedRealm, policy: DeletionPolicy) -> Plan {
    let mut plan = Plan::default();
    let (Some(realm), DeletionPolicy::Delete) = (&observed.realm, policy) else { return plan };
    if is_this(realm.owner(), owner) {
        plan.push(Change::DeleteRealm { realm: realm.realm.clone() });
    } else {
        let of_this = observed.identity_providers.iter().filter(|found| is_this(found.owner(), owner));
        let this = ObservedRealm { identity_providers: of_this.cloned().collect(), ..observed.clone() };
        plan.extend(issuers_of(owner, &this));
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

fn plan_issuer(desired: &DesiredRealm, observed: &ObservedRealm) -> Result<Option<Change>, Conflict> {
    let Some(issuer) = &desired.workload_issuer else { return Ok(None) };
    check_issuer(desired, issuer, observed)?;
    let Some(found) = observed.identity_providers.iter().find(|found| found.alias == issuer.alias) else {
        return Ok(Some(Change::CreateIdentityProvider {
            identity_provider: issuer.identity_provider(&desired.owner),
        }));
    };
    if issuer.is_anothers(found) {
        let (alias, cluster) = (found.alias.clone(), desired.owner.cluster.clone());
        return Err(Conflict::ClusterNameTaken { alias, cluster });
    }
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
    let is_deleted = |found: &IdentityProviderRepresentation| {
        is_ours(found.owner(), &desired.owner) && !found.config.contains_key(BROKER_MARK)
    };
    match taken.find(|found| !is_deleted(found)) {
        None => Ok(()),
        Some(found) => Err(Conflict::issuer_taken(found)),
    }
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
