//! Lifetimes of tokens and sessions, and how tokens are signed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{api::common::Seconds, core::desired::RealmSettings};

/// Lifetimes of tokens and sessions, and how tokens are signed. What is not given stays as Keycloak has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    /// How long an access token lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_lifespan: Option<Seconds>,
    /// How long an access token of the implicit flow lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub implicit_access_token_lifespan: Option<Seconds>,
    /// How long an authorization code may take to be redeemed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_lifespan: Option<Seconds>,
    /// How long a sign-in may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_lifespan: Option<Seconds>,
    /// How long an action in the midst of a sign-in may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_action_lifespan: Option<Seconds>,
    /// How long a link lives that a person asked for, such as to reset a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_action_token_lifespan: Option<Seconds>,
    /// How long a link lives that an administrator sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_action_token_lifespan: Option<Seconds>,
    /// How long a device code lives (RFC 8628).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_code_lifespan: Option<Seconds>,
    /// How long a device waits between two questions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_polling_interval: Option<Seconds>,
    /// How long a sign-in session may idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_idle_timeout: Option<Seconds>,
    /// How long a sign-in session may live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_max_lifespan: Option<Seconds>,
    /// The same for people who asked to be remembered; `0s` is as for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember_me_idle_timeout: Option<Seconds>,
    /// The same for people who asked to be remembered; `0s` is as for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remember_me_max_lifespan: Option<Seconds>,
    /// How long a client's part of a session may idle; `0s` is as long as the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_session_idle_timeout: Option<Seconds>,
    /// How long a client's part of a session may live; `0s` is as long as the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_session_max_lifespan: Option<Seconds>,
    /// How long an offline session may idle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_session_idle_timeout: Option<Seconds>,
    /// How long an offline session may live; `0s` is without a limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline_session_max_lifespan: Option<Seconds>,
    /// How long a client's part of an offline session may idle; `0s` is as long as the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_offline_session_idle_timeout: Option<Seconds>,
    /// How long a client's part of an offline session may live; `0s` is as long as the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_offline_session_max_lifespan: Option<Seconds>,
    /// A refresh token is good for `refreshTokenMaxReuse` repetitions only; each use gives a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_refresh_token: Option<bool>,
    /// How often a refresh token may be used again, with `revokeRefreshToken`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1000))]
    pub refresh_token_max_reuse: Option<i32>,
    /// The algorithm that signs tokens. Keycloak makes a key for it where there is none; see also `keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature_algorithm: Option<SignatureAlgorithm>,
}

/// The algorithm of a signature (RFC 7518, RFC 8037). Shared secrets (HS256) are none for tokens that others verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names are those of RFC 7518, section 3.1, and RFC 8037")]
pub enum SignatureAlgorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

impl SignatureAlgorithm {
    /// As tokens and Keycloak name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }
}

impl Tokens {
    pub(super) fn settings(&self, to: &mut RealmSettings) {
        let seconds = |given: Option<Seconds>| given.map(|Seconds(seconds)| seconds);
        for (field, given) in [
            ("accessTokenLifespan", self.access_token_lifespan),
            ("accessTokenLifespanForImplicitFlow", self.implicit_access_token_lifespan),
            ("accessCodeLifespan", self.code_lifespan),
            ("accessCodeLifespanLogin", self.login_lifespan),
            ("accessCodeLifespanUserAction", self.login_action_lifespan),
            ("actionTokenGeneratedByUserLifespan", self.user_action_token_lifespan),
            ("actionTokenGeneratedByAdminLifespan", self.admin_action_token_lifespan),
            ("oauth2DeviceCodeLifespan", self.device_code_lifespan),
            ("oauth2DevicePollingInterval", self.device_polling_interval),
            ("ssoSessionIdleTimeout", self.session_idle_timeout),
            ("ssoSessionMaxLifespan", self.session_max_lifespan),
            ("ssoSessionIdleTimeoutRememberMe", self.remember_me_idle_timeout),
            ("ssoSessionMaxLifespanRememberMe", self.remember_me_max_lifespan),
            ("clientSessionIdleTimeout", self.client_session_idle_timeout),
            ("clientSessionMaxLifespan", self.client_session_max_lifespan),
            ("offlineSessionIdleTimeout", self.offline_session_idle_timeout),
            ("clientOfflineSessionIdleTimeout", self.client_offline_session_idle_timeout),
            ("clientOfflineSessionMaxLifespan", self.client_offline_session_max_lifespan),
        ] {
            to.set(field, seconds(given));
        }
        if let Some(Seconds(limit)) = self.offline_session_max_lifespan {
            to.set("offlineSessionMaxLifespanEnabled", Some(limit > 0));
            // Keycloak keeps a value beside the switch, and refuses none.
            to.set("offlineSessionMaxLifespan", (limit > 0).then_some(limit));
        }
        to.set("revokeRefreshToken", self.revoke_refresh_token);
        to.set("refreshTokenMaxReuse", self.refresh_token_max_reuse);
        to.set("defaultSignatureAlgorithm", self.signature_algorithm.map(SignatureAlgorithm::name));
    }
}
