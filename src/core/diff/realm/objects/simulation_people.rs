//! The sections about people in memory: identity providers, user federation, users.

use std::collections::BTreeMap;

use crate::core::desired::objects::{RoleHolder, SECRET_ENTRY, digest, password_entry};
use crate::core::desired::representation::{MASKED, USER_STORAGE};
use crate::core::diff::FieldChange;
use crate::core::diff::object_change::ObjectChange;

use super::observed::*;
use super::simulation::{Section, give, group, take};

impl Section for ObservedBrokers {
    fn make(&mut self, change: ObjectChange) {
        match change {
            ObjectChange::CreateBroker { mut provider, secret } => {
                assert!(self.providers.iter().all(|found| found.provider.alias != provider.alias), "409: alias");
                provider.config.extend(secret.map(|_| (SECRET_ENTRY.to_owned(), MASKED.to_owned())));
                self.providers.push(ObservedBroker { provider: *provider, mappers: Vec::new() });
            }
            ObjectChange::UpdateBroker { provider, secret, .. } => {
                let found = self.broker(&provider.alias);
                let keeps = found.provider.config.contains_key(SECRET_ENTRY);
                assert!(keeps || secret.is_some() || !provider.config.contains_key(SECRET_ENTRY), "asterisks stored");
                found.provider = *provider;
            }
            ObjectChange::DeleteBroker { alias } => self.providers.retain(|found| found.provider.alias != alias),
            ObjectChange::CreateBrokerMapper { mapper } => {
                let mappers = &mut self.broker(&mapper.identity_provider_alias).mappers;
                assert!(mappers.iter().all(|found| found.name != mapper.name), "400: mapper exists");
                mappers.push(mapper);
            }
            ObjectChange::UpdateBrokerMapper { mapper, .. } => {
                let broker = self.broker(&mapper.identity_provider_alias);
                let found = broker.mappers.iter_mut().find(|found| found.name == mapper.name);
                *found.expect("404: mapper") = mapper;
            }
            ObjectChange::DeleteBrokerMapper { mapper } => {
                let mappers = &mut self.broker(&mapper.identity_provider_alias).mappers;
                mappers.retain(|found| found.name != mapper.name);
            }
            change => panic!("not a change of identity providers: {change}"),
        }
    }
}

impl ObservedBrokers {
    fn broker(&mut self, alias: &str) -> &mut ObservedBroker {
        self.providers.iter_mut().find(|found| found.provider.alias == alias).expect("404: provider")
    }
}

impl Section for ObservedFederation {
    fn make(&mut self, change: ObjectChange) {
        match change {
            ObjectChange::CreateComponent { component, secret } if component.provider_type == USER_STORAGE => {
                let mut component = *component;
                assert!(self.servers.iter().all(|found| found.component.id != component.id), "409: id");
                component.config.extend(secret.map(|_| ("bindCredential".to_owned(), vec![MASKED.to_owned()])));
                component.config.insert("krbPrincipalAttribute".into(), vec!["theirs".into()]);
                component.parent_id = Some("realm".into());
                self.servers.push(ObservedLdap { component, mappers: Vec::new() });
            }
            ObjectChange::CreateComponent { component, .. } => {
                self.server(&component.parent_id).mappers.push(*component)
            }
            ObjectChange::UpdateComponent { component, fields, secret } => {
                let found = match component.provider_type.as_str() {
                    USER_STORAGE => self.server(&component.id).component_mut(),
                    _ => self.server(&component.parent_id).mapper_mut(component.id()),
                };
                found.sub_type = component.sub_type.clone();
                merge(&mut found.config, component.config, &fields);
                found.config.extend(secret.map(|_| ("bindCredential".to_owned(), vec![MASKED.to_owned()])));
            }
            ObjectChange::DeleteComponent { component } => {
                self.servers.retain(|found| found.component.id != component.id);
                self.servers.iter_mut().for_each(|server| server.mappers.retain(|found| found.id != component.id));
            }
            change => panic!("not a change of user federation: {change}"),
        }
    }
}

impl ObservedFederation {
    fn server(&mut self, id: &Option<String>) -> &mut ObservedLdap {
        self.servers.iter_mut().find(|found| &found.component.id == id).expect("404: server")
    }
}

impl ObservedLdap {
    fn component_mut(&mut self) -> &mut crate::core::desired::representation::ComponentRepresentation {
        &mut self.component
    }

    fn mapper_mut(&mut self, id: &str) -> &mut crate::core::desired::representation::ComponentRepresentation {
        self.mappers.iter_mut().find(|found| found.id() == id).expect("404: mapper")
    }
}

/// As a PUT does: what is left out stays, an empty list removes.
fn merge(config: &mut BTreeMap<String, Vec<String>>, new: BTreeMap<String, Vec<String>>, fields: &[FieldChange]) {
    assert!(!fields.is_empty(), "a PUT for nothing");
    config.extend(new);
    config.retain(|_, values| !values.is_empty());
}

impl Section for ObservedUsers {
    fn make(&mut self, change: ObjectChange) {
        match change {
            ObjectChange::CreateGroup { path, attributes } => {
                assert!(self.ledger.replace(group(&path, attributes)).is_none(), "409: ledger");
            }
            ObjectChange::UpdateGroup { attributes, .. } => {
                self.ledger.as_mut().expect("404: ledger").attributes = attributes;
            }
            ObjectChange::DeleteGroup { .. } => {
                assert!(self.ledger.take().is_some() && self.in_ledger.is_empty(), "users would be lost sight of");
            }
            ObjectChange::CreateUser { user, .. } => {
                assert!(self.ledger.is_some() && self.user(&user.username).is_none(), "409: user, or no ledger");
                let mut user = *user;
                user.id = Some(format!("id of {}", user.username));
                self.in_ledger.insert(user.id().to_owned());
                self.users.push(ObservedUser { user, ..ObservedUser::default() });
            }
            ObjectChange::DeleteUser { user } => {
                self.users.retain(|found| found.user.id != user.id);
                self.in_ledger.remove(user.id());
            }
            change => self.change_user(change),
        }
    }
}

impl ObservedUsers {
    fn user(&mut self, username: &str) -> Option<&mut ObservedUser> {
        self.users.iter_mut().find(|found| found.user.username == username)
    }

    fn change_user(&mut self, change: ObjectChange) {
        match change {
            ObjectChange::UpdateUser { user, .. } => {
                let found = self.user(&user.username).expect("404: user");
                found.user = *user;
            }
            ObjectChange::SetPassword { username, password, .. } => {
                assert!(self.user(&username).is_some(), "404: user");
                let ledger = self.ledger.as_mut().expect("404: ledger");
                ledger.attributes.insert(password_entry(&username), vec![digest(&password.version)]);
            }
            ObjectChange::JoinGroup { username, path } => {
                let ledger = self.ledger.as_ref().map(|ledger| ledger.name.clone());
                let user = self.user(&username).expect("404: user");
                if Some(path.to_string()) == ledger.map(|name| format!("/{name}")) {
                    let id = user.user.id().to_owned();
                    self.in_ledger.insert(id);
                } else {
                    user.groups.insert(path);
                }
            }
            ObjectChange::LeaveGroup { username, path } => {
                assert!(self.user(&username).expect("404: user").groups.remove(&path), "404: membership");
            }
            ObjectChange::AddRoles { holder: RoleHolder::User(name), roles } => {
                give(&mut self.user(&name).expect("404: user").grants, roles);
            }
            ObjectChange::RemoveRoles { holder: RoleHolder::User(name), roles } => {
                take(&mut self.user(&name).expect("404: user").grants, &roles);
            }
            change => panic!("not a change of users: {change}"),
        }
    }
}
