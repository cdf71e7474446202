//! What the operator tells a guard that signs people in. No secret is in it.

use serde::{Deserialize, Serialize};

/// How a guard signs people in who come with a browser (OpenID Connect Core 1.0, §3.1, with PKCE, RFC 7636).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignIn {
    /// The application's URL as browsers know it: scheme, host and port, and no path.
    pub url: String,
    /// Its client in Keycloak. The redirect URI is `URL/.keywire/callback`.
    pub client_id: String,
    /// The authorization endpoint, as browsers reach it.
    pub authorization_url: String,
    /// The end-session endpoint, as browsers reach it.
    pub logout_url: String,
    /// The token endpoint, as the guard reaches it.
    pub token_url: String,
    /// As in [`TrustedIssuer::ca`](crate::core::policy::document::TrustedIssuer::ca), for `tokenUrl`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// How the client logs in at the token endpoint.
    #[serde(default)]
    pub login: AppLogin,
    /// Scopes to ask for beside `openid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// How long a session lasts at most, in seconds.
    #[serde(default = "absolute")]
    pub absolute: i64,
    /// How long a session lasts without a request, in seconds.
    #[serde(default = "idle")]
    pub idle: i64,
    /// What scripts call: such a request gets 401, and is never led away. Paths that begin so, by whole segments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub api: Vec<String>,
    /// What the guard's own pages look like.
    #[serde(default)]
    pub brand: Brand,
}

/// How a WebApp's client logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum AppLogin {
    /// With the file `keycloak` of the tokens directory as a JWT client assertion (RFC 7523).
    #[default]
    KubernetesToken,
    /// With the file `client-secret` of the sign-in directory (RFC 6749 §2.3.1).
    ClientSecret,
}

/// What the guard's own pages look like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Brand {
    /// The application's name; `None`: its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whom to ask for access: a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// The colour of buttons and links: `#` and six hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

const fn absolute() -> i64 {
    8 * 60 * 60
}

const fn idle() -> i64 {
    30 * 60
}
