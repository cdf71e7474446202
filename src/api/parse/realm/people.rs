//! Identity providers and users.

use std::collections::{BTreeMap, BTreeSet};

use super::{Secrets, check, entry, role_set, secret};
use crate::{
    api::{
        self, IdentityProvider, ProviderType, RealmSpec, SyncMode,
        parse::{Problems, invalid},
    },
    core::desired::objects::{Broker, BrokerMapper, DesiredObjects, GroupPath, SECRET_ENTRY, User},
};

/// Attributes that are fields of a user.
const USER_FIELDS: [&str; 4] = ["username", "email", "firstName", "lastName"];

pub fn providers(spec: &RealmSpec, issuer: Option<&str>, secrets: &Secrets, problems: &mut Problems) -> Vec<Broker> {
    let all = &spec.identity_providers;
    check::unique("spec.identityProviders", all.iter().map(|provider| provider.alias.as_str()), problems);
    for provider in all {
        check_provider(provider, issuer, problems);
    }
    all.iter().map(|provider| broker(provider, secrets)).collect()
}

fn check_provider(provider: &IdentityProvider, issuer: Option<&str>, problems: &mut Problems) {
    let field = entry("identityProviders", &provider.alias);
    check::name(&field, &provider.alias, problems);
    check::config(&format!("{field}.config"), &provider.config, Some((SECRET_ENTRY, "clientSecret")), problems);
    check::mappers(&format!("{field}.mappers"), &provider.mappers, problems);
    if issuer == Some(provider.alias.as_str()) {
        let message = "this is the alias of spec.workloadIssuer, which is no provider of people: choose another";
        problems.push(invalid(&field, message));
    }
    let kind = provider.provider_type;
    let is_known = matches!(kind, ProviderType::Google | ProviderType::GitHub | ProviderType::Microsoft);
    if is_known && provider.discovery.is_some() {
        problems.push(invalid(&format!("{field}.discovery"), "Keycloak knows this kind of provider: remove the URL"));
    }
    let has_client = provider.client_id.is_some() || provider.config.contains_key("clientId");
    if kind != ProviderType::Saml && !has_client {
        problems.push(invalid(&format!("{field}.clientId"), "name our client id there: no login works without"));
    }
}

fn broker(provider: &IdentityProvider, secrets: &Secrets) -> Broker {
    let sync_mode = provider.sync_mode.map(|mode| match mode {
        SyncMode::Import => "IMPORT".to_owned(),
        SyncMode::Force => "FORCE".to_owned(),
    });
    let mut config = BTreeMap::new();
    config.extend(provider.client_id.clone().map(|id| ("clientId".to_owned(), id)));
    config.extend(sync_mode.map(|mode| ("syncMode".to_owned(), mode)));
    config.extend(provider.config.clone());
    Broker {
        alias: provider.alias.clone(),
        provider_id: provider_id(provider.provider_type).to_owned(),
        display_name: provider.display_name.clone().unwrap_or_default(),
        enabled: provider.enabled,
        hidden: provider.hidden,
        trust_email: provider.trust_email,
        store_token: provider.store_token,
        link_only: provider.link_only,
        first_login_flow: provider.first_login_flow.clone().unwrap_or_default(),
        post_login_flow: provider.post_login_flow.clone().unwrap_or_default(),
        config,
        discovery: provider.discovery.clone(),
        secret: secret(provider.client_secret.as_ref(), secrets),
        mappers: provider.mappers.iter().map(broker_mapper).collect(),
    }
}

fn broker_mapper(mapper: &api::Mapper) -> BrokerMapper {
    let mut config = mapper.config.clone();
    // The console always writes it; without, what happens depends on the mapper's type.
    config.entry("syncMode".to_owned()).or_insert_with(|| "INHERIT".to_owned());
    BrokerMapper { name: mapper.name.clone(), mapper_type: mapper.mapper_type.clone(), config }
}

fn provider_id(kind: ProviderType) -> &'static str {
    match kind {
        ProviderType::Oidc => "oidc",
        ProviderType::Saml => "saml",
        ProviderType::Keycloak => "keycloak-oidc",
        ProviderType::Google => "google",
        ProviderType::GitHub => "github",
        ProviderType::Microsoft => "microsoft",
    }
}

pub fn users(spec: &RealmSpec, desired: &DesiredObjects, secrets: &Secrets, problems: &mut Problems) -> Vec<User> {
    check::unique("spec.users", spec.users.iter().map(|user| user.username.as_str()), problems);
    spec.users.iter().map(|user| parse_user(user, desired, secrets, problems)).collect()
}

fn parse_user(user: &api::User, desired: &DesiredObjects, secrets: &Secrets, problems: &mut Problems) -> User {
    check_user(user, problems);
    User {
        username: user.username.clone(),
        email: user.email.clone(),
        email_verified: user.email_verified,
        first_name: user.first_name.clone(),
        last_name: user.last_name.clone(),
        enabled: user.enabled,
        password: secret(user.password.as_ref(), secrets),
        attributes: user.attributes.clone(),
        groups: groups_of(user, desired, problems),
        roles: role_set(&user.realm_roles, &user.client_roles),
    }
}

fn check_user(user: &api::User, problems: &mut Problems) {
    let field = entry("users", &user.username);
    check::name(&field, &user.username, problems);
    check::attributes(&format!("{field}.attributes"), &user.attributes, problems);
    check::client_roles(&format!("{field}.clientRoles"), &user.client_roles, problems);
    if user.username != user.username.to_lowercase() {
        problems.push(invalid(&field, "Keycloak keeps names in lower case: write it so"));
    }
    for name in USER_FIELDS.into_iter().filter(|name| user.attributes.contains_key(*name)) {
        problems.push(invalid(&format!("{field}.attributes"), format!("{name} is a field of the user, no attribute")));
    }
}

fn groups_of(user: &api::User, desired: &DesiredObjects, problems: &mut Problems) -> BTreeSet<GroupPath> {
    let field = format!("{}.groups", entry("users", &user.username));
    let mut groups = BTreeSet::new();
    for path in &user.groups {
        match GroupPath::parse(path).filter(|path| desired.groups.iter().any(|group| group.path == *path)) {
            Some(path) => drop(groups.insert(path)),
            None => problems.push(invalid(&field, format!("{path} is not in spec.groups: list it there, too"))),
        }
    }
    groups
}
