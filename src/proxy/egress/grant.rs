//! One token from Keycloak: client credentials (RFC 6749 §4.4) with the pod's
//! ServiceAccount token as the client's assertion (RFC 7523 §2.2).

use std::{fs, path::PathBuf};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use url::form_urlencoded;

use crate::proxy::http::{
    connect::OriginError,
    fetch::{FetchError, Fetched, Resource},
};

/// The assertion's name in the tokens directory.
const ASSERTION_FILE: &str = "keycloak";
/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest token taken, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// Everything needed to ask for the tokens of one target.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The token endpoint.
    pub endpoint: Resource,
    /// Where the projected tokens are.
    pub tokens: PathBuf,
    /// What to ask for.
    pub scopes: Vec<String>,
    /// The one audience that the token must have.
    pub audience: String,
}

/// A token, ready to be sent.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The `Authorization` value; marked sensitive, so that it is never shown.
    pub authorization: HeaderValue,
    /// How long it lives, in seconds.
    pub lifetime: i64,
}

/// Why there is no token. Never holds the assertion or a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum GrantError {
    /// None of the scopes came back: no grant, or none any more.
    #[error("none of the scopes asked for was granted")]
    NotGranted,
    /// The projected ServiceAccount token is not there.
    #[error("the pod's ServiceAccount token for Keycloak cannot be read")]
    AssertionMissing,
    /// No connection to Keycloak.
    #[error("Keycloak cannot be reached")]
    KeycloakUnreachable,
    /// Keycloak did not answer in time.
    #[error("Keycloak did not answer in time")]
    KeycloakTimeout,
    /// Keycloak answered with a 5xx.
    #[error("Keycloak failed")]
    KeycloakFailed,
    /// Keycloak does not take the client or its assertion (400 or 401).
    #[error("Keycloak refused this workload's identity")]
    IdentityRefused,
    /// Keycloak does not take the assertion, which by its clock is not valid yet, or no more. How far beyond, in seconds;
    /// below zero: Keycloak's clock is behind.
    #[error("Keycloak's clock differs from the API server's by {} s or more", .0.unsigned_abs())]
    ClockSkew(i64),
    /// Keycloak refused the scopes: they do not exist, or the client may not ask for them.
    #[error("Keycloak refused the scopes")]
    ScopeRefused,
    /// An answer that is no bearer token.
    #[error("Keycloak's answer is not understood")]
    InvalidAnswer,
    /// The token is for somebody else too: sent upstream, it could be replayed there.
    #[error("the token that came is not for this endpoint alone")]
    WrongAudience,
    /// The token endpoint's URL or CA cannot be used.
    #[error("the token endpoint's address is unusable")]
    InvalidEndpoint,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: i64,
    #[serde(default)]
    scope: String,
}

#[derive(Deserialize)]
struct Problem {
    error: String,
}

impl TokenRequest {
    /// Asks once.
    pub async fn ask(&self) -> Result<Issued, GrantError> {
        let assertion = self.assertion()?;
        let fetched = self.endpoint.post_form(self.form(&assertion)).await;
        let Fetched { status, body, date } = fetched.map_err(|error| unanswered(&error))?;
        match status {
            StatusCode::OK => self.read(&body),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => match (problem(&body), date) {
                (GrantError::IdentityRefused, Some(date)) => {
                    Err(out_of_time(&assertion, date).unwrap_or(GrantError::IdentityRefused))
                }
                (problem, _) => Err(problem),
            },
            _ if status.is_server_error() => Err(GrantError::KeycloakFailed),
            _ => Err(GrantError::InvalidAnswer),
        }
    }

    /// The assertion is read anew each time: the kubelet rotates it. It lies on
    /// a memory file system, so reading it does not block.
    fn assertion(&self) -> Result<String, GrantError> {
        let text = fs::read_to_string(self.tokens.join(ASSERTION_FILE)).map_err(|_| GrantError::AssertionMissing)?;
        Ok(text.trim().to_owned())
    }

    /// No `client_id`: the assertion says who it is, and Keycloak 26.5 wants the two to be the same.
    fn form(&self, assertion: &str) -> String {
        form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", assertion)
            .append_pair("scope", &self.scopes.join(" "))
            .finish()
    }

    fn read(&self, body: &[u8]) -> Result<Issued, GrantError> {
        let Answer { access_token, token_type, expires_in, scope } =
            serde_json::from_slice(body).map_err(|_| GrantError::InvalidAnswer)?;
        if !token_type.eq_ignore_ascii_case("bearer") || expires_in <= 0 || access_token.len() > MAX_TOKEN {
            return Err(GrantError::InvalidAnswer);
        }
        // Keycloak drops a scope whose role the account lacks, and answers 200.
        if !scope.split(' ').any(|granted| self.scopes.iter().any(|asked| asked == granted)) {
            return Err(GrantError::NotGranted);
        }
        if audience(&access_token).as_deref() != Some(self.audience.as_str()) {
            return Err(GrantError::WrongAudience);
        }
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {access_token}")).map_err(|_| GrantError::InvalidAnswer)?;
        authorization.set_sensitive(true);
        Ok(Issued { authorization, lifetime: expires_in })
    }
}

fn unanswered(error: &FetchError) -> GrantError {
    match error {
        FetchError::Origin(OriginError::InvalidUrl(_) | OriginError::Tls(_)) => GrantError::InvalidEndpoint,
        FetchError::Connect(_) | FetchError::Broken => GrantError::KeycloakUnreachable,
        FetchError::Timeout => GrantError::KeycloakTimeout,
    }
}

/// Keycloak answers `invalid_client` for nearly everything that is wrong with the
/// client or its assertion; `invalid_scope` alone tells of something else.
fn problem(body: &[u8]) -> GrantError {
    match serde_json::from_slice::<Problem>(body) {
        Ok(Problem { error }) if error == "invalid_scope" => GrantError::ScopeRefused,
        _ => GrantError::IdentityRefused,
    }
}

/// Whether an assertion that was refused was out of its time by Keycloak's clock. Its times are those of the API server's.
fn out_of_time(assertion: &str, date: i64) -> Option<GrantError> {
    #[derive(Deserialize)]
    struct Claims {
        iat: i64,
        exp: i64,
    }
    let Claims { iat, exp } = payload(assertion)?;
    // `Date` is cut down to the second.
    let early = date.saturating_add(1).saturating_sub(iat).min(0);
    let late = date.saturating_sub(exp).max(0);
    (early < 0 || late > 0).then_some(GrantError::ClockSkew(early + late))
}

fn payload<T: DeserializeOwned>(token: &str) -> Option<T> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// The token's only audience. It is read, not verified: it came from Keycloak,
/// over the connection that the document names.
fn audience(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many([String; 1]),
    }
    #[derive(Deserialize)]
    struct Claims {
        aud: Audience,
    }
    match payload(token)? {
        Claims { aud: Audience::One(one) | Audience::Many([one]) } => Some(one),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request() -> TokenRequest {
        let Ok(endpoint) = Resource::new("http://kc/token", None) else { panic!("URL") };
        TokenRequest {
            endpoint,
            tokens: PathBuf::from("/nonexistent"),
            scopes: vec!["e:read".into(), "e:predict".into()],
            audience: "e".into(),
        }
    }

    fn answer(aud: &Value, scope: &str) -> Value {
        let payload = URL_SAFE_NO_PAD.encode(json!({ "aud": aud }).to_string());
        json!({"access_token": format!("h.{payload}.s"), "token_type": "Bearer", "expires_in": 300, "scope": scope})
    }

    #[test]
    fn answers() {
        use GrantError::*;
        let good = answer(&json!("e"), "profile e:predict");
        let with = |field: &str, value: Value| {
            let mut changed = good.clone();
            changed[field] = value;
            changed
        };
        for (answer, expected) in [
            (good.clone(), Ok(300)),
            (answer(&json!(["e"]), "e:read"), Ok(300)),
            (answer(&json!("e"), "profile email"), Err(NotGranted)),
            (answer(&json!("e"), ""), Err(NotGranted)),
            (answer(&json!("e"), "e:readx"), Err(NotGranted)),
            (answer(&json!("other"), "e:read"), Err(WrongAudience)),
            (answer(&json!(["e", "other"]), "e:read"), Err(WrongAudience)),
            (answer(&Value::Null, "e:read"), Err(WrongAudience)),
            (with("token_type", json!("DPoP")), Err(InvalidAnswer)),
            (with("expires_in", json!(0)), Err(InvalidAnswer)),
            (with("expires_in", json!("300")), Err(InvalidAnswer)),
            (with("access_token", Value::Null), Err(InvalidAnswer)),
            (with("access_token", json!("a".repeat(MAX_TOKEN + 1))), Err(InvalidAnswer)),
            (json!([]), Err(InvalidAnswer)),
        ] {
            let read = request().read(answer.to_string().as_bytes()).map(|issued| issued.lifetime);
            assert_eq!(read, expected, "{answer}");
        }
    }

    #[test]
    fn problems_are_told_apart_without_their_text() {
        for (body, expected) in [
            (r#"{"error":"invalid_client","error_description":"secret things"}"#, GrantError::IdentityRefused),
            (r#"{"error":"invalid_scope"}"#, GrantError::ScopeRefused),
            ("<html>", GrantError::IdentityRefused),
        ] {
            assert_eq!(problem(body.as_bytes()), expected);
        }
    }

    #[test]
    fn an_assertion_out_of_its_time_is_told() {
        let claims = URL_SAFE_NO_PAD.encode(json!({"iat": 1000, "nbf": 1000, "exp": 4600}).to_string());
        let assertion = format!("h.{claims}.s");
        for (date, seconds) in [(939, Some(-60)), (999, None), (1000, None), (4600, None), (4660, Some(60))] {
            assert_eq!(out_of_time(&assertion, date), seconds.map(GrantError::ClockSkew), "{date}");
        }
        for other in ["", "a.b.c", "the.assertion.itself"] {
            assert_eq!(out_of_time(other, 0), None, "{other}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let Ok(issued) = request().read(answer(&json!("e"), "e:read").to_string().as_bytes()) else { panic!("reads") };
        assert!(!format!("{issued:?}").contains("h."), "{issued:?}");
    }
}
