//! How the sidecar proves to Keycloak which workload it belongs to.

use std::{fs, path::PathBuf, sync::Arc};

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, Header};
use serde::Serialize;
use url::form_urlencoded::Serializer;

use super::{
    credential::{Credential, Credentials, Secret},
    grant::GrantError,
};
use crate::proxy::clock::Clock;

/// The assertion's name in the tokens directory.
const ASSERTION_FILE: &str = "keycloak";
/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long an assertion that is signed here counts, in seconds.
const LIFETIME: i64 = 60;

/// How one identity logs in.
#[derive(Clone, Debug)]
pub enum Login {
    /// With the token of its ServiceAccount in this directory.
    KubernetesToken(PathBuf),
    /// With a credential that is kept.
    Kept {
        /// Those at hand.
        credentials: Arc<Credentials>,
        /// The realm's issuer URL: the audience of what is signed here.
        audience: String,
        /// For the times in it.
        clock: Clock,
    },
}

/// One way to log in.
#[derive(Debug)]
pub enum Attempt {
    /// With the token of the ServiceAccount.
    KubernetesToken,
    /// With one of the credentials at hand.
    With(Arc<Credential>),
}

impl Login {
    /// The ways to log in now, the best first; empty: there is none.
    pub fn attempts(&self) -> Vec<Attempt> {
        match self {
            Self::KubernetesToken(_) => vec![Attempt::KubernetesToken],
            Self::Kept { credentials, .. } => credentials.at_hand().into_iter().map(Attempt::With).collect(),
        }
    }

    /// Keycloak took it.
    pub fn note_taken(&self, attempt: &Attempt) {
        if let (Self::Kept { credentials, .. }, Attempt::With(credential)) = (self, attempt) {
            credentials.note_used(credential.number);
        }
    }

    /// All were refused: whether there is another one after a moment.
    pub async fn has_newer(&self, refused: &[Attempt]) -> bool {
        let Self::Kept { credentials, .. } = self else { return false };
        let number = |attempt: &Attempt| match attempt {
            Attempt::With(credential) => credential.number,
            Attempt::KubernetesToken => 0,
        };
        credentials.newer_than(refused.iter().map(number).max().unwrap_or_default()).await
    }

    /// Adds the client's authentication to the form of a token request (RFC 6749 §2.3, RFC 7521 §4.2). Returns the assertion,
    /// where it is one.
    ///
    /// # Errors
    /// [`GrantError::AssertionMissing`], [`GrantError::CredentialUnusable`].
    pub fn authenticate(
        &self,
        attempt: &Attempt,
        form: &mut Serializer<'_, String>,
    ) -> Result<Option<String>, GrantError> {
        match (self, attempt) {
            // No `client_id`: the assertion says who it is, and Keycloak 26.5 wants the two to be the same. It is read anew
            // each time: the kubelet rotates it. It lies on a memory file system, so reading it does not block.
            (Self::KubernetesToken(tokens), _) => {
                let assertion =
                    fs::read_to_string(tokens.join(ASSERTION_FILE)).map_err(|_| GrantError::AssertionMissing)?;
                assert(form, assertion.trim());
                Ok(Some(assertion))
            }
            (Self::Kept { audience, clock, .. }, Attempt::With(credential)) => match &credential.secret {
                Secret::Key(key_id, key) => {
                    let claims = Claims::new(&credential.client_id, audience, clock.now())?;
                    let header = Header { kid: Some(key_id.clone()), ..Header::new(Algorithm::ES256) };
                    let signed = jsonwebtoken::encode(&header, &claims, key);
                    let signed = signed.map_err(|_| GrantError::CredentialUnusable)?;
                    form.append_pair("client_id", &credential.client_id);
                    assert(form, &signed);
                    Ok(Some(signed))
                }
                Secret::Text(secret) => {
                    form.append_pair("client_id", &credential.client_id).append_pair("client_secret", secret.expose());
                    Ok(None)
                }
            },
            (Self::Kept { .. }, Attempt::KubernetesToken) => Err(GrantError::CredentialMissing),
        }
    }
}

fn assert(form: &mut Serializer<'_, String>, assertion: &str) {
    form.append_pair("client_assertion_type", ASSERTION_TYPE).append_pair("client_assertion", assertion);
}

/// RFC 7523 §3.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: i64,
    exp: i64,
}

impl<'a> Claims<'a> {
    fn new(client_id: &'a str, aud: &'a str, now: i64) -> Result<Self, GrantError> {
        // Keycloak takes each once.
        let mut random = [0; 16];
        rand::fill(&mut random).map_err(|_| GrantError::CredentialUnusable)?;
        let jti = BASE64_URL_SAFE_NO_PAD.encode(random);
        Ok(Self { iss: client_id, sub: client_id, aud, jti, iat: now, exp: now.saturating_add(LIFETIME) })
    }
}
