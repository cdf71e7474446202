//! One token from Keycloak: client credentials (RFC 6749 §4.4), or the exchange of a caller's (RFC 8693).

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};
use url::form_urlencoded;

use super::{
    exchange,
    login::{Attempt, Login},
};
use crate::proxy::{
    handles::Inbound,
    http::{
        connect::OriginError,
        fetch::{FetchError, Fetched, Resource},
    },
};

/// The longest token taken, in bytes.
const MAX_TOKEN: usize = 16 * 1024;

/// Everything needed to ask for the tokens of one target.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The token endpoint.
    pub endpoint: Resource,
    /// How the workload logs in.
    pub login: Login,
    /// What to ask for.
    pub scopes: Vec<String>,
    /// The one audience that the token must have.
    pub audience: String,
    /// The client that may exchange the token further, and so may be its audience too.
    pub exchanged_by: Option<String>,
    /// On whose behalf; `None`: the workload's own.
    pub subject: Option<Arc<Inbound>>,
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
    /// The identity keeps a credential, and this pod has none.
    #[error("the identity's credential has not come to this pod")]
    CredentialMissing,
    /// The credential cannot be logged in with.
    #[error("the identity's credential cannot be used")]
    CredentialUnusable,
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
    /// Keycloak does not take the token of the caller on whose behalf it is.
    #[error(
        "Keycloak does not take the caller's token: it, its session or its account has ended, or this workload may not exchange it"
    )]
    BearerRefused,
    /// The caller's token is not for this workload to exchange.
    #[error("the caller's token is not for this workload to exchange; one that is fetched anew may be")]
    ExchangeRefused,
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
    /// Asks. Where a credential is refused, the one before it may do, or the next one.
    pub async fn ask(&self) -> Result<Issued, GrantError> {
        let attempts = self.login.attempts();
        match self.try_each(&attempts).await {
            Err(GrantError::IdentityRefused) if self.login.has_newer(&attempts).await => {
                self.try_each(&self.login.attempts()).await
            }
            result => result,
        }
    }

    async fn try_each(&self, attempts: &[Attempt]) -> Result<Issued, GrantError> {
        let mut refused = GrantError::CredentialMissing;
        for attempt in attempts {
            match self.ask_with(attempt).await {
                Err(GrantError::IdentityRefused) => refused = GrantError::IdentityRefused,
                result => return result,
            }
        }
        Err(refused)
    }

    /// Asks once.
    async fn ask_with(&self, attempt: &Attempt) -> Result<Issued, GrantError> {
        let (form, assertion) = self.form(attempt)?;
        let fetched = self.endpoint.post_form(form).await;
        let Fetched { status, body, date } = fetched.map_err(|error| unanswered(&error))?;
        let result = match status {
            StatusCode::OK => self.read(&body),
            _ if self.subject.is_some() && status.is_client_error() => Err(exchange::problem(status, &body)),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => Err(problem(&body)),
            _ if status.is_server_error() => Err(GrantError::KeycloakFailed),
            _ => Err(GrantError::InvalidAnswer),
        };
        // Whatever became of the scopes, the client was let in.
        if matches!(result, Ok(_) | Err(GrantError::NotGranted | GrantError::WrongAudience | GrantError::ScopeRefused))
        {
            self.login.note_taken(attempt);
        }
        match (result, assertion, date) {
            (Err(GrantError::IdentityRefused), Some(assertion), Some(date)) => {
                Err(out_of_time(&assertion, date).unwrap_or(GrantError::IdentityRefused))
            }
            (result, ..) => result,
        }
    }

    /// The form, and the assertion in it.
    fn form(&self, attempt: &Attempt) -> Result<(String, Option<String>), GrantError> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        match &self.subject {
            None => form.append_pair("grant_type", "client_credentials"),
            Some(subject) => form.extend_pairs(exchange::parameters(subject)),
        };
        let assertion = self.login.authenticate(attempt, &mut form)?;
        Ok((form.append_pair("scope", &self.scopes.join(" ")).finish(), assertion))
    }

    /// Whether a token is for the target and nobody else, but for the client that may exchange it.
    fn is_audience(&self, found: Option<(String, Option<String>)>) -> bool {
        match found {
            Some((one, None)) => one == self.audience,
            Some((one, Some(other))) => self
                .exchanged_by
                .as_ref()
                .is_some_and(|by| (&one, &other) == (&self.audience, by) || (&one, &other) == (by, &self.audience)),
            None => false,
        }
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
        if !self.is_audience(audience(&access_token)) {
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

/// Whether an assertion that was refused was out of its time by Keycloak's clock. Its times are those of the API server's, or
/// of this node where it was signed here.
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

/// The token's audience. It is read, not verified: it came from Keycloak,
/// over the connection that the document names.
fn audience(token: &str) -> Option<(String, Option<String>)> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Audience {
        One(String),
        Many([String; 1]),
        Two([String; 2]),
    }
    #[derive(Deserialize)]
    struct Claims {
        aud: Audience,
    }
    match payload(token)? {
        Claims { aud: Audience::One(one) | Audience::Many([one]) } => Some((one, None)),
        Claims { aud: Audience::Two([one, other]) } => Some((one, Some(other))),
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
            login: Login::KubernetesToken("/nonexistent".into()),
            scopes: vec!["e:read".into(), "e:predict".into()],
            audience: "e".into(),
            exchanged_by: None,
            subject: None,
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
    fn a_token_may_be_for_who_exchanges_it_too() {
        let with = |exchanged_by: &str| TokenRequest { exchanged_by: Some(exchanged_by.into()), ..request() };
        for (aud, expected) in [
            (json!("e"), true),
            (json!(["e", "agent"]), true),
            (json!(["agent", "e"]), true),
            (json!(["e", "other"]), false),
            (json!("agent"), false),
            (json!(["agent"]), false),
            (json!(["e", "agent", "other"]), false),
        ] {
            let answer = answer(&aud, "e:read").to_string();
            assert_eq!(with("agent").read(answer.as_bytes()).is_ok(), expected, "{aud}");
        }
        let both = answer(&json!(["e", "agent"]), "e:read").to_string();
        assert_eq!(request().read(both.as_bytes()).err(), Some(GrantError::WrongAudience));
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
