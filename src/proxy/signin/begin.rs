//! A browser is sent to Keycloak (OpenID Connect Core 1.0, §3.1.2.1).

use http::{HeaderValue, Response, StatusCode, header};
use oauth2::{CsrfToken, PkceCodeChallenge, Scope};

use super::{
    keys::{Purpose, Sealer},
    state::SignInState,
};
use crate::{
    core::signin::{
        cookies::{Found, MAX_ATTEMPTS, Use},
        return_path,
        session::{ATTEMPT, Attempt},
    },
    proxy::http::body::AnswerBody,
};

/// So many signs of its state name an attempt's cookie.
pub const NAME: usize = 10;

impl SignInState {
    /// The redirect to Keycloak, and the cookie without which nobody can come back. `target`: where the browser wants to go.
    /// `None`: the system has no randomness.
    pub fn begin(&self, sealer: &Sealer, found: &Found<'_>, target: &str) -> Option<Response<AnswerBody>> {
        let now = self.clock.now();
        let (state, nonce) = (CsrfToken::new_random(), CsrfToken::new_random());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let attempt = Attempt {
            state: state.secret().into(),
            nonce: nonce.secret().into(),
            verifier: verifier.secret().into(),
            target: return_path::within(target).into(),
            began: now,
        };
        let sealed = sealer.seal(Purpose::Attempt, &serde_json::to_vec(&attempt).ok()?)?;
        let name = state.secret().get(..NAME)?.to_owned();
        let mut cookies = self.forget_attempts(sealer, found);
        cookies.push(self.names.set(Use::Attempt(&name), &sealed, ATTEMPT));
        let mut request = self.endpoint.client().authorize_url(|| state).set_pkce_challenge(challenge);
        request = request.add_scopes(self.settings.scopes.iter().cloned().map(Scope::new));
        let (url, _) = request.add_extra_param("nonce", nonce.secret()).url();
        redirect(url.as_str(), &cookies)
    }

    /// The oldest attempts go where there are many, and those that nobody can answer.
    fn forget_attempts(&self, sealer: &Sealer, found: &Found<'_>) -> Vec<String> {
        let now = self.clock.now();
        let began = |value: &str| {
            let text = sealer.open(Purpose::Attempt, value)?;
            let attempt: Attempt<'_> = serde_json::from_slice(&text).ok()?;
            attempt.is_current(now).then_some(attempt.began)
        };
        let mut all: Vec<_> = found.attempts.iter().map(|(name, value)| (began(value), *name)).collect();
        all.sort_unstable();
        let more = (all.len() + 1).saturating_sub(MAX_ATTEMPTS);
        let goes = all.iter().enumerate().filter(|(at, (began, _))| *at < more || began.is_none());
        goes.map(|(_, (_, name))| self.names.set(Use::Attempt(name), "", 0)).collect()
    }
}

/// A redirect that nobody keeps, with cookies.
pub fn redirect(to: &str, cookies: &[String]) -> Option<Response<AnswerBody>> {
    let mut response = Response::new(AnswerBody::full(bytes::Bytes::new()));
    // GET, whatever the method was (RFC 9110 §15.4.4).
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(to).ok()?);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    set(&mut response, cookies);
    Some(response)
}

/// Adds `Set-Cookie`s.
pub fn set(response: &mut Response<AnswerBody>, cookies: &[String]) {
    for cookie in cookies {
        if let Ok(mut value) = HeaderValue::from_str(cookie) {
            value.set_sensitive(true);
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
}
