//! The one mapping from "no" to an HTTP answer.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::body::AnswerBody;

/// The field that tells a machine why: the guard sets it, the egress half reads it.
pub const REASON: HeaderName = HeaderName::from_static("x-keywire-reason");

/// An answer that Keywire gives itself instead of the upstream.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    error: &'static str,
    reason: &'static str,
    message: String,
    challenge: Option<HeaderValue>,
    close: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Refusal {
    /// `reason` is a code for machines, `message` a sentence for a person. Neither
    /// may hold a token or anything else secret.
    pub fn new(status: StatusCode, error: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, error, reason, message: message.into(), challenge: None, close: false }
    }

    /// 400, and the connection is closed: what follows on it cannot be trusted.
    pub fn ambiguous(reason: &'static str, message: impl Into<String>) -> Self {
        Self { close: true, ..Self::new(StatusCode::BAD_REQUEST, "invalid_request", reason, message) }
    }

    /// 503: not now.
    pub fn unavailable(reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", reason, message)
    }

    /// Adds `WWW-Authenticate` (RFC 6750 §3).
    pub fn challenge(mut self, challenge: &str) -> Self {
        self.challenge = HeaderValue::from_str(challenge).ok();
        self
    }

    /// The reason code.
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The answer.
    pub fn into_response(self) -> Response<AnswerBody> {
        let body = Body { error: self.error, reason: self.reason, message: &self.message };
        // Three strings always serialise; an empty body would still be a refusal.
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = Response::new(AnswerBody::full(Bytes::from(text)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(REASON, HeaderValue::from_static(self.reason));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.close {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
