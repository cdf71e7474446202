//! A realm: its settings where they are ours, and the trust in a cluster's ServiceAccount tokens; [`objects`] has what is in it.

pub mod objects;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::core::desired::endpoint::text_map;
use crate::core::desired::owner::{OWNER_ATTRIBUTE, Owner};
use crate::core::desired::representation::{IdentityProviderRepresentation, PUSHED_KEYS, RealmRepresentation};

/// How far a Kubernetes node's clock may be from Keycloak's, in seconds. Keycloak's own default is none at all.
const ALLOWED_CLOCK_SKEW: Seconds = Seconds(30);

/// What one realm should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredRealm {
    /// The realm's name in Keycloak.
    pub realm: String,
    /// The object that it is made from.
    pub owner: Owner,
    /// How much of the realm is ours.
    pub management: Management,
    /// The cluster whose ServiceAccount tokens are good in this realm.
    pub workload_issuer: Option<WorkloadIssuer>,
    /// Whether an existing realm or identity provider that is not ours is taken over.
    pub adopt: bool,
}

/// How much of a realm is ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Management {
    /// The realm itself: made, kept and, where asked for, deleted.
    Full(Box<RealmSettings>),
    /// Only what we put into it; the realm has to exist and its settings are someone else's.
    ClientsOnly,
}

/// A number of seconds, as Keycloak counts lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub u32);

/// For which clients a realm requires TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SslRequired {
    /// For every client.
    All,
    /// For clients outside of private address ranges.
    External,
    /// For none.
    None,
}

/// The settings of a realm. Only those that are given are compared and written; the others stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RealmSettings {
    /// The name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Whether anyone can log in at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// For whom TLS is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_required: Option<SslRequired>,
    /// The lifetime of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_token_lifespan: Option<Seconds>,
    /// How long a session lives without use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sso_session_idle_timeout: Option<Seconds>,
    /// How long a session lives at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sso_session_max_lifespan: Option<Seconds>,
    /// How long an offline session lives without use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offline_session_idle_timeout: Option<Seconds>,
    /// How long an authorization code may take to be redeemed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_code_lifespan: Option<Seconds>,
    /// Whether a refresh token can be used once only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoke_refresh_token: Option<bool>,
    /// Whether accounts are locked after failed logins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brute_force_protected: Option<bool>,
    /// After how many failed logins an account is locked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_factor: Option<u32>,
    /// Whether people can make accounts for themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registration_allowed: Option<bool>,
    /// Whether people can reset a forgotten password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_password_allowed: Option<bool>,
    /// Whether a login can outlive the browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remember_me: Option<bool>,
    /// Whether an email address has to be verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_email: Option<bool>,
    /// Whether people can log in with their email address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub login_with_email_allowed: Option<bool>,
    /// Keycloak's own notation, such as `length(12) and notUsername`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_policy: Option<String>,
    /// The algorithm that signs tokens, such as `RS256` or `ES256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_signature_algorithm: Option<String>,
    /// Whether logins are recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_enabled: Option<bool>,
    /// Whether administrative changes are recorded: the source of drift detection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_events_enabled: Option<bool>,
    /// Whether those records hold the changed object; leave it off, secrets have leaked that way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_events_details_enabled: Option<bool>,
}

/// The trust in one cluster's ServiceAccount tokens, its public keys pushed to Keycloak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkloadIssuer {
    /// The identity provider's alias; fixed once made.
    pub alias: String,
    /// The `iss` of the cluster's tokens. Unique in a realm.
    pub issuer: String,
    /// The cluster's public keys: a JSON Web Key Set (RFC 7517, section 5).
    pub jwks: Value,
    /// The greatest lifetime of an assertion that Keycloak accepts.
    pub max_assertion_age: Seconds,
}

impl WorkloadIssuer {
    /// The identity provider as Keycloak is to hold it.
    ///
    /// `oidc` with pushed keys rather than `kubernetes`: Keycloak then needs no way into the cluster, and a key that is
    /// taken away is refused at once.
    #[must_use]
    pub fn identity_provider(&self, owner: &Owner) -> IdentityProviderRepresentation {
        let max_age = self.max_assertion_age.0.to_string();
        let config = text_map([
            ("issuer", self.issuer.as_str()),
            ("useJwksUrl", "false"),
            (PUSHED_KEYS, canonical_jwks(&self.jwks).as_str()),
            ("validateSignature", "true"),
            ("supportsClientAssertions", "true"),
            // A projected token serves for many logins until the kubelet renews it.
            ("supportsClientAssertionReuse", "true"),
            ("fedClientAssertionMaxExp", max_age.as_str()),
            ("allowedClockSkew", ALLOWED_CLOCK_SKEW.0.to_string().as_str()),
            (OWNER_ATTRIBUTE, owner.to_attribute().as_str()),
        ]);
        IdentityProviderRepresentation {
            alias: self.alias.clone(),
            provider_id: "oidc".into(),
            enabled: true,
            hide_on_login: true,
            config,
        }
    }
}

impl DesiredRealm {
    /// The realm as Keycloak is to create it; none where its settings are someone else's.
    #[must_use]
    pub fn representation(&self) -> Option<RealmRepresentation> {
        let Management::Full(settings) = &self.management else { return None };
        Some(RealmRepresentation {
            realm: self.realm.clone(),
            settings: settings.as_ref().clone(),
            attributes: text_map([(OWNER_ATTRIBUTE, self.owner.to_attribute().as_str())]),
        })
    }
}

/// A key set as text that does not depend on the order in which the keys, or their members, were written down.
pub(crate) fn canonical_jwks(jwks: &Value) -> String {
    let mut jwks = sorted(jwks);
    if let Some(keys) = jwks.get_mut("keys").and_then(Value::as_array_mut) {
        keys.sort_by_cached_key(ToString::to_string);
    }
    jwks.to_string()
}

/// The same value with every object's members in order, whichever map serde_json was built with.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<_, _> = members.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}
