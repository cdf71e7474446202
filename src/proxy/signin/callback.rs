//! A browser comes back from Keycloak (OpenID Connect Core 1.0, §3.1.2.5), and has a session.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{Method, Response, StatusCode, request::Parts};
use hyper::body::Incoming;
use url::form_urlencoded;

use super::{
    begin::{NAME, redirect},
    endpoint::TokenError,
    enter::{Visit, clear},
    keys::Purpose,
    pages::{Action, Page, id},
};
use crate::{
    core::signin::{
        cookies::Use,
        return_path,
        session::{Attempt, Session},
        settings::{BACKCHANNEL_LOGOUT, CALLBACK, OWN, SIGNED_OUT},
    },
    proxy::{
        guard::{audit::Record, serve::GuardConnection},
        http::{answer::Refusal, body::AnswerBody},
        tokens::{
            id_token::{SignedIn, signed_in},
            verify::VerifyError,
        },
    },
};

/// Why nobody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum CallbackError {
    /// A parameter twice, or none of those that an answer has.
    #[error("the answer has a parameter twice, or lacks one")]
    Malformed,
    /// This browser did not begin it, or too long ago, or it was answered already.
    #[error("this browser did not begin it, or it took too long, or it was answered before")]
    UnknownAttempt,
    /// The answer is another issuer's (RFC 9207).
    #[error("the answer is another issuer's")]
    WrongIssuer,
    /// Keycloak, or the person, says no.
    #[error("Keycloak did not sign anybody in")]
    Denied,
    /// Keycloak says that it cannot.
    #[error("Keycloak could not sign anybody in")]
    Failed,
    /// The code.
    #[error(transparent)]
    #[strum(serialize = "code_not_redeemed")]
    Token(#[from] TokenError),
    /// No ID token, or not that of this attempt.
    #[error("the ID token: {0}")]
    IdToken(VerifyError),
    /// The access token is not one for this application.
    #[error("the access token: {0}")]
    AccessToken(VerifyError),
    /// Longer than what browsers keep.
    #[error("the session does not fit into cookies: too many roles or claims in the tokens")]
    TooLong,
}

impl CallbackError {
    fn reason(self) -> &'static str {
        match self {
            Self::Token(error) => error.into(),
            other => other.into(),
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Malformed | Self::UnknownAttempt | Self::WrongIssuer | Self::Token(TokenError::GrantRefused) => {
                StatusCode::BAD_REQUEST
            }
            Self::Denied => StatusCode::FORBIDDEN,
            Self::Failed | Self::Token(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::IdToken(_) | Self::AccessToken(_) | Self::TooLong => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Malformed | Self::WrongIssuer => (
                "Signing in did not work",
                "What came back from the sign-in page is not what this application asked for.",
            ),
            Self::UnknownAttempt | Self::Token(TokenError::GrantRefused) => (
                "Please sign in once more",
                "Signing in took too long, was finished in another tab already, or this browser keeps no cookies. Allow cookies for this site if you have switched them off.",
            ),
            Self::Denied => ("You were not signed in", "The sign-in page did not let you in, or you left it."),
            Self::Failed | Self::Token(TokenError::Unavailable) => (
                "Signing in does not work at the moment",
                "What signs people in does not answer. Try again in a little while.",
            ),
            Self::Token(_) | Self::IdToken(_) | Self::AccessToken(_) | Self::TooLong => (
                "Signing in did not work",
                "This application is not set up as the sign-in needs it. Tell whoever runs it, with the reference below.",
            ),
        }
    }
}

/// What Keycloak says in the redirect.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    state: Option<String>,
    code: Option<String>,
    issuer: Option<String>,
    error: Option<String>,
}

impl Said {
    fn read(query: &str) -> Result<Self, CallbackError> {
        let mut said = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "state" => &mut said.state,
                "code" => &mut said.code,
                "iss" => &mut said.issuer,
                "error" => &mut said.error,
                _ => continue,
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(CallbackError::Malformed);
            }
        }
        Ok(said)
    }
}

impl GuardConnection {
    /// The guard's own paths at an application.
    pub(super) async fn own_path(
        &self,
        visit: &Visit,
        parts: Parts,
        body: Incoming,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let name = parts.uri.path().strip_prefix(OWN).unwrap_or_default();
        match (&parts.method, name) {
            (&Method::GET, "sign-in") => {
                let to = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
                let to = to.into_iter().find(|(name, _)| name == "to").map(|(_, to)| to.into_owned());
                let begun = visit.sign_in.begin(&visit.sealer, &visit.found(), to.as_deref().unwrap_or("/"));
                begun.ok_or_else(|| Refusal::unavailable("no_randomness", "The system has no randomness; try again."))
            }
            (&Method::GET, CALLBACK) => Ok(self.callback(visit, parts.uri.query().unwrap_or_default()).await),
            (&Method::GET | &Method::POST, "sign-out") => Ok(self.sign_out(visit, &parts)),
            (&Method::GET, SIGNED_OUT) => Ok(signed_out_page(visit)),
            (&Method::POST, BACKCHANNEL_LOGOUT) => Ok(self.backchannel(visit, body).await),
            _ => {
                let refusal =
                    Refusal::new(StatusCode::NOT_FOUND, "not_found", "unknown_path", "There is nothing here.");
                self.explain(visit, self.stop("refused", refusal))
            }
        }
    }

    async fn callback(&self, visit: &Visit, query: &str) -> Response<AnswerBody> {
        match self.signed_in(visit, query).await {
            Ok(response) => response,
            Err(error) => {
                let (id, (title, text)) = (id(), error.told());
                tracing::warn!(id, reason = error.reason(), %error, "somebody could not be signed in");
                self.record(
                    "denied",
                    error.reason(),
                    &Record { route: Some("/.keywire/callback"), ..Record::default() },
                );
                let action = Action::Link("/", "Try again");
                let page = Page { status: error.status(), reason: error.reason(), title, text, action, id: Some(&id) };
                page.into_response(&visit.sign_in.settings)
            }
        }
    }

    async fn signed_in(&self, visit: &Visit, query: &str) -> Result<Response<AnswerBody>, CallbackError> {
        let (sign_in, now) = (&visit.sign_in, visit.sign_in.clock.now());
        let Said { state, code, issuer, error } = Said::read(query)?;
        let state = state.ok_or(CallbackError::Malformed)?;
        let found = visit.found();
        // The cookie proves that this browser began it; without it, anybody could sign a browser in as himself.
        let name = state.get(..NAME).ok_or(CallbackError::UnknownAttempt)?;
        let (_, sealed) =
            found.attempts.iter().find(|(found, _)| *found == name).ok_or(CallbackError::UnknownAttempt)?;
        let text = visit.sealer.open(Purpose::Attempt, sealed).ok_or(CallbackError::UnknownAttempt)?;
        let attempt: Attempt<'_> = serde_json::from_slice(&text).map_err(|_| CallbackError::UnknownAttempt)?;
        let is_it = verify_slices_are_equal(attempt.state.as_bytes(), state.as_bytes()).is_ok();
        if !is_it || !attempt.is_current(now) {
            return Err(CallbackError::UnknownAttempt);
        }
        // Keycloak names itself in each answer: without its name it is somebody else's.
        if issuer.as_deref() != self.issuer().as_deref() || issuer.is_none() {
            return Err(CallbackError::WrongIssuer);
        }
        match error.as_deref() {
            None => {}
            Some("temporarily_unavailable" | "server_error") => return Err(CallbackError::Failed),
            Some(_) => return Err(CallbackError::Denied),
        }
        let code = code.ok_or(CallbackError::Malformed)?;
        let tokens = sign_in.endpoint.redeem(&code, &attempt.verifier).await?;
        let client = &sign_in.settings.client_id;
        let identified = self.verified(|trust, now| signed_in(trust, &tokens.id, client, &attempt.nonce, now)).await;
        let SignedIn { session: id, subject } = identified.map_err(CallbackError::IdToken)?;
        let (holder, expires_at) = self.proven(&tokens.access).await.map_err(CallbackError::AccessToken)?;
        if holder != subject {
            return Err(CallbackError::AccessToken(VerifyError::UnknownIssuer));
        }
        let session = Session {
            id: id.into(),
            subject: subject.into(),
            began: now,
            used: now,
            access: tokens.access.into(),
            expires_at,
            refresh: tokens.refresh.into(),
        };
        let mut cookies = self.sealed(visit, &session, found.pieces, now).ok_or(CallbackError::TooLong)?;
        cookies.push(sign_in.names.set(Use::Attempt(name), "", 0));
        // Without it Keycloak asks whether somebody wants to sign out; that is all.
        if let Some(sealed) = visit.sealer.seal(Purpose::Farewell, tokens.id.as_bytes())
            && sealed.len() <= crate::core::signin::cookies::MAX_VALUE
        {
            cookies.push(sign_in.names.set(Use::Farewell, &sealed, sign_in.settings.lifetimes.absolute));
        }
        self.record("allowed", "signed_in", &Record { route: Some("/.keywire/callback"), ..Record::default() });
        let to = format!("{}{}", sign_in.settings.origin, return_path::within(&attempt.target));
        redirect(&to, &cookies).ok_or(CallbackError::Malformed)
    }

    /// Who may answer.
    fn issuer(&self) -> Option<String> {
        let view = self.guard.view();
        let trust = view.trust.as_ref()?;
        trust.issuers.first().map(|trusted| trusted.issuer.name().to_owned())
    }
}

fn signed_out_page(visit: &Visit) -> Response<AnswerBody> {
    let page = Page {
        status: StatusCode::OK,
        reason: "signed_out",
        title: "You are signed out",
        text: "This browser has no session here any more.",
        action: Action::Link("/", "Sign in again"),
        id: None,
    };
    let mut response = page.into_response(&visit.sign_in.settings);
    super::begin::set(&mut response, &clear(&visit.sign_in, &visit.found()));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_there_once() {
        let read = |query| Said::read(query).map(|said| (said.state, said.code, said.issuer, said.error));
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(read("state=a&code=b&iss=c%2Fd&session_state=e"), Ok((own("a"), own("b"), own("c/d"), None)));
        assert_eq!(read(""), Ok((None, None, None, None)));
        for query in ["state=a&state=a", "code=a&code=b", "state=a&%63ode=a&code=b", "iss=a&iss=b", "error=a&error=b"] {
            assert_eq!(read(query), Err(CallbackError::Malformed), "{query}");
        }
    }
}
