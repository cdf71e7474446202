//! One request of a browser: whose session it is, and what is said where that does not do.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    arrival::{Arrival, is_navigation},
    begin::set,
    endpoint::TokenError,
    keys::{Purpose, Sealer},
    pages::{Action, Page, id},
    state::SignInState,
};
use crate::{
    core::signin::{
        cookies::{self, Found, Use},
        session::{Session, State},
        settings,
    },
    proxy::{
        guard::{serve::GuardConnection, state::PolicyState},
        http::{answer::Refusal, body::AnswerBody, websocket::Handshake},
        tokens::verify::{Trust, VerifyError},
    },
};

/// A session that began so lately was not ended by its age: a browser that is sent away again would go in a circle.
const LATELY: i64 = 15;

/// What a request's cookies came to.
enum Resumed {
    /// It goes on with this token.
    Session { authorization: HeaderValue, began: i64, cookies: Vec<String> },
    /// Nobody is signed in; these go.
    Nobody { cookies: Vec<String> },
    /// Its token has ended, and Keycloak gives no other one now.
    Unavailable(TokenError),
}

/// What a request tells before it is taken apart.
pub(super) struct Visit {
    pub sign_in: Arc<SignInState>,
    pub sealer: Arc<Sealer>,
    pub cookies: String,
    /// Somebody looks at the answer.
    pub is_navigation: bool,
    /// Path and query.
    pub target: String,
}

impl Visit {
    pub fn found(&self) -> Found<'_> {
        self.sign_in.names.find(&self.cookies)
    }
}

impl GuardConnection {
    /// Answers a request to an application whose guard signs people in.
    pub(in crate::proxy) async fn visit(
        &self,
        sign_in: Arc<SignInState>,
        mut parts: Parts,
        body: Incoming,
        authorization: Option<HeaderValue>,
        started: Instant,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let cookies = take_cookies(&mut parts.headers).map_err(|refusal| self.stop("refused", refusal))?;
        let Some(sealer) = sign_in.sealer() else { return Err(self.stop("unavailable", no_keys())) };
        let path = parts.uri.path();
        let is_navigation = is_navigation(&parts.method, &parts.headers) && !sign_in.settings.is_api(path);
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let visit = Visit { sign_in, sealer, cookies, is_navigation, target };
        if settings::is_own(path) {
            return self.own_path(&visit, parts, body).await;
        }
        if authorization.is_some() {
            let answered = self.answer(parts, body, authorization, started).await;
            return answered.map(without_ours);
        }
        let (authorization, began, cookies) = match self.resume(&visit).await {
            Resumed::Session { authorization, began, cookies } => (Some(authorization), Some(began), cookies),
            Resumed::Nobody { cookies } => (None, None, cookies),
            Resumed::Unavailable(error) => return self.explain(&visit, unavailable(error)),
        };
        if authorization.is_some() && !self.is_own(&visit, &parts) {
            return Err(self.stop("denied", cross_site()));
        }
        let mut response = match self.answer(parts, body, authorization, started).await {
            Ok(response) if began.is_some() => kept_by_nobody_else(without_ours(response)),
            Ok(response) => without_ours(response),
            Err(refusal) => self.refused(&visit, refusal, began)?,
        };
        set(&mut response, &cookies);
        Ok(response)
    }

    /// Whether the application's own pages ask, or those of an origin that may.
    pub(super) fn is_own(&self, visit: &Visit, parts: &Parts) -> bool {
        let view = self.guard.view();
        let allows = |origin: &str| match &view.policy {
            PolicyState::Active(policy) => policy.cors.as_ref().is_some_and(|cors| cors.allow(origin.as_bytes())),
            PolicyState::Missing | PolicyState::Deleted => false,
        };
        let arrival = Arrival {
            method: &parts.method,
            headers: &parts.headers,
            is_websocket: parts.extensions.get::<Handshake>().is_some(),
            is_api: visit.sign_in.settings.is_api(parts.uri.path()),
        };
        arrival.is_own(&visit.sign_in.settings.origin, allows)
    }

    /// The session that a request's cookie holds, renewed where that is due.
    async fn resume(&self, visit: &Visit) -> Resumed {
        let (found, now) = (visit.found(), visit.sign_in.clock.now());
        let nobody = || Resumed::Nobody { cookies: clear(&visit.sign_in, &found) };
        let Some(value) = &found.session else { return nobody() };
        let Some(text) = visit.sealer.open(Purpose::Session, value) else { return nobody() };
        let Ok(session) = serde_json::from_slice::<Session<'_>>(&text) else { return nobody() };
        if visit.sign_in.ended.has(&session) {
            return nobody();
        }
        let (session, is_new) = match session.state(visit.sign_in.settings.lifetimes, now) {
            State::Over => return nobody(),
            State::Good => (session, false),
            State::Due if session.refresh.is_empty() => (session, false),
            State::Noted => (Session { used: now, ..session }, true),
            State::Due => match self.renewed(visit, &session, now).await {
                Ok(Some(renewed)) => (renewed, true),
                Ok(None) => return nobody(),
                Err(_) if now < session.expires_at => (session, false),
                Err(error) => return Resumed::Unavailable(error),
            },
        };
        let cookies = if is_new { self.sealed(visit, &session, found.pieces, now) } else { Some(Vec::new()) };
        let authorization = bearer(&session.access);
        match (authorization, cookies) {
            (Some(authorization), Some(cookies)) => Resumed::Session { authorization, began: session.began, cookies },
            _ => nobody(),
        }
    }

    /// The same session with fresh tokens; `None`: it is over at Keycloak.
    async fn renewed(
        &self,
        visit: &Visit,
        session: &Session<'_>,
        now: i64,
    ) -> Result<Option<Session<'static>>, TokenError> {
        let sign_in = &visit.sign_in;
        let tokens = match sign_in.renewals.renew(&sign_in.endpoint, &session.refresh, &sign_in.clock).await {
            Ok(tokens) => tokens,
            Err(TokenError::GrantRefused) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Ok((subject, expires_at)) = self.proven(&tokens.access).await else { return Ok(None) };
        if subject != session.subject {
            return Ok(None);
        }
        let refresh =
            if tokens.refresh.is_empty() { session.refresh.clone().into_owned() } else { tokens.refresh.clone() };
        Ok(Some(Session {
            id: session.id.clone().into_owned().into(),
            subject: subject.into(),
            began: session.began,
            used: now,
            access: tokens.access.clone().into(),
            expires_at,
            refresh: refresh.into(),
        }))
    }

    /// Whose token this is and when it ends, as the guard itself verifies it.
    pub(super) async fn proven(&self, token: &str) -> Result<(String, i64), VerifyError> {
        let verify = |trust: &Trust, now| {
            let verified = trust.verify(token, now)?;
            Ok((verified.principal.subject().to_owned(), verified.principal.times.expires_at))
        };
        self.verified(verify).await
    }

    /// Verifies by the keys in force, and where the key is unknown once more by those that are fetched anew.
    pub(super) async fn verified<T>(
        &self,
        verify: impl Fn(&Trust, i64) -> Result<T, VerifyError>,
    ) -> Result<T, VerifyError> {
        let attempt = || {
            let view = self.guard.view();
            let trust = view.trust.as_ref().ok_or(VerifyError::NoKeys)?;
            verify(trust, self.guard.clock().now())
        };
        match attempt() {
            Err(VerifyError::UnknownKey(issuer)) => {
                let found = {
                    let view = self.guard.view();
                    let trusted = view.trust.as_ref().and_then(|trust| trust.issuers.get(issuer));
                    trusted.map(|trusted| Arc::clone(&trusted.issuer))
                };
                if let Some(issuer) = found {
                    issuer.refresh().await;
                }
                attempt()
            }
            result => result,
        }
    }

    /// The cookies of a session; `None`: no browser keeps so much.
    pub(super) fn sealed(&self, visit: &Visit, session: &Session<'_>, had: usize, now: i64) -> Option<Vec<String>> {
        let text = serde_json::to_vec(session).ok()?;
        let sealed = visit.sealer.seal(Purpose::Session, &text)?;
        let seconds = session.left(visit.sign_in.settings.lifetimes, now);
        visit.sign_in.names.session(&sealed, seconds, had)
    }

    /// What a browser gets where the guard said no: the way to Keycloak, or a page; scripts get the refusal as it is.
    fn refused(&self, visit: &Visit, refusal: Refusal, began: Option<i64>) -> Result<Response<AnswerBody>, Refusal> {
        if !visit.is_navigation {
            return Err(refusal);
        }
        let is_circle = began.is_some_and(|began| visit.sign_in.clock.now().saturating_sub(began) < LATELY);
        if refusal.status() == StatusCode::UNAUTHORIZED && !is_circle {
            let begun = visit.sign_in.begin(&visit.sealer, &visit.found(), &visit.target);
            return begun.ok_or(refusal);
        }
        self.explain(visit, refusal)
    }

    /// A page in place of a refusal, for who looks at it.
    pub(super) fn explain(&self, visit: &Visit, refusal: Refusal) -> Result<Response<AnswerBody>, Refusal> {
        if !visit.is_navigation {
            return Err(refusal);
        }
        let id = id();
        tracing::warn!(
            id,
            reason = refusal.reason(),
            status = refusal.status().as_u16(),
            path = path_of(&visit.target),
            "a browser was shown a page"
        );
        let (title, text, action) = match refusal.status() {
            StatusCode::FORBIDDEN => (
                "You have no access to this",
                "You are signed in, but nobody has given you the right to open this page. Ask whoever runs this application, or sign in as somebody else.",
                Action::Link("/.keywire/sign-out", "Sign out"),
            ),
            StatusCode::UNAUTHORIZED => (
                "Signing in did not work",
                "Keycloak let you in, but this application does not take what it said. Try again; if that does not help, tell whoever runs this application.",
                Action::Link("/.keywire/sign-in", "Try again"),
            ),
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND => (
                "This address cannot be opened",
                "There is nothing here, or the address has a mistake in it.",
                Action::Link("/", "Start page"),
            ),
            _ => (
                "This does not work at the moment",
                "The application, or what it signs people in by, does not answer. Try again in a little while.",
                Action::Link("/", "Try again"),
            ),
        };
        let page = Page { status: refusal.status(), reason: refusal.reason(), title, text, action, id: Some(&id) };
        Ok(page.into_response(&visit.sign_in.settings))
    }
}

/// The path, without a query that may hold anything.
fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or_default()
}

/// All cookies; ours are left out of what goes on.
fn take_cookies(headers: &mut HeaderMap) -> Result<String, Refusal> {
    let fields: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    let joined = String::from_utf8(fields.join(&b"; "[..])).map_err(|_| {
        Refusal::ambiguous("invalid_cookie", "Refused: a cookie is not of UTF-8; delete this site's cookies.")
    })?;
    if fields.is_empty() {
        return Ok(joined);
    }
    match cookies::without_ours(&joined).and_then(|kept| HeaderValue::from_bytes(kept.as_bytes()).ok()) {
        Some(kept) => headers.insert(header::COOKIE, kept),
        None => headers.remove(header::COOKIE),
    };
    Ok(joined)
}

/// The application's answer, less what would set one of our cookies.
fn without_ours(mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    let is_ours = |value: &HeaderValue| cookies::sets_ours(&String::from_utf8_lossy(value.as_bytes()));
    if response.headers().get_all(header::SET_COOKIE).iter().any(is_ours) {
        let kept: Vec<_> =
            response.headers().get_all(header::SET_COOKIE).iter().filter(|value| !is_ours(value)).cloned().collect();
        response.headers_mut().remove(header::SET_COOKIE);
        for value in kept {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

/// What somebody is shown who is signed in is that person's, and counts as long as the session does. Of an answer that says
/// nothing caches assume otherwise (RFC 9111, §4.2.2): no `Authorization` tells them that it is somebody's.
fn kept_by_nobody_else(mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-cache"));
    response
}

/// `Set-Cookie`s by which a session goes.
pub(super) fn clear(sign_in: &SignInState, found: &Found<'_>) -> Vec<String> {
    (0..found.pieces).map(|at| sign_in.names.set(Use::Session(at), "", 0)).collect()
}

fn bearer(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn no_keys() -> Refusal {
    Refusal::unavailable(
        "sign_in_keys_missing",
        "The keys of this application's sessions have not come yet; try again shortly.",
    )
}

fn cross_site() -> Refusal {
    let message =
        "Refused: what changes something must come from the application's own pages (Origin), or carry a bearer token.";
    Refusal::new(StatusCode::FORBIDDEN, "access_denied", "cross_site_request", message)
}

fn unavailable(error: TokenError) -> Refusal {
    Refusal::unavailable(error.into(), format!("Your session could not be renewed: {error}. Try again shortly."))
}
