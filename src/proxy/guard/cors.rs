//! Calls from pages of other origins (the Fetch standard's CORS protocol): the policy says which, whatever the application
//! says of it.
//!
//! `Access-Control-Allow-Credentials` is never sent: tokens come in `Authorization`, and cookies prove nothing here.

use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{self, HeaderName},
    request::Parts,
};

use super::state::{PolicyState, View};
use crate::{
    core::policy::cors::Origins,
    proxy::http::{answer::Refusal, body::AnswerBody},
};

/// What a page may read of an answer beside what every page may.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("www-authenticate, x-keywire-reason, retry-after, mcp-session-id");
/// What a page may call with. Which of them a route has is decided when it calls.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
/// What an answer to a preflight depends on.
const VARY: HeaderValue =
    HeaderValue::from_static("Origin, Access-Control-Request-Method, Access-Control-Request-Headers");
/// How long a browser may keep the answer to a preflight, in seconds: a change of the policy is seen within that time.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
/// The most that a preflight's list of fields may be, in bytes.
const MAX_FIELDS: usize = 1024;

/// An answer that says by itself who may read it.
#[derive(Clone, Copy, Debug)]
pub struct Told;

/// A call to an endpoint whose policy has CORS.
#[derive(Debug)]
pub struct Asked {
    /// The page's origin, if it may call.
    origin: Option<HeaderValue>,
}

impl Asked {
    /// `None` where the policy has no CORS.
    pub fn of(view: &View, headers: &HeaderMap) -> Option<Self> {
        let origins = origins(view)?;
        Some(Self { origin: origin(headers).filter(|origin| origins.allow(origin.as_bytes())).cloned() })
    }

    /// Says in an answer what the policy says, instead of what the application does.
    pub fn write(self, response: &mut Response<AnswerBody>) {
        if response.extensions_mut().remove::<Told>().is_some() {
            return;
        }
        let headers = response.headers_mut();
        take_out(headers);
        // Also without an origin: a cache must not show the one answer for the other.
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = self.origin {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
}

/// The answer to a preflight; `None`: it is none, or the policy has no CORS, and the tables decide.
pub fn preflight(view: &View, parts: &Parts) -> Option<Result<Response<AnswerBody>, Refusal>> {
    if parts.method != Method::OPTIONS || !parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    let (origins, origin) = (origins(view)?, origin(&parts.headers)?);
    Some(match origins.allow(origin.as_bytes()) {
        true => Ok(allowed(origin.clone(), &parts.headers)),
        false => Err(refused()),
    })
}

fn allowed(origin: HeaderValue, asked: &HeaderMap) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::full(bytes::Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.extensions_mut().insert(Told);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fields(asked));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    headers.insert(header::VARY, VARY);
    response
}

fn refused() -> Refusal {
    let message = "Pages of this origin may not call this endpoint; its owner may name the origin in spec.cors.";
    Refusal::new(StatusCode::FORBIDDEN, "access_denied", "origin_not_allowed", message)
}

/// `authorization`, `content-type`, and whatever was asked for and is a plain name.
fn fields(asked: &HeaderMap) -> HeaderValue {
    let mut names = "authorization, content-type".to_owned();
    let lists = asked.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|list| list.to_str().ok());
    for name in lists.flat_map(|list| list.split(',')).map(|name| name.trim().to_ascii_lowercase()) {
        let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_new = name != header::AUTHORIZATION.as_str() && name != header::CONTENT_TYPE.as_str();
        if is_plain && is_new && names.len() + name.len() < MAX_FIELDS {
            names.push_str(", ");
            names.push_str(&name);
        }
    }
    HeaderValue::try_from(names).unwrap_or(HeaderValue::from_static("authorization, content-type"))
}

fn take_out(headers: &mut HeaderMap) {
    let of_cors = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    let names: Vec<_> = headers.keys().filter(of_cors).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

fn origins(view: &View) -> Option<&Origins> {
    match &view.policy {
        PolicyState::Active(policy) => policy.cors.as_ref(),
        PolicyState::Missing | PolicyState::Deleted => None,
    }
}

/// The page's origin. Two of them are none.
fn origin(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut all = headers.get_all(header::ORIGIN).iter();
    all.next().filter(|_| all.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_are_allowed_again() {
        let long = "a".repeat(MAX_FIELDS);
        for (asked, allowed) in [
            ("", ""),
            ("Authorization, content-type", ""),
            ("mcp-session-id,X-Custom", ", mcp-session-id, x-custom"),
            ("*", ""),
            ("a b, c", ", c"),
            ("x_y, \"z\", é", ""),
            (&long, ""),
        ] {
            let mut headers = HeaderMap::new();
            let Ok(value) = HeaderValue::from_bytes(asked.as_bytes()) else { panic!("{asked}") };
            headers.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, value);
            assert_eq!(fields(&headers), format!("authorization, content-type{allowed}"), "{asked:.20}");
        }
    }
}
