//! One login for everyone: made once at a time, renewed before it ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::Instant;
use url::Url;

use super::assertion::AssertionClaims;
use super::credentials::{Credentials, LoginForm};
use super::login_error::LoginError;
use super::transport::{Answer, Transport};

/// How long a refused login is not tried again: wrong credentials must not become a storm, or lock an account.
const REFUSAL_PAUSE: Duration = Duration::from_secs(5);
/// How long before its end a token is no longer used, for the way to Keycloak and clocks that differ.
const MARGIN: Duration = Duration::from_secs(5);

/// The operator's login at one realm of one server.
#[derive(Debug)]
pub(super) struct Session {
    realm: String,
    token_url: Url,
    credentials: Credentials,
    state: Mutex<State>,
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    login: Option<Arc<Login>>,
    refused: Option<(Instant, LoginError)>,
    /// How many login requests have ended, and how the last one failed, if it did.
    flights: u64,
    failure: Option<LoginError>,
}

/// An access token and its times.
#[derive(Debug)]
pub(super) struct Login {
    pub access_token: SecretString,
    /// The account's id, as admin events name it; none in a token that does not tell.
    pub subject: Option<String>,
    renew_at: Instant,
    ends_at: Instant,
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: SecretString,
    /// Seconds.
    expires_in: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    error: String,
    error_description: String,
}

impl Session {
    pub fn new(realm: String, token_url: Url, credentials: Credentials) -> Self {
        let flight = tokio::sync::Mutex::new(());
        Self { realm, token_url, credentials, state: Mutex::default(), flight }
    }

    /// The realm to log in at.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// A login that is good for now. One caller logs in; the others use the old one as long as it lasts, or wait and
    /// share the outcome: a Keycloak that answers nobody is asked once, not once by each who waits.
    pub async fn login(&self, transport: &Transport) -> Result<Arc<Login>, LoginError> {
        let Some(current) = self.usable() else {
            let flights = self.state().flights;
            let _flight = self.flight.lock().await;
            return match (self.usable(), self.failed_since(flights)) {
                (Some(login), _) => Ok(login),
                (None, Some(error)) => Err(error),
                (None, None) => self.log_in(transport).await,
            };
        };
        if Instant::now() < current.renew_at {
            return Ok(current);
        }
        let Ok(_flight) = self.flight.try_lock() else { return Ok(current) };
        // A renewal ahead of time that fails has no consequence yet.
        Ok(self.log_in(transport).await.unwrap_or(current))
    }

    /// Keycloak refused a login that it had given a moment ago. Another one would fare no better.
    pub fn distrust(&self, login: &Arc<Login>) {
        self.discard(login);
        let error = LoginError::TokenRefused { name: self.credentials.name().to_owned() };
        self.state().refused = Some((Instant::now() + REFUSAL_PAUSE, error));
    }

    /// Keycloak no longer accepts this login.
    pub fn discard(&self, login: &Arc<Login>) {
        let mut state = self.state();
        if state.login.as_ref().is_some_and(|current| Arc::ptr_eq(current, login)) {
            state.login = None;
        }
    }

    /// The next call logs in anew: what the account may do has changed.
    pub fn forget(&self) {
        self.state().login = None;
    }

    fn usable(&self) -> Option<Arc<Login>> {
        let now = Instant::now();
        self.state().login.clone().filter(|login| now < login.ends_at)
    }

    fn failed_since(&self, flights: u64) -> Option<LoginError> {
        let state = self.state();
        state.failure.clone().filter(|_| state.flights > flights)
    }

    async fn log_in(&self, transport: &Transport) -> Result<Arc<Login>, LoginError> {
        if let Some((until, error)) = &self.state().refused
            && Instant::now() < *until
        {
            return Err(error.clone());
        }
        let result = self.request(transport).await;
        let mut state = self.state();
        state.flights += 1;
        state.failure = result.as_ref().err().cloned();
        match &result {
            Ok(login) => {
                state.login = Some(Arc::clone(login));
                state.refused = None;
            }
            Err(error) if error.is_lasting() => state.refused = Some((Instant::now() + REFUSAL_PAUSE, error.clone())),
            Err(_) => {}
        }
        result
    }

    /// Logs in; with an assertion of before, should the newest one be refused.
    async fn request(&self, transport: &Transport) -> Result<Arc<Login>, LoginError> {
        let refused = match self.send(transport, self.credentials.login_form().await?).await {
            Err(error @ LoginError::AssertionRefused { .. }) => error,
            result => return result,
        };
        match self.credentials.spare_form() {
            Some(spare) => self.send(transport, spare).await.map_err(|_| refused),
            None => Err(refused),
        }
    }

    async fn send(&self, transport: &Transport, form: LoginForm) -> Result<Arc<Login>, LoginError> {
        let asked_at = Instant::now();
        let request = transport.client().post(self.token_url.clone()).form(&form.exposed());
        let answer = transport.send(request).await?;
        if !answer.status.is_success() {
            return Err(self.diagnose(&answer, &form));
        }
        let body: TokenBody = answer.json().map_err(|_| self.not_keycloak(&answer))?;
        let lifetime = Duration::from_secs(body.expires_in);
        Ok(Arc::new(Login {
            subject: AssertionClaims::of(&body.access_token).and_then(AssertionClaims::subject),
            access_token: body.access_token,
            renew_at: asked_at + lifetime * 2 / 3,
            ends_at: asked_at + lifetime.saturating_sub(MARGIN),
        }))
    }

    fn diagnose(&self, answer: &Answer, form: &LoginForm) -> LoginError {
        let status = answer.status.as_u16();
        let Ok(ErrorBody { error, error_description }) = answer.json::<ErrorBody>() else {
            return match status {
                429 | 502..=504 => LoginError::Busy { status, retry_after: answer.retry_after() },
                _ => self.not_keycloak(answer),
            };
        };
        let message = if error_description.is_empty() { error.clone() } else { error_description };
        let name = self.credentials.name().to_owned();
        let claims = form.assertion().map(|token| Box::new(AssertionClaims::of(token).unwrap_or_default()));
        match (status, error.as_str(), claims) {
            (404, _, _) => LoginError::RealmMissing { realm: self.realm.clone() },
            (429 | 503, _, _) => LoginError::Busy { status, retry_after: answer.retry_after() },
            (500.., _, _) => LoginError::Server { status, message },
            (_, "unauthorized_client", _) => LoginError::NotAllowed { name, message },
            (_, _, Some(claims)) if matches!(self.credentials, Credentials::PrivateKeyJwt { .. }) => {
                LoginError::SignatureRefused { name, message, claims }
            }
            (400, _, Some(claims)) => LoginError::AssertionInvalid { name, message, claims },
            (_, _, Some(claims)) => LoginError::AssertionRefused { name, message, claims },
            (_, _, None) => LoginError::WrongCredentials { name, message },
        }
    }

    fn not_keycloak(&self, answer: &Answer) -> LoginError {
        LoginError::NotKeycloak { url: self.token_url.to_string(), status: answer.status.as_u16() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
