//! Sessions end: here and at Keycloak (OpenID Connect RP-Initiated Logout 1.0), or there first (Back-Channel Logout 1.0).

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use hyper::body::Incoming;
use url::form_urlencoded;

use super::{
    begin::redirect,
    enter::{Visit, clear},
    keys::Purpose,
    pages::{Action, Page},
};
use crate::{
    core::signin::{cookies::Use, session::Session, settings::SIGNED_OUT},
    proxy::{
        guard::{audit::Record, serve::GuardConnection},
        http::body::AnswerBody,
        tokens::id_token::signed_out,
    },
};

/// The longest form with a logout token, in bytes.
const MAX_FORM: usize = 32 * 1024;

impl GuardConnection {
    /// Ends a browser's session, and sends it to Keycloak to end that one too. Other sites' pages can only ask for it.
    pub(super) fn sign_out(&self, visit: &Visit, parts: &Parts) -> Response<AnswerBody> {
        let site = parts.headers.get(HeaderName::from_static("sec-fetch-site")).map(HeaderValue::as_bytes);
        let is_asked = match parts.method {
            Method::POST => self.is_own(visit, parts),
            _ => matches!(site, Some(b"same-origin" | b"none")),
        };
        if !is_asked {
            return question(visit);
        }
        let (sign_in, found, now) = (&visit.sign_in, visit.found(), visit.sign_in.clock.now());
        let session = found.session.as_ref().and_then(|sealed| visit.sealer.open(Purpose::Session, sealed));
        if let Some(session) = session.as_ref().and_then(|text| serde_json::from_slice::<Session<'_>>(text).ok()) {
            let until = session.began.saturating_add(sign_in.settings.lifetimes.absolute);
            sign_in.ended.end(&session.id, until, now);
        }
        let hint = found.farewell.and_then(|sealed| visit.sealer.open(Purpose::Farewell, sealed));
        let mut url = sign_in.settings.logout_url.clone();
        url.query_pairs_mut()
            .append_pair("client_id", &sign_in.settings.client_id)
            .append_pair("post_logout_redirect_uri", &sign_in.settings.own_url(SIGNED_OUT));
        if let Some(hint) = hint.and_then(|hint| String::from_utf8(hint).ok()) {
            url.query_pairs_mut().append_pair("id_token_hint", &hint);
        }
        let mut cookies = clear(sign_in, &found);
        cookies.push(sign_in.names.set(Use::Farewell, "", 0));
        self.record("allowed", "signed_out", &Record { route: Some("/.keywire/sign-out"), ..Record::default() });
        redirect(url.as_str(), &cookies).unwrap_or_else(|| question(visit))
    }

    /// Keycloak says that a session has ended.
    pub(super) async fn backchannel(&self, visit: &Visit, body: Incoming) -> Response<AnswerBody> {
        let sign_in = &visit.sign_in;
        let now = sign_in.clock.now();
        let Ok(held) = self.worker.bodies().collect(body, MAX_FORM).await else { return told(Err("form_not_read")) };
        let mut tokens = form_urlencoded::parse(&held.bytes).filter(|(name, _)| name == "logout_token");
        let (Some((_, token)), None) = (tokens.next(), tokens.next()) else { return told(Err("no_logout_token")) };
        let client = &sign_in.settings.client_id;
        let said = match self.verified(|trust, now| signed_out(trust, &token, client, now)).await {
            Ok(said) => said,
            Err(error) => {
                tracing::warn!(reason = error.reason(), %error, "a logout token was refused");
                return told(Err(error.reason()));
            }
        };
        let until = now.saturating_add(sign_in.settings.lifetimes.absolute);
        if !sign_in.ended.take(said, until, now) {
            return told(Err("logout_token_replayed"));
        }
        self.record("allowed", "signed_out_at_keycloak", &Record::default());
        told(Ok(()))
    }
}

/// Whether somebody really wants to go.
fn question(visit: &Visit) -> Response<AnswerBody> {
    let page = Page {
        status: StatusCode::OK,
        reason: "sign_out_asked",
        title: "Sign out?",
        text: "You will be signed out of this application, and of what you signed in with.",
        action: Action::Button("/.keywire/sign-out", "Sign out"),
        id: None,
    };
    page.into_response(&visit.sign_in.settings)
}

/// Back-Channel Logout 1.0, §2.8.
fn told(result: Result<(), &'static str>) -> Response<AnswerBody> {
    let (status, body) = match result {
        Ok(()) => (StatusCode::OK, Vec::new()),
        Err(reason) => {
            let body = serde_json::json!({"error": "invalid_request", "error_description": reason});
            (StatusCode::BAD_REQUEST, body.to_string().into_bytes())
        }
    };
    let mut response = Response::new(AnswerBody::full(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status != StatusCode::OK {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}
