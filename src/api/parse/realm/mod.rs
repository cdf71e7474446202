//! Realm → [`DesiredObjects`]: what is to be in the realm, but for its settings.

mod check;
mod external;
mod grantable;
mod groups;
mod ldap;
mod people;
mod roles;
mod scopes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::Problems;
use crate::{
    api::{ClientRole, Management, Realm, SecretKeyRef},
    core::desired::{
        Owner,
        objects::{DesiredObjects, RoleSet, Secret},
    },
};

/// The Secrets that a Realm names, as they were read.
pub type Secrets = BTreeMap<SecretKeyRef, Secret>;

impl Realm {
    /// The values in Secrets that the objects of this Realm need, each with the field that names it.
    pub fn secrets_of_objects(&self) -> Vec<(String, &SecretKeyRef)> {
        let spec = &self.spec;
        let providers = spec.identity_providers.iter().filter_map(|provider| {
            let field = format!("spec.identityProviders[{}].clientSecret", provider.alias);
            provider.client_secret.as_ref().map(|secret| (field, secret))
        });
        let servers = spec.user_federation.iter().filter_map(|server| {
            let field = format!("spec.userFederation[{}].bind.password", server.name);
            server.bind.as_ref().map(|bind| (field, &bind.password))
        });
        let users = spec.users.iter().filter_map(|user| {
            let field = format!("spec.users[{}].password", user.username);
            user.password.as_ref().map(|secret| (field, secret))
        });
        providers.chain(servers).chain(users).collect()
    }

    /// What is to be in the realm. `issuer_alias` is the identity provider that holds this cluster's keys.
    ///
    /// # Errors
    /// What is wrong with the lists; nothing is written then, and nothing deleted.
    pub fn parse_objects(
        &self,
        owner: Owner,
        issuer_alias: Option<&str>,
        secrets: &Secrets,
    ) -> Result<DesiredObjects, Problems> {
        let mut desired = DesiredObjects::none(&self.spec.realm, owner);
        let mut problems = Problems::new();
        let is_full = self.spec.management == Management::Full;
        desired.adopt = self.spec.adopt;
        self.check_external_audiences(&mut problems);
        self.check_grantable_roles(&mut problems);
        desired.roles = roles::parse(&self.spec, is_full, &mut problems);
        desired.groups = groups::parse(&self.spec, is_full, &mut problems);
        desired.client_scopes = scopes::parse(&self.spec, is_full, &desired, &mut problems);
        desired.identity_providers = people::providers(&self.spec, issuer_alias, secrets, &mut problems);
        desired.user_federation = ldap::servers(&self.spec, &desired, secrets, &mut problems);
        desired.users = people::users(&self.spec, &desired, secrets, &mut problems);
        if problems.is_empty() { Ok(desired) } else { Err(problems) }
    }
}

fn role_set(realm: &[String], clients: &[ClientRole]) -> RoleSet {
    let mut set = RoleSet::of_realm(realm.iter().map(String::as_str));
    for ClientRole { client, role } in clients {
        set.clients.entry(client.clone()).or_default().insert(role.clone());
    }
    set
}

fn secret(reference: Option<&SecretKeyRef>, secrets: &Secrets) -> Secret {
    let Some(reference) = reference else { return Secret::Absent };
    let unread = || Secret::Unreadable("its Secret was not read yet".to_owned());
    secrets.get(reference).cloned().unwrap_or_else(unread)
}

/// An entry of a list, by the name that it has there.
fn entry(list: &str, name: &str) -> String {
    format!("spec.{list}[{}]", name.chars().take(64).collect::<String>())
}
