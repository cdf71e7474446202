//! Identity providers that people log in with. The trust in clusters is the settings' part and never touched here.

use std::collections::BTreeMap;

use crate::core::desired::objects::{BROKER_MARK, Broker, DesiredObjects, SECRET_ENTRY, SECRET_VERSION, Secret};
use crate::core::desired::representation::{BrokerMapperRepresentation, BrokerRepresentation};
use crate::core::diff::conflict::{Claim, is_ours};
use crate::core::diff::object_change::ObjectChange;
use crate::core::diff::plan::by_name;

use super::exact::compare_whole;
use super::observed::{ObservedBroker, ObservedBrokers, ServerTypes};
use super::{FindingReason, SectionPlan};

/// What it takes to make the identity providers what is desired.
#[must_use]
pub fn plan_brokers(desired: &DesiredObjects, observed: &ObservedBrokers) -> SectionPlan {
    let mut plan = SectionPlan::default();
    for ObservedBroker { provider, .. } in by_name(&observed.providers, |found| &found.provider.alias) {
        let is_listed = desired.identity_providers.iter().any(|wanted| wanted.alias == provider.alias);
        if is_ours(provider.owner(), &desired.owner) && provider.config.contains_key(BROKER_MARK) && !is_listed {
            plan.step([ObjectChange::DeleteBroker { alias: provider.alias.clone() }]);
        }
    }
    for broker in by_name(&desired.identity_providers, |broker| &broker.alias) {
        if let Some(unknown) = unknown_type(broker, &observed.types) {
            plan.find(FindingReason::UnknownType, unknown);
        } else if let Secret::Unreadable(reason) = &broker.secret {
            let message = format!("identity provider {} is left as it is: {reason}", broker.alias);
            plan.find(FindingReason::SecretUnreadable, message);
        } else {
            plan_broker(desired, broker, observed, &mut plan);
        }
    }
    plan
}

/// Keycloak takes mappers that it does not know, and then every login by their provider fails.
fn unknown_type(broker: &Broker, types: &ServerTypes) -> Option<String> {
    let alias = &broker.alias;
    if !types.identity_providers.contains(&broker.provider_id) {
        let kind = &broker.provider_id;
        return Some(format!(
            "identity provider {alias} is left as it is: the server knows no provider type {kind:?}; correct the type, or enable its feature in Keycloak"
        ));
    }
    let mapper = broker.mappers.iter().find(|mapper| !types.broker_mappers.contains(&mapper.mapper_type))?;
    let (name, kind) = (&mapper.name, &mapper.mapper_type);
    Some(format!(
        "identity provider {alias} is left as it is: the server knows no mapper type {kind:?} (mapper {name}), and every login would fail with it; correct the type"
    ))
}

fn plan_broker(desired: &DesiredObjects, broker: &Broker, observed: &ObservedBrokers, plan: &mut SectionPlan) {
    let found = observed.providers.iter().find(|found| found.provider.alias == broker.alias);
    if let Some(ObservedBroker { provider, .. }) = found {
        let (name, id) = (&*provider.alias, &*provider.alias);
        let claim = Claim { object: "identity provider", name, id, owner: provider.owner() };
        if !plan.is_free(check_claim(claim, provider, desired)) {
            return;
        }
    }
    let Some(imported) = imported(broker, found, observed, plan) else { return };
    let wanted = broker.representation(&desired.owner, &imported);
    let mut changes = Vec::new();
    match found {
        None => changes.push(create(broker, wanted)),
        Some(found) => changes.extend(update(broker, wanted, &found.provider)),
    }
    let mappers = found.map(|found| &*found.mappers).unwrap_or_default();
    changes.extend(plan_mappers(broker, mappers));
    plan.step(changes);
}

/// The trust in this cluster's tokens has the same owner, and is not to be taken for a provider of people.
fn check_claim(
    claim: Claim<'_>,
    found: &BrokerRepresentation,
    desired: &DesiredObjects,
) -> Result<(), crate::core::diff::Conflict> {
    if found.owner().is_some() && !found.config.contains_key(BROKER_MARK) {
        let owner = Claim { owner: None, ..claim };
        return owner.check(&desired.owner, false);
    }
    claim.check(&desired.owner, desired.adopt)
}

/// What the discovery gives; what it gave before where it cannot be read now.
fn imported(
    broker: &Broker,
    found: Option<&ObservedBroker>,
    observed: &ObservedBrokers,
    plan: &mut SectionPlan,
) -> Option<BTreeMap<String, String>> {
    let (Some(url), alias) = (&broker.discovery, &broker.alias) else { return Some(BTreeMap::new()) };
    let reason = match observed.imported.get(alias) {
        Some(Ok(imported)) => return Some(imported.clone()),
        Some(Err(reason)) => reason.as_str(),
        None => "it was not asked for",
    };
    let Some(found) = found else {
        let message = format!(
            "identity provider {alias} is not made yet: Keycloak cannot read its discovery document {url} ({reason}); check the URL and Keycloak's way there, or give spec.identityProviders[].config instead"
        );
        plan.find(FindingReason::DiscoveryFailed, message);
        return None;
    };
    let message = format!(
        "identity provider {alias} keeps what was discovered earlier: Keycloak cannot read its discovery document {url} now ({reason})"
    );
    plan.find(FindingReason::DiscoveryStale, message);
    let mut kept = found.provider.config.clone();
    kept.retain(|key, _| ![SECRET_ENTRY, SECRET_VERSION].contains(&key.as_str()));
    Some(kept)
}

fn create(broker: &Broker, mut provider: BrokerRepresentation) -> ObjectChange {
    provider.config.remove(SECRET_ENTRY);
    ObjectChange::CreateBroker { provider: Box::new(provider), secret: broker.secret.sealed() }
}

fn update(broker: &Broker, wanted: BrokerRepresentation, found: &BrokerRepresentation) -> Option<ObjectChange> {
    // Keycloak gives the providers whose issuer it knows that issuer by itself.
    let fields = compare_whole(found, &wanted, "config", |key| key != "issuer");
    let is_new = found.config.get(SECRET_VERSION).map(String::as_str) != broker.secret.version()
        || !found.config.contains_key(SECRET_ENTRY);
    let secret = broker.secret.sealed().filter(|_| is_new);
    let provider = Box::new(wanted);
    (!fields.is_empty()).then_some(ObjectChange::UpdateBroker { provider, secret, fields })
}

/// The provider is ours as a whole, so a mapper that someone added is removed: it could give roles to people.
fn plan_mappers(broker: &Broker, found: &[BrokerMapperRepresentation]) -> Vec<ObjectChange> {
    let mut changes = Vec::new();
    for mapper in by_name(found, |mapper| &mapper.name) {
        let is_listed = |name: &str| broker.mappers.iter().any(|wanted| wanted.name == name);
        if !is_listed(&mapper.name) {
            changes.push(ObjectChange::DeleteBrokerMapper { mapper: mapper.clone() });
        }
    }
    for mapper in by_name(&broker.mappers, |mapper| &mapper.name) {
        let wanted = mapper.representation(&broker.alias);
        let Some(existing) = found.iter().find(|existing| existing.name == mapper.name) else {
            changes.push(ObjectChange::CreateBrokerMapper { mapper: wanted });
            continue;
        };
        let fields = compare_whole(existing, &wanted, "config", |_| true);
        let mapper = BrokerMapperRepresentation { id: existing.id.clone(), ..wanted };
        if !fields.is_empty() {
            changes.push(ObjectChange::UpdateBrokerMapper { mapper, fields });
        }
    }
    changes
}
