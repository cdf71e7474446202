//! `ClientRepresentation`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::core::{
    claims::{ClaimValue, OWN_CLAIM, USER_CLAIM},
    credential::Hidden,
    desired::{ClientRef, OWNER_ATTRIBUTE, Owner},
};

/// A client as it is created and read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientRepresentation {
    /// Internal id, at most 36 characters; Keycloak takes ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The fields that a PUT changes.
    #[serde(flatten)]
    pub settings: ClientSettings,
    /// The secret, as Keycloak shows it to whoever may manage clients. Read; never written with the rest.
    #[serde(default, skip_serializing)]
    pub secret: Option<Hidden>,
    /// Names of the scopes in every token. Read, and written at creation; a PUT ignores them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_client_scopes: Option<BTreeSet<String>>,
    /// Names of the scopes that can be asked for. Read, and written at creation; a PUT ignores them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional_client_scopes: Option<BTreeSet<String>>,
}

/// The fields of a client that Keywire decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientSettings {
    /// The OAuth `client_id`.
    pub client_id: String,
    /// The display name.
    pub name: String,
    /// Always `openid-connect`.
    pub protocol: String,
    /// Whether the client can be used at all.
    pub enabled: bool,
    /// Whether the client needs no authentication.
    pub public_client: bool,
    /// Keycloak's old kind of client that can only verify tokens.
    pub bearer_only: bool,
    /// The authorization code flow.
    pub standard_flow_enabled: bool,
    /// The implicit flow.
    pub implicit_flow_enabled: bool,
    /// The password grant.
    pub direct_access_grants_enabled: bool,
    /// The client credentials grant, and with it the service account user.
    pub service_accounts_enabled: bool,
    /// Whether every role of the account is put into every token.
    pub full_scope_allowed: bool,
    /// How the client authenticates, such as `federated-jwt`.
    pub client_authenticator_type: String,
    /// Where browsers may be sent back to.
    pub redirect_uris: BTreeSet<String>,
    /// Which origins browsers may call from.
    pub web_origins: BTreeSet<String>,
    /// Free attributes; a PUT merges them, and an empty value removes one.
    pub attributes: BTreeMap<String, String>,
    /// What its tokens get besides what scopes give; a PUT replaces all of them.
    pub protocol_mappers: BTreeSet<ClientMapper>,
}

/// A protocol mapper of a client's own, told from others by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClientMapper {
    /// Unique within the client.
    pub name: String,
    /// Always `openid-connect`.
    pub protocol: String,
    /// The kind, such as `oidc-hardcoded-claim-mapper`.
    pub protocol_mapper: String,
    /// Its settings.
    pub config: BTreeMap<String, String>,
}

impl ClientMapper {
    /// One that puts a claim into every access token, and nowhere else.
    #[must_use]
    pub fn of_claim(name: &str, value: &ClaimValue) -> Self {
        let (kind, text) = match value {
            ClaimValue::Text(text) => ("String", text.clone()),
            // A list of texts always has a JSON form.
            ClaimValue::List(texts) => ("JSON", serde_json::to_string(texts).unwrap_or_default()),
        };
        let settings = [("claim.value", text.as_str()), ("access.tokenResponse.claim", "false")];
        Self::of("oidc-hardcoded-claim-mapper", name, kind, &settings)
    }

    /// Those by which a client's own tokens are told from such that it got in exchange for others': who logged in as this
    /// client, and whom the token stands for.
    #[must_use]
    pub fn on_behalf() -> [Self; 2] {
        let note = [("user.session.note", "client_id"), ("lightweight.claim", "true")];
        let user = [("user.attribute", "username"), ("lightweight.claim", "true")];
        [
            Self::of("oidc-usersessionmodel-note-mapper", OWN_CLAIM, "String", &note),
            Self::of("oidc-usermodel-property-mapper", USER_CLAIM, "String", &user),
        ]
    }

    /// One by which every access token of the client is for this audience.
    #[must_use]
    pub fn of_audience(client_id: &str) -> Self {
        Self {
            name: "keywire audience".into(),
            protocol: "openid-connect".into(),
            protocol_mapper: "oidc-audience-mapper".into(),
            config: audience_config(client_id),
        }
    }

    /// One that puts the roles that somebody has of this client into a claim of all its tokens, and of what it is told of people:
    /// applications look here or there.
    #[must_use]
    pub fn of_roles(client_id: &str, claim: &str) -> Self {
        let everywhere = [
            ("usermodel.clientRoleMapping.clientId", client_id),
            ("multivalued", "true"),
            ("id.token.claim", "true"),
            ("userinfo.token.claim", "true"),
        ];
        Self::of("oidc-usermodel-client-role-mapper", claim, "String", &everywhere)
    }

    fn of(mapper: &str, claim: &str, kind: &str, settings: &[(&str, &str)]) -> Self {
        let common = [
            ("claim.name", claim),
            ("jsonType.label", kind),
            ("access.token.claim", "true"),
            ("introspection.token.claim", "true"),
            ("id.token.claim", "false"),
            ("userinfo.token.claim", "false"),
        ];
        let config = common.iter().chain(settings).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Self {
            name: format!("keywire claim {claim}"),
            protocol: "openid-connect".into(),
            protocol_mapper: mapper.into(),
            config: config.collect(),
        }
    }
}

/// The settings of an `oidc-audience-mapper` by which access tokens are for this client, of whatever it is a part.
pub(in crate::core::desired) fn audience_config(client_id: &str) -> BTreeMap<String, String> {
    let config = [
        ("included.client.audience", client_id),
        ("access.token.claim", "true"),
        ("id.token.claim", "false"),
        ("introspection.token.claim", "true"),
        ("userinfo.token.claim", "false"),
        // A lightweight token without its audience would be refused by the guard.
        ("lightweight.claim", "true"),
    ];
    config.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

impl ClientSettings {
    /// A confidential client that can do nothing: no flow, no login, no scope. The start of every client we make.
    ///
    /// `federated-jwt` without a bound subject accepts no assertion, and the secret that Keycloak makes for every
    /// confidential client is good for nothing.
    #[must_use]
    pub fn closed(client_id: &str, name: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            name: name.to_owned(),
            protocol: "openid-connect".into(),
            enabled: true,
            client_authenticator_type: "federated-jwt".into(),
            ..Self::default()
        }
    }
}

impl ClientRepresentation {
    /// The object that made this client; none if that was not Keywire.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.settings.attributes.get(OWNER_ATTRIBUTE).and_then(|value| Owner::from_attribute(value))
    }

    /// How changes refer to this client.
    #[must_use]
    pub fn reference(&self) -> ClientRef {
        ClientRef { id: self.id.clone().unwrap_or_default(), client_id: self.settings.client_id.clone() }
    }
}
