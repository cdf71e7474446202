//! Keycloak as far as plans touch it, in memory: what property tests carry plans out on.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::core::credential::Hidden;
use crate::core::desired::representation::{ClientRepresentation, RoleRepresentation};

use super::observed::{
    ObservedEndpoint, ObservedRealm, ObservedRoleMapping, ObservedScope, ObservedScopeMapping, ObservedWorkload,
};
use super::{Change, FieldChange, Plan, RoleSource};

/// Something that a plan can be carried out on.
pub(super) trait Simulated {
    fn make(&mut self, change: Change);

    fn carry_out(&mut self, plan: Plan) {
        plan.changes.into_iter().for_each(|change| self.make(change));
    }
}

impl Simulated for ObservedEndpoint {
    fn make(&mut self, change: Change) {
        match change {
            Change::CreateClient { client, .. } => {
                assert!(self.client.is_none(), "409: client exists");
                self.client = Some(*client);
            }
            Change::UpdateClient { fields, .. } => {
                let client = self.client.as_mut().expect("404: client");
                client.settings = patched(&client.settings, &fields);
                // As Keycloak does, whatever else it is told.
                if !FieldChange::touches(&fields, "webOrigins") {
                    client.settings.web_origins.clone_from(&client.settings.redirect_uris);
                }
            }
            Change::AddDefaultScope { .. } | Change::RemoveDefaultScope { .. } | Change::RemoveOptionalScope { .. } => {
                change_scopes(self.client.as_mut().expect("404: client"), change);
            }
            Change::DeleteClient { .. } => {
                self.client = None;
                self.roles.clear();
                self.people.clear();
                self.scopes.iter_mut().for_each(|scope| scope.mappings.clear());
            }
            Change::CreateClientRole { role, .. } => {
                assert!(self.client.is_some(), "404: client of role");
                assert!(self.roles.iter().all(|found| found.name != role.name), "409: role exists");
                self.roles.push(role);
            }
            Change::UpdateClientRole { role, .. } => replace_role(&mut self.roles, role),
            Change::DeleteClientRole { client, role } => {
                self.roles.retain(|found| found.name != role);
                self.people.values_mut().for_each(|held| {
                    held.remove(&role);
                });
                self.people.retain(|_, held| !held.is_empty());
                let (source, roles) = (RoleSource::Client(client), BTreeSet::from([role]));
                self.scopes.iter_mut().for_each(|scope| scope.unmap(&source, &roles));
            }
            Change::SetClientSecret { secret, web_origins, .. } => {
                let client = self.client.as_mut().expect("404: client");
                client.secret = Some(Hidden::new(secret.expose().to_owned()));
                client.settings.web_origins = web_origins;
            }
            Change::CreateScope { scope } => {
                assert!(self.scopes.iter().all(|found| found.scope.id != scope.id), "409: scope exists");
                self.scopes.push(ObservedScope { scope, mappings: Vec::new() });
            }
            Change::DeleteScope { scope } => self.scopes.retain(|found| found.scope.reference() != scope),
            Change::MapPerson { person, roles, .. } => {
                let exist = roles.iter().all(|role| self.roles.iter().any(|found| &found.name == role));
                assert!(exist, "404: role of mapping");
                self.people.entry(person).or_default().extend(roles);
            }
            Change::UnmapPerson { person, roles, .. } => {
                self.people.entry(person).or_default().retain(|role| !roles.contains(role));
                self.people.retain(|_, held| !held.is_empty());
            }
            change => self.scope_of(&change).make(change),
        }
    }
}

impl ObservedEndpoint {
    fn scope_of(&mut self, change: &Change) -> &mut ObservedScope {
        let (Change::UpdateScope { scope, .. }
        | Change::CreateScopeMapper { scope, .. }
        | Change::UpdateScopeMapper { scope, .. }
        | Change::DeleteScopeMapper { scope, .. }
        | Change::AddScopeMapping { scope, .. }
        | Change::RemoveScopeMapping { scope, .. }) = change
        else {
            panic!("not a change of an endpoint: {change}")
        };
        let id = Some(scope.id.clone());
        if let Change::AddScopeMapping { roles, source: RoleSource::Client(_), .. } = change {
            let exist = roles.iter().all(|role| self.roles.iter().any(|found| &found.name == role));
            assert!(exist, "404: role of scope mapping");
        }
        self.scopes.iter_mut().find(|found| found.scope.id == id).expect("404: scope")
    }
}

/// Keycloak goes by the id of a client, which may have another name by now.
fn is_same(one: &RoleSource, other: &RoleSource) -> bool {
    match (one, other) {
        (RoleSource::Client(one), RoleSource::Client(other)) => one.id == other.id,
        (one, other) => one == other,
    }
}

impl ObservedScope {
    fn make(&mut self, change: Change) {
        let mappers = &mut self.scope.protocol_mappers;
        match change {
            Change::UpdateScope { fields, .. } => self.scope.settings = patched(&self.scope.settings, &fields),
            Change::CreateScopeMapper { mapper, .. } => mappers.push(mapper),
            Change::UpdateScopeMapper { mapper, .. } => {
                let found = mappers.iter_mut().find(|found| found.id == mapper.id);
                *found.expect("404: mapper") = mapper;
            }
            Change::DeleteScopeMapper { mapper, .. } => mappers.retain(|found| found.id != mapper.id),
            Change::AddScopeMapping { source, roles, .. } => {
                match self.mappings.iter_mut().find(|found| is_same(&found.source, &source)) {
                    Some(found) => found.roles.extend(roles),
                    None => self.mappings.push(ObservedScopeMapping { source, roles }),
                }
            }
            Change::RemoveScopeMapping { source, roles, .. } => self.unmap(&source, &roles),
            change => panic!("not a change of a scope: {change}"),
        }
    }

    fn unmap(&mut self, source: &RoleSource, roles: &BTreeSet<String>) {
        let mappings = self.mappings.iter_mut().filter(|mapping| &mapping.source == source);
        mappings.for_each(|mapping| mapping.roles.retain(|role| !roles.contains(role)));
        self.mappings.retain(|mapping| !mapping.roles.is_empty());
    }
}

/// The client that a change of a workload is about.
fn client_id(change: &Change) -> &str {
    match change {
        Change::CreateClient { client, .. } => &client.settings.client_id,
        Change::UpdateClient { client, .. }
        | Change::DeleteClient { client }
        | Change::SetClientSecret { client, .. }
        | Change::AddDefaultScope { client, .. }
        | Change::RemoveDefaultScope { client, .. }
        | Change::AddOptionalScope { client, .. }
        | Change::RemoveOptionalScope { client, .. }
        | Change::MapOtherRoles { client, .. }
        | Change::UnmapOtherRoles { client, .. }
        | Change::MapRoles { client, .. }
        | Change::UnmapRoles { client, .. } => &client.client_id,
        change => panic!("not a change of a workload: {change}"),
    }
}

impl Simulated for ObservedWorkload {
    fn make(&mut self, change: Change) {
        if client_id(&change).ends_with(".second.workload") {
            let second = self.second.get_or_insert_default();
            second.make_one(change);
        } else {
            self.make_one(change);
        }
    }
}

impl ObservedWorkload {
    fn make_one(&mut self, change: Change) {
        match change {
            Change::CreateClient { client, .. } => {
                assert!(self.client.is_none(), "409: client exists");
                self.client = Some(*client);
            }
            Change::DeleteClient { .. } => *self = Self { second: self.second.take(), ..Self::default() },
            Change::SetClientSecret { secret, .. } => {
                self.client.as_mut().expect("404: client").secret = Some(Hidden::new(secret.expose().to_owned()));
            }
            Change::MapRoles { endpoint, roles, .. } => {
                assert!(self.client.is_some(), "404: service account");
                match self.role_mappings.iter_mut().find(|found| found.client_id == endpoint) {
                    Some(found) => found.roles.extend(roles),
                    None => {
                        self.role_mappings.push(ObservedRoleMapping { client_id: endpoint, is_endpoint: true, roles })
                    }
                }
            }
            Change::MapOtherRoles { of, roles, .. } => {
                self.bound_to.entry(of.clone()).or_default().extend(roles.clone());
                match self.role_mappings.iter_mut().find(|found| found.client_id == of) {
                    Some(found) => found.roles.extend(roles),
                    None => self.role_mappings.push(ObservedRoleMapping { client_id: of, is_endpoint: false, roles }),
                }
            }
            Change::UnmapOtherRoles { of, roles, .. } => {
                let held = self.role_mappings.iter_mut().filter(|found| found.client_id == of);
                let held = held.map(|found| &mut found.roles).chain(self.bound_to.get_mut(&of));
                held.for_each(|held| held.retain(|role| !roles.contains(role)));
                self.role_mappings.retain(|found| !found.roles.is_empty());
                self.bound_to.retain(|_, bound| !bound.is_empty());
            }
            Change::UnmapRoles { endpoint, roles, .. } => {
                let held = self.role_mappings.iter_mut().filter(|found| found.client_id == endpoint);
                held.for_each(|found| found.roles.retain(|role| !roles.contains(role)));
                self.role_mappings.retain(|found| !found.roles.is_empty());
            }
            change => self.change_client(change),
        }
    }
}

impl ObservedWorkload {
    fn change_client(&mut self, change: Change) {
        let client = self.client.as_mut().expect("404: client");
        match change {
            Change::UpdateClient { fields, .. } => {
                let had_account = client.settings.service_accounts_enabled;
                client.settings = patched(&client.settings, &fields);
                if !had_account {
                    self.role_mappings.clear();
                }
            }
            change => change_scopes(client, change),
        }
    }
}

fn change_scopes(client: &mut ClientRepresentation, change: Change) {
    let default = client.default_client_scopes.get_or_insert_default();
    let optional = client.optional_client_scopes.get_or_insert_default();
    match change {
        // As Keycloak does: a scope that is in the one list is not put into the other.
        Change::AddDefaultScope { scope, .. } if !optional.contains(&scope) => {
            default.insert(scope);
        }
        Change::AddOptionalScope { scope, .. } if !default.contains(&scope.name) => {
            optional.insert(scope.name);
        }
        Change::RemoveDefaultScope { scope, .. } => {
            default.remove(&scope);
        }
        Change::RemoveOptionalScope { scope, .. } => {
            optional.remove(&scope);
        }
        change => panic!("not a change of a client's scopes, or one without effect: {change}"),
    }
}

impl Simulated for ObservedRealm {
    fn make(&mut self, change: Change) {
        match change {
            Change::CreateRealm { realm } => self.realm = Some(*realm),
            Change::UpdateRealm { fields, .. } => {
                let realm = self.realm.as_mut().expect("404: realm");
                *realm = patched(realm, &fields);
            }
            Change::DeleteRealm { .. } => *self = Self::default(),
            Change::CreateIdentityProvider { identity_provider } => self.identity_providers.push(identity_provider),
            Change::UpdateIdentityProvider { identity_provider, .. } => {
                let found = self.identity_providers.iter_mut().find(|found| found.alias == identity_provider.alias);
                *found.expect("404: identity provider") = identity_provider;
            }
            Change::DeleteIdentityProvider { alias } => self.identity_providers.retain(|found| found.alias != alias),
            change => panic!("not a change of a realm: {change}"),
        }
    }
}

fn replace_role(roles: &mut [RoleRepresentation], role: RoleRepresentation) {
    let found = roles.iter_mut().find(|found| found.name == role.name);
    *found.expect("404: role") = role;
}

/// What a PUT with the new values makes of an object: members are merged, lists replaced.
pub(super) fn patched<T: Serialize + DeserializeOwned>(object: &T, fields: &[FieldChange]) -> T {
    let mut value = serde_json::to_value(object).expect("an object");
    merge(&mut value, FieldChange::to_body(fields));
    serde_json::from_value(value).expect("the same type")
}

fn merge(target: &mut Value, patch: Value) {
    match patch {
        Value::Object(members) => {
            if !target.is_object() {
                *target = Value::Object(Map::new());
            }
            let target = target.as_object_mut().expect("made one above");
            members.into_iter().for_each(|(name, value)| merge(target.entry(name).or_insert(Value::Null), value));
        }
        value => *target = value,
    }
}
