//! A workload in Keycloak: a client with a service account, bound to a Kubernetes ServiceAccount.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::endpoint::text_map;
use super::owner::{MANAGED_ATTRIBUTE, OWNER_ATTRIBUTE, Owner};
use super::reference::{ClientRef, ScopeRef};
use super::representation::{ClientMapper, ClientRepresentation, ClientSettings};
use super::sealed::Sealed;
use crate::core::{claims::ClaimValue, credential::Jwk};

/// The built-in scopes that every workload's token carries: `sub`, and the roles in `resource_access`.
pub const DEFAULT_SCOPES: [&str; 2] = ["basic", "roles"];

/// The attribute that tells which roles of clients that are not ours we gave: nobody else's are ever taken away.
const ROLES_ATTRIBUTE: &str = "keywire.dev/roles";

/// The attribute that lets a client exchange tokens (RFC 8693).
const EXCHANGE_ATTRIBUTE: &str = "standard.token.exchange.enabled";

/// What one workload identity is in Keycloak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredWorkload {
    /// Internal id, from [`object_id`](super::object_id).
    pub id: Uuid,
    /// The OAuth client id. At most 255 characters.
    pub client_id: String,
    /// Shown to people in Keycloak's console.
    pub display_name: String,
    /// The object that it is made from.
    pub owner: Owner,
    /// False for a suspended identity: Keycloak then issues no token.
    pub enabled: bool,
    /// How the workload proves who it is.
    pub credential: Credential,
    /// The scopes that it may ask for: those of its targets.
    pub optional_scopes: BTreeSet<ScopeRef>,
    /// What its tokens say of it besides, by name.
    pub claims: Vec<(String, ClaimValue)>,
    /// Whether it may exchange its callers' tokens for such with which it calls on their behalf.
    pub acts_on_behalf: bool,
    /// Client id of an endpoint → the permissions (client roles) that its service account holds there.
    pub grants: BTreeMap<String, BTreeSet<String>>,
    /// Client id of a client that is not ours → the roles that its service account holds there.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Whether a client of the same client id that is not ours is taken over instead of being a conflict.
    pub adopt: bool,
    /// The other client of one that logs in with secrets.
    pub second: SecondClient,
}

/// What becomes of the client with which a workload that logs in with secrets takes turns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub enum SecondClient {
    /// There never was one.
    #[default]
    Never,
    /// There may be one, and it is to go.
    Gone {
        /// Its internal id.
        id: Uuid,
        /// Its client id.
        client_id: String,
    },
    /// There is one: it may do what the first may.
    Kept(Box<DesiredWorkload>),
}

impl SecondClient {
    /// Where to look for it.
    #[must_use]
    pub fn place(&self) -> Option<(Uuid, &str)> {
        match self {
            Self::Never => None,
            Self::Gone { id, client_id } => Some((*id, client_id)),
            Self::Kept(desired) => Some((desired.id, &desired.client_id)),
        }
    }

    /// It, where it is to be there.
    #[must_use]
    pub fn kept(&self) -> Option<&DesiredWorkload> {
        match self {
            Self::Kept(desired) => Some(desired),
            Self::Never | Self::Gone { .. } => None,
        }
    }
}

/// How a workload authenticates at Keycloak.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Credential {
    /// A Kubernetes ServiceAccount token as client assertion (RFC 7523, section 2.2). No secret anywhere.
    Federated {
        /// The alias of the identity provider that holds the cluster's keys. Keycloak does not check that it exists.
        issuer_alias: String,
        /// `system:serviceaccount:NAMESPACE:NAME`. Keycloak does not check that it is used once.
        subject: String,
    },
    /// Assertions that it signs itself, by any of these keys.
    PrivateKeyJwt {
        /// Public halves.
        keys: Vec<Jwk>,
    },
    /// A secret.
    ClientSecret {
        /// `None`: whatever Keycloak has; nobody knows it any more.
        secret: Option<Sealed>,
    },
}

impl Credential {
    pub(super) fn authenticator(&self) -> &'static str {
        match self {
            Self::Federated { .. } => "federated-jwt",
            Self::PrivateKeyJwt { .. } => "client-jwt",
            Self::ClientSecret { .. } => "client-secret",
        }
    }

    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        match self {
            Self::Federated { issuer_alias, subject } => bound_to(issuer_alias, subject),
            Self::PrivateKeyJwt { keys } => {
                let mut attributes = bound_to("", "");
                let (set, algorithm) = (Jwk::set(keys).to_string(), "ES256");
                attributes.extend(text_map([
                    ("use.jwks.string", "true"),
                    ("jwks.string", &set),
                    ("use.jwks.url", ""),
                    ("token.endpoint.auth.signing.alg", algorithm),
                ]));
                attributes
            }
            Self::ClientSecret { .. } => bound_to("", ""),
        }
    }

    /// The secret that Keycloak is to have.
    #[must_use]
    pub fn secret(&self) -> Option<&Sealed> {
        match self {
            Self::ClientSecret { secret } => secret.as_ref(),
            Self::Federated { .. } | Self::PrivateKeyJwt { .. } => None,
        }
    }
}

/// The value of the attribute; empty, and so absent, for none.
fn roles_attribute(roles: &BTreeMap<String, BTreeSet<String>>) -> String {
    if roles.is_empty() { String::new() } else { json!(roles).to_string() }
}

/// The roles of clients that are not ours which were given to a client's service account by us, by client id.
#[must_use]
pub fn roles_given(settings: &ClientSettings) -> BTreeMap<String, BTreeSet<String>> {
    let text = settings.attributes.get(ROLES_ATTRIBUTE).map_or("", String::as_str);
    serde_json::from_str(text).unwrap_or_default()
}

/// The attributes that bind a client to a subject of an issuer. Empty ones bind it to none.
pub(super) fn bound_to(issuer_alias: &str, subject: &str) -> BTreeMap<String, String> {
    text_map([("jwt.credential.issuer", issuer_alias), ("jwt.credential.sub", subject)])
}

impl DesiredWorkload {
    /// How changes refer to the client when it is created by us.
    #[must_use]
    pub fn reference(&self) -> ClientRef {
        ClientRef::new(self.id, &self.client_id)
    }

    /// The client as Keycloak is to create it. Keycloak drops scopes that do not exist without a word.
    #[must_use]
    pub fn client(&self) -> ClientRepresentation {
        ClientRepresentation {
            id: Some(self.id.to_string()),
            settings: self.settings(),
            secret: None,
            default_client_scopes: Some(DEFAULT_SCOPES.iter().map(ToString::to_string).collect()),
            optional_client_scopes: Some(self.optional_scopes.iter().map(|scope| scope.name.clone()).collect()),
        }
    }

    /// The client's fields that are ours.
    #[must_use]
    pub fn settings(&self) -> ClientSettings {
        let mut attributes = self.credential.attributes();
        attributes.insert(OWNER_ATTRIBUTE.to_owned(), self.owner.to_attribute());
        attributes.insert(MANAGED_ATTRIBUTE.to_owned(), "true".to_owned());
        // Empty is absent: nobody else switches it on.
        let exchanges = if self.acts_on_behalf { "true" } else { "" };
        attributes.insert(EXCHANGE_ATTRIBUTE.to_owned(), exchanges.to_owned());
        attributes.insert(ROLES_ATTRIBUTE.to_owned(), roles_attribute(&self.roles));
        ClientSettings {
            enabled: self.enabled,
            service_accounts_enabled: true,
            client_authenticator_type: self.credential.authenticator().to_owned(),
            attributes,
            protocol_mappers: self.mappers().collect(),
            ..ClientSettings::closed(&self.client_id, &self.display_name)
        }
    }
    fn mappers(&self) -> impl Iterator<Item = ClientMapper> {
        let of_claims = self.claims.iter().map(|(name, value)| ClientMapper::of_claim(name, value));
        of_claims.chain(self.acts_on_behalf.then(ClientMapper::on_behalf).into_iter().flatten())
    }
}
