//! The token itself, for applications that must hold it (`token: Offered` of a target).
//!
//! Whoever can make the application fetch a URL of his choosing must not get it: the request has to carry a field that such
//! a fetch does not, name this host and no other, and come from no page and through no proxy.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Serialize;

use crate::proxy::{
    handles,
    http::{answer::Refusal, body::AnswerBody},
};

/// Where each target's port gives its token.
pub const PATH: &str = "/.keywire/token";
/// The field that asks for it, and its value.
pub const FIELD: HeaderName = HeaderName::from_static("x-keywire-token");
const ASKED: &str = "request";
/// Fields of requests that somebody else had made: a page, or a proxy's client.
const OF_OTHERS: [HeaderName; 6] = [
    header::ORIGIN,
    header::REFERER,
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
];

/// A token as its issuer would give it (RFC 6749 §5.1).
#[derive(Serialize)]
struct Answer<'a> {
    access_token: &'a str,
    token_type: &'a str,
    expires_in: i64,
}

/// Whether a request is one for the token, and not for the endpoint.
pub fn is_asked(request: &Request<impl Sized>) -> bool {
    request.uri().path() == PATH
}

/// Refuses whoever need not be the application itself.
pub fn check(request: &Request<impl Sized>, is_offered: bool) -> Result<(), Refusal> {
    if !is_offered {
        let message = "This target gives its token to nobody; set token: Offered at it in the WorkloadIdentity.";
        return Err(refused("token_not_offered", message));
    }
    if request.method() != Method::GET {
        return Err(refused("token_request", "Ask for the token with GET."));
    }
    let headers = request.headers();
    let mut fields = headers.get_all(FIELD).iter();
    if (fields.next().map(HeaderValue::as_bytes), fields.next()) != (Some(ASKED.as_bytes()), None) {
        return Err(refused("token_request", "The token is given with the header X-Keywire-Token: request alone."));
    }
    if headers.contains_key(handles::FIELD) {
        return Err(refused(
            "token_request",
            "Only the workload's own token is given, never one on somebody's behalf.",
        ));
    }
    if OF_OTHERS.iter().any(|field| headers.contains_key(field)) || !is_local(request.uri().host(), headers) {
        let message = "The token is given to the application itself, at 127.0.0.1: not to pages, nor through proxies.";
        return Err(refused("token_request", message));
    }
    Ok(())
}

fn refused(reason: &'static str, message: &'static str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "access_denied", reason, message)
}

/// Whether the request names this host: a name that somebody leads here (DNS rebinding) is another one.
fn is_local(authority: Option<&str>, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let of_field = match (hosts.next(), hosts.next()) {
        (None, None) => None,
        (Some(host), None) => Some(host.to_str().unwrap_or_default()),
        _ => return false,
    };
    let is_here = |host: &str| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        ["127.0.0.1", "localhost"].contains(&name)
    };
    let named: Vec<_> = authority.into_iter().chain(of_field).collect();
    !named.is_empty() && named.into_iter().all(is_here)
}

/// The answer. `authorization` is the field's value, `expires_in` is in seconds.
pub fn answer(authorization: &HeaderValue, expires_in: i64) -> Option<Response<AnswerBody>> {
    let access_token = authorization.to_str().ok()?.strip_prefix("Bearer ")?;
    let body = serde_json::to_vec(&Answer { access_token, token_type: "Bearer", expires_in }).ok()?;
    let mut response = Response::new(AnswerBody::full(Bytes::from(body)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(method: &str, fields: &[(&str, &str)], is_offered: bool) -> Option<&'static str> {
        let request = Request::builder().method(method).uri(PATH);
        let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(()).expect("a request");
        check(&request, is_offered).err().map(|refusal| refusal.reason())
    }

    #[test]
    fn who_may_have_the_token() {
        let asked = ("x-keywire-token", "request");
        let here = ("host", "127.0.0.1:15100");
        for (fields, expected) in [
            (vec![asked, here], None),
            (vec![asked, ("host", "localhost")], None),
            (vec![here], Some("token_request")),
            (vec![("x-keywire-token", "yes"), here], Some("token_request")),
            (vec![asked, asked, here], Some("token_request")),
            (vec![asked], Some("token_request")),
            (vec![asked, ("host", "evil.example:15100")], Some("token_request")),
            (vec![asked, ("host", "127.0.0.1.evil.example")], Some("token_request")),
            (vec![asked, here, here], Some("token_request")),
            (vec![asked, here, ("origin", "http://127.0.0.1:15100")], Some("token_request")),
            (vec![asked, here, ("referer", "http://a")], Some("token_request")),
            (vec![asked, here, ("x-forwarded-for", "1.2.3.4")], Some("token_request")),
            (vec![asked, here, ("forwarded", "for=1.2.3.4")], Some("token_request")),
            (vec![asked, here, ("via", "1.1 a")], Some("token_request")),
            (vec![asked, here, ("x-keywire-on-behalf-of", "AAAAAAAAAAAAAAAAAAAAAA")], Some("token_request")),
        ] {
            assert_eq!(reason("GET", &fields, true), expected, "{fields:?}");
            assert_eq!(reason("GET", &fields, false), Some("token_not_offered"), "{fields:?}");
        }
        assert_eq!(reason("POST", &[asked, here], true), Some("token_request"));
    }
}
