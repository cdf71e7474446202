//! A server in Keycloak: a client that only receives tokens, a role and a scope for each permission. People sign in with
//! that of a WebApp.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use uuid::Uuid;

use super::browser::{Browser, PEOPLES_SCOPES};
use super::owner::{MANAGED_ATTRIBUTE, OWNER_ATTRIBUTE, Owner};
use super::reference::{ClientRef, ScopeRef};
use super::representation::{
    ClientRepresentation, ClientScopeRepresentation, ClientScopeSettings, ClientSettings, ProtocolMapperRepresentation,
    RoleRepresentation, audience_config,
};
use super::workload::{Credential, bound_to};
use super::{mapper_id, permission_scope_id};
use crate::core::person::Person;

/// The ending of the client id of every endpoint that has no URL of its own, and of its scopes' names before the colon.
const ENDPOINT_SUFFIX: &str = ".endpoint";
/// The name of the mapper that every permission's scope has.
const AUDIENCE_MAPPER: &str = "audience";
/// The name of the mapper in the scopes of an endpoint that calls on behalf of its callers.
const CALLER_MAPPER: &str = "on-behalf-of";

/// Where the role of a grant tells which other roles include it: [`Person::as_role`].
pub const REALM_ROLES_ATTRIBUTE: &str = "keywire.realm-roles";
/// Stands first in that attribute, for Keycloak drops empty ones. No realm role that a grant names is called so.
pub const NO_REALM_ROLE: &str = "-";

/// What one model endpoint is in Keycloak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredEndpoint {
    /// Internal id, from [`object_id`](super::object_id).
    pub id: Uuid,
    /// The OAuth client id, which is also the audience of every token for this endpoint. At most 255 characters.
    pub client_id: String,
    /// Shown to people in Keycloak's console.
    pub display_name: String,
    /// The object that it is made from.
    pub owner: Owner,
    /// One client role per permission, and one per grant to people.
    pub roles: Vec<ClientRole>,
    /// One client scope per permission.
    pub scopes: Vec<PermissionScope>,
    /// How its guards log in to ask of tokens; `None`: nobody logs in as it.
    pub login: Option<Credential>,
    /// Who of the realm holds which of the roles.
    pub people: Vec<PersonRoles>,
    /// How people sign in with it; `None`: nobody does.
    pub browser: Option<Browser>,
    /// Whether a client or scope of the same name that is not ours is taken over instead of being a conflict.
    pub adopt: bool,
}

/// What people hold of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PersonRoles {
    /// Who.
    pub person: Person,
    /// Names of client roles.
    pub roles: BTreeSet<String>,
}

/// A client role: one permission of an endpoint, or the people of one grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientRole {
    /// The permission, such as `predict`. At most 255 characters.
    pub name: String,
    /// One sentence for people, possibly empty. At most 255 characters.
    pub description: String,
    /// Of the role of a grant: the roles that include it, of the realm and of others' clients, kept in an attribute, because
    /// Keycloak tells of a role what it includes and not what includes it.
    pub included_by: Option<BTreeSet<Person>>,
}

/// The client scope by which a caller asks for one permission of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PermissionScope {
    /// Internal id, from [`permission_scope_id`].
    pub id: Uuid,
    /// The name in a token's `scope`, such as `resnet.vision.endpoint:predict`.
    pub name: String,
    /// The endpoint's client role that the caller must hold, else the scope has no effect.
    pub role: String,
    /// The audience that the scope adds: the endpoint's client id.
    pub audience: String,
    /// The client that may exchange its tokens for others (RFC 8693), which Keycloak lets only an audience do: that of the
    /// identity with which the endpoint calls on behalf of its callers. It serves nobody, so a token is still good at one place.
    pub exchanged_by: Option<String>,
    /// The roles of the grants of this permission to people, so that a token tells of them. None of them includes another role:
    /// the scope stays as narrow as it is.
    pub grant_roles: BTreeSet<String>,
}

impl PermissionScope {
    /// The scope of `permission` of the endpoint with this id and client id; `prefix` is the part before the colon.
    #[must_use]
    pub fn new(endpoint: Uuid, client_id: &str, prefix: &str, permission: &str) -> Self {
        Self {
            id: permission_scope_id(endpoint, permission),
            name: format!("{prefix}:{permission}"),
            role: permission.to_owned(),
            audience: client_id.to_owned(),
            exchanged_by: None,
            grant_roles: BTreeSet::new(),
        }
    }

    /// The same, its tokens open to be exchanged by this client.
    #[must_use]
    pub fn exchanged_by(self, client_id: Option<String>) -> Self {
        Self { exchanged_by: client_id, ..self }
    }

    /// The names of the roles that a token for this scope can carry.
    #[must_use]
    pub fn mapped_roles(&self) -> BTreeSet<String> {
        self.grant_roles.iter().chain([&self.role]).cloned().collect()
    }

    /// How a workload refers to this scope.
    #[must_use]
    pub fn reference(&self) -> ScopeRef {
        ScopeRef::new(self.id, &self.name)
    }

    /// The scope as Keycloak is to create it.
    #[must_use]
    pub fn representation(&self, owner: &Owner) -> ClientScopeRepresentation {
        ClientScopeRepresentation {
            id: Some(self.id.to_string()),
            settings: ClientScopeSettings {
                name: self.name.clone(),
                description: None,
                protocol: "openid-connect".into(),
                attributes: text_map([
                    ("include.in.token.scope", "true"),
                    ("display.on.consent.screen", "false"),
                    (OWNER_ATTRIBUTE, owner.to_attribute().as_str()),
                ]),
            },
            protocol_mappers: self.audience_mappers(),
        }
    }

    fn audience_mappers(&self) -> Vec<ProtocolMapperRepresentation> {
        let of_endpoint = self.audience_mapper(AUDIENCE_MAPPER, &self.audience);
        let of_caller = self.exchanged_by.as_ref().map(|client| self.audience_mapper(CALLER_MAPPER, client));
        [of_endpoint].into_iter().chain(of_caller).collect()
    }

    fn audience_mapper(&self, name: &str, client: &str) -> ProtocolMapperRepresentation {
        ProtocolMapperRepresentation {
            id: Some(mapper_id(self.id, name).to_string()),
            name: name.into(),
            protocol: "openid-connect".into(),
            protocol_mapper: "oidc-audience-mapper".into(),
            config: audience_config(client),
        }
    }
}

impl DesiredEndpoint {
    /// How changes refer to the client when it is created by us.
    #[must_use]
    pub fn reference(&self) -> ClientRef {
        ClientRef::new(self.id, &self.client_id)
    }

    /// The client as Keycloak is to create it: no flow, so that a login is good for introspection and nothing else.
    #[must_use]
    pub fn client(&self) -> ClientRepresentation {
        ClientRepresentation {
            id: Some(self.id.to_string()),
            settings: self.settings(),
            secret: None,
            default_client_scopes: Some(self.default_scopes()),
            optional_client_scopes: Some(Default::default()),
        }
    }

    /// Keycloak drops scopes that do not exist without a word.
    fn default_scopes(&self) -> BTreeSet<String> {
        let scopes = self.browser.iter().flat_map(|_| PEOPLES_SCOPES);
        scopes.map(ToString::to_string).collect()
    }

    /// The client's fields that are ours.
    #[must_use]
    pub fn settings(&self) -> ClientSettings {
        let mut attributes = self.login.as_ref().map_or_else(|| bound_to("", ""), Credential::attributes);
        attributes.insert(OWNER_ATTRIBUTE.to_owned(), self.owner.to_attribute());
        attributes.insert(MANAGED_ATTRIBUTE.to_owned(), "true".to_owned());
        let closed = ClientSettings::closed(&self.client_id, &self.display_name);
        let authenticator =
            self.login.as_ref().map_or(closed.client_authenticator_type, |login| login.authenticator().to_owned());
        let closed = ClientSettings { client_authenticator_type: authenticator, ..closed };
        let Some(browser) = &self.browser else { return ClientSettings { attributes, ..closed } };
        attributes.extend(browser.attributes());
        ClientSettings {
            attributes,
            standard_flow_enabled: true,
            public_client: browser.is_public,
            redirect_uris: browser.redirect_uris.clone(),
            web_origins: browser.web_origins.clone(),
            protocol_mappers: browser.mappers(&self.client_id),
            ..closed
        }
    }

    /// One of the endpoint's roles as Keycloak is to hold it.
    #[must_use]
    pub fn role(&self, role: &ClientRole) -> RoleRepresentation {
        let mut owned = RoleRepresentation::owned(&role.name, &role.description, &self.owner);
        if let Some(roles) = &role.included_by {
            let names = [NO_REALM_ROLE.to_owned()].into_iter().chain(roles.iter().filter_map(Person::as_role));
            owned.attributes.insert(REALM_ROLES_ATTRIBUTE.to_owned(), names.collect());
        }
        owned
    }
}

/// The roles that include this role of a grant, as it tells itself.
#[must_use]
pub fn including_roles(role: &RoleRepresentation) -> BTreeSet<Person> {
    let names = role.attributes.get(REALM_ROLES_ATTRIBUTE).into_iter().flatten();
    names.filter(|name| *name != NO_REALM_ROLE).map(|name| Person::of_role(name)).collect()
}

/// Whether a client with this id is an endpoint by its name alone.
#[must_use]
pub fn is_endpoint_client_id(client_id: &str) -> bool {
    client_id.ends_with(ENDPOINT_SUFFIX)
}

/// Whether a client scope of this name is a permission of an endpoint.
#[must_use]
pub fn is_permission_scope_name(name: &str) -> bool {
    name.rsplit_once(':').is_some_and(|(prefix, _)| is_endpoint_client_id(prefix))
}

pub(super) fn text_map<'a>(entries: impl IntoIterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
