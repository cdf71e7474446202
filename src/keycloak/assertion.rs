//! The federated client assertion (RFC 7523, section 2.2): read from a file, and described where it was refused.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;

use super::login_error::LoginError;

/// `client_assertion_type` of every JWT assertion.
pub(super) const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Where assertions come from.
pub trait AssertionSource: fmt::Debug + Send + Sync {
    /// A ServiceAccount token that is good for one login at least.
    ///
    /// # Errors
    /// [`LoginError::NoToken`] or [`LoginError::TokenFile`].
    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, LoginError>>;

    /// An earlier assertion that is still good. Where the cluster has begun to sign with a key that Keycloak was not
    /// told of, it is the way in, to tell it.
    fn spare(&self) -> Option<SecretString> {
        None
    }
}

/// A file in which the kubelet keeps a projected token, which it replaces from time to time.
#[derive(Clone, Debug)]
pub struct TokenFile(pub PathBuf);

impl AssertionSource for TokenFile {
    fn assertion(&self) -> BoxFuture<'_, Result<SecretString, LoginError>> {
        Box::pin(read_token(&self.0))
    }
}

async fn read_token(path: &Path) -> Result<SecretString, LoginError> {
    let unreadable = |reason: String| LoginError::TokenFile { path: path.display().to_string(), reason };
    let token = tokio::fs::read_to_string(path).await.map_err(|error| unreadable(error.to_string()))?;
    let token = token.trim();
    if token.is_empty() {
        return Err(unreadable("it is empty".to_owned()));
    }
    Ok(token.into())
}

/// What an assertion says of itself. None of it is secret, and none of it is verified: it is for error messages only.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AssertionClaims {
    iss: String,
    sub: String,
    aud: Value,
}

impl AssertionClaims {
    /// The claims of a JWT; none for anything else.
    pub(super) fn of(token: &SecretString) -> Option<Self> {
        let payload = token.expose_secret().split('.').nth(1)?;
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// `sub`, where there is one.
    pub(super) fn subject(self) -> Option<String> {
        (!self.sub.is_empty()).then_some(self.sub)
    }
}

impl fmt::Display for AssertionClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "issuer {:?}, subject {:?}, audience {}", self.iss, self.sub, self.aud)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_without_the_signature() {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(r#"{"iss":"i","sub":"s","aud":["a"],"secret":"x"}"#);
        let claims = AssertionClaims::of(&format!("h.{payload}.signature").into());
        assert_eq!(claims.map(|c| c.to_string()).as_deref(), Some(r#"issuer "i", subject "s", audience ["a"]"#));
        assert_eq!(AssertionClaims::of(&"not a token".into()), None);
    }

    #[tokio::test]
    async fn a_missing_file_is_named() {
        let error = read_token(Path::new("/nowhere/token")).await.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains("/nowhere/token"), "{error}");
    }
}
