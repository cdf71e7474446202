//! LDAP servers and their mappers.
//!
//! Keycloak makes mappers of its own with every LDAP server. They stay, unless one of the same name is listed: then that
//! one's settings are written into it. Only mappers that were made here are deleted here.

use std::collections::BTreeMap;

use serde_json::json;

use crate::core::desired::objects::{DesiredObjects, Federation, FederationMapper, Secret};
use crate::core::desired::representation::{ComponentRepresentation, LDAP};
use crate::core::diff::conflict::Claim;
use crate::core::diff::fields::{FieldChange, compare};
use crate::core::diff::object_change::ObjectChange;
use crate::core::diff::plan::by_name;

use super::observed::{ObservedFederation, ObservedLdap, ServerTypes};
use super::{FindingReason, SectionPlan};

/// The setting that holds the password, which reads as asterisks.
const PASSWORD: &str = "bindCredential";

/// What it takes to make user federation what is desired.
#[must_use]
pub fn plan_federation(desired: &DesiredObjects, observed: &ObservedFederation) -> SectionPlan {
    let mut plan = SectionPlan::default();
    for ObservedLdap { component, .. } in by_name(&observed.servers, |found| &found.component.name) {
        let is_listed = desired.user_federation.iter().any(|wanted| is_same(wanted, component));
        if is_ours(desired, component) && !is_listed {
            plan.step([ObjectChange::DeleteComponent { component: bare(component) }]);
        }
    }
    for server in by_name(&desired.user_federation, |server| &server.name) {
        if let Some(unknown) = unknown_type(server, &observed.types) {
            plan.find(FindingReason::UnknownType, unknown);
        } else if let Secret::Unreadable(reason) = &server.secret {
            let message = format!("user federation {} is left as it is: {reason}", server.name);
            plan.find(FindingReason::SecretUnreadable, message);
        } else {
            plan_server(desired, server, observed, &mut plan);
        }
    }
    plan
}

/// Whether a server was made here: its id is the one that follows from its name.
fn is_ours(desired: &DesiredObjects, found: &ComponentRepresentation) -> bool {
    found.provider_id == LDAP && found.id() == desired.federation_id(&found.name).to_string()
}

fn is_same(wanted: &Federation, found: &ComponentRepresentation) -> bool {
    found.id() == wanted.id.to_string() || (found.name == wanted.name && found.provider_id == LDAP)
}

fn unknown_type(server: &Federation, types: &ServerTypes) -> Option<String> {
    let name = &server.name;
    if !types.user_storage.contains(LDAP) {
        return Some(format!("user federation {name} is left as it is: this Keycloak has no LDAP provider"));
    }
    let mapper = server.mappers.iter().find(|mapper| !types.ldap_mappers.contains(&mapper.mapper_type))?;
    let (mapper, kind) = (&mapper.name, &mapper.mapper_type);
    Some(format!(
        "user federation {name} is left as it is: the server knows no LDAP mapper type {kind:?} (mapper {mapper}); correct the type"
    ))
}

fn plan_server(desired: &DesiredObjects, server: &Federation, observed: &ObservedFederation, plan: &mut SectionPlan) {
    let wanted = server.representation();
    let id = server.id.to_string();
    let by_id = observed.servers.iter().find(|found| found.component.id() == id);
    let found = by_id.or_else(|| observed.servers.iter().find(|found| is_same(server, &found.component)));
    let Some(ObservedLdap { component, mappers }) = found else {
        let secret = server.secret.sealed();
        // Its mappers come in the next pass of the section, which knows those that Keycloak has made.
        return plan.step([ObjectChange::CreateComponent { component: Box::new(wanted), secret }]);
    };
    let owner = (component.id() == id).then(|| desired.owner.clone());
    let claim = Claim { object: "user federation", name: &server.name, id: component.id(), owner };
    if !plan.is_free(claim.check(&desired.owner, desired.adopt)) {
        return;
    }
    let mut changes = Vec::from_iter(update_server(server, wanted, component));
    changes.extend(plan_mappers(desired, server, component.id(), mappers));
    plan.step(changes);
}

fn update_server(
    server: &Federation,
    wanted: ComponentRepresentation,
    found: &ComponentRepresentation,
) -> Option<ObjectChange> {
    let is_new = found.sub_type.as_deref().unwrap_or_default() != wanted.sub_type.as_deref().unwrap_or_default();
    let mut wanted = ComponentRepresentation { id: found.id.clone(), ..wanted };
    // An entry that is left out stays as it is, so what is to go is sent as empty.
    if server.secret == Secret::Absent && found.config.contains_key(PASSWORD) {
        wanted.config.insert(PASSWORD.into(), Vec::new());
    }
    let fields = compare_config(found, &wanted);
    let secret = server.secret.sealed().filter(|_| is_new);
    let component = Box::new(wanted);
    (!fields.is_empty()).then_some(ObjectChange::UpdateComponent { component, secret, fields })
}

fn plan_mappers(
    desired: &DesiredObjects,
    server: &Federation,
    parent: &str,
    found: &[ComponentRepresentation],
) -> Vec<ObjectChange> {
    let mut changes = Vec::new();
    let is_listed = |component: &ComponentRepresentation| server.mappers.iter().any(|it| is_mapper(it, component));
    for component in by_name(found, |component| &component.name) {
        let is_derived = component.id() == mapper_id_of(desired, server, &component.name);
        if is_derived && !is_listed(component) {
            changes.push(ObjectChange::DeleteComponent { component: bare(component) });
        }
    }
    for mapper in by_name(&server.mappers, |mapper| &mapper.name) {
        let wanted = mapper.representation(parent);
        let Some(existing) = found.iter().find(|component| is_mapper(mapper, component)) else {
            let component = Box::new(wanted);
            changes.push(ObjectChange::CreateComponent { component, secret: None });
            continue;
        };
        let wanted = ComponentRepresentation { id: existing.id.clone(), ..wanted };
        let fields = compare_config(existing, &wanted);
        if !fields.is_empty() {
            changes.push(ObjectChange::UpdateComponent { component: Box::new(wanted), secret: None, fields });
        }
    }
    changes
}

/// Whether a component is the mapper, by name and type: another of the same name is another mapper.
fn is_mapper(mapper: &FederationMapper, component: &ComponentRepresentation) -> bool {
    component.name == mapper.name && component.provider_id == mapper.mapper_type
}

fn mapper_id_of(desired: &DesiredObjects, server: &Federation, mapper: &str) -> String {
    desired.federation_mapper_id(&server.name, mapper).to_string()
}

/// Keycloak adds settings of its own, so only what is wanted is compared.
fn compare_config(found: &ComponentRepresentation, wanted: &ComponentRepresentation) -> Vec<FieldChange> {
    let mut fields = compare(found, wanted);
    let is_nothing = |field: &FieldChange| field.from.is_null() && field.to == json!([]);
    let is_parent = |field: &FieldChange| field.path.0.first().is_some_and(|first| first == "parentId");
    fields.retain(|field| !is_nothing(field) && !is_parent(field));
    fields
}

/// The component without its settings, for a plan that is shown.
fn bare(component: &ComponentRepresentation) -> Box<ComponentRepresentation> {
    Box::new(ComponentRepresentation { config: BTreeMap::new(), ..component.clone() })
}
