//! The token endpoint, as a workload uses it.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::admin::RealmAdmin;
use super::assertion::CLIENT_ASSERTION_TYPE;
use super::transport::TransportError;

/// A `client_credentials` request with a federated assertion.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The assertion: a Kubernetes ServiceAccount token whose one audience is the realm's issuer URL.
    pub assertion: SecretString,
    /// The scopes to ask for; Keycloak leaves out those whose role the account does not hold.
    pub scope: BTreeSet<String>,
}

/// What the token endpoint gave.
#[derive(Clone, Debug, Deserialize)]
pub struct TokenAnswer {
    /// The access token.
    pub access_token: SecretString,
    /// The lifetime, in seconds.
    pub expires_in: u64,
    /// The scopes that the token has, which may be fewer than were asked for.
    #[serde(default, deserialize_with = "words")]
    pub scope: BTreeSet<String>,
}

/// Why there is no token.
#[derive(Clone, Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TokenError {
    /// No answer.
    #[error("{0}")]
    Transport(#[from] TransportError),
    /// Keycloak refused.
    #[error("no token (status {status}): {error}: {description}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The OAuth error code (RFC 6749, section 5.2).
        error: String,
        /// Keycloak's own words.
        description: String,
    },
    /// The answer was not a token answer.
    #[error("the token endpoint's answer (status {status}) cannot be read")]
    Unreadable {
        /// The HTTP status.
        status: u16,
    },
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl RealmAdmin {
    /// Asks for a token as the workload that the assertion speaks for; the operator's own login plays no part.
    ///
    /// # Errors
    /// [`TokenError::Refused`] with Keycloak's own words.
    pub async fn request_token(&self, request: &TokenRequest) -> Result<TokenAnswer, TokenError> {
        let scope = request.scope.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_assertion_type", CLIENT_ASSERTION_TYPE),
            ("client_assertion", request.assertion.expose_secret()),
        ];
        // An empty scope is an invalid one.
        if !scope.is_empty() {
            form.push(("scope", &scope));
        }
        let transport = self.admin().transport();
        let answer = transport.send(transport.client().post(self.token_url()).form(&form)).await?;
        let status = answer.status.as_u16();
        if answer.status.is_success() {
            return answer.json().map_err(|_| TokenError::Unreadable { status });
        }
        let Refusal { error, error_description: description } =
            answer.json().map_err(|_| TokenError::Unreadable { status })?;
        Err(TokenError::Refused { status, error, description })
    }
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.split_whitespace().map(ToOwned::to_owned).collect())
}
