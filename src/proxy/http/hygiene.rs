//! Header fields: what is refused, what is taken out, what passes.
//!
//! The order matters: whatever the client's `Connection` nominates is gone
//! before the guard adds its own fields (RFC 9110 §7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{self, AUTHORIZATION, CONNECTION, HOST},
};

/// The beginning of every field that only the guard may set.
pub const IDENTITY_PREFIX: &str = "x-keywire-";
/// The longest `Host`, in bytes.
const MAX_HOST: usize = 255;

/// Why a request's fields are refused. Each is a 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum HygieneError {
    /// None, more than one, or no host at all in it.
    #[error("the request needs exactly one valid Host")]
    InvalidHost,
    /// More than one `Authorization`.
    #[error("the request has more than one Authorization")]
    DuplicateAuthorization,
    /// Any `Upgrade` (h2c above all).
    #[error("the request asks for an Upgrade, which is not served here; configure the client for plain HTTP/1.1")]
    UpgradeRefused,
    /// A field that tells some servers another method or path.
    #[error("the request has a header that overrides its method or path")]
    OverrideHeader,
    /// `X_Keywire_Subject`, `X.Forwarded.For`: some servers read them as the dashed name.
    #[error("the request has a header whose name some servers read as another one")]
    AliasedHeader,
    /// `Connection` nominates a field that the decision rests on.
    #[error("the Connection header nominates a header that must not be dropped")]
    InvalidConnection,
}

/// What becomes of a field.
enum Fate {
    Keep,
    Host,
    Authorization,
    Connection,
    Drop,
}

/// Checks a request's fields and takes out what must not go on, the
/// `Authorization` among it, which is returned.
pub fn clean_request(headers: &mut HeaderMap) -> Result<Option<HeaderValue>, HygieneError> {
    let (mut hosts, mut authorizations, mut connection) = (0, 0, false);
    let mut dropped: Vec<HeaderName> = Vec::new();
    for (name, value) in headers.iter() {
        match fate(name)? {
            Fate::Keep => {}
            Fate::Host => {
                hosts += 1;
                check_host(value)?;
            }
            Fate::Authorization => authorizations += 1,
            Fate::Connection => connection = true,
            Fate::Drop => dropped.push(name.clone()),
        }
    }
    if hosts != 1 {
        return Err(HygieneError::InvalidHost);
    }
    if authorizations > 1 {
        return Err(HygieneError::DuplicateAuthorization);
    }
    if connection {
        nominated(headers, &mut dropped)?;
        headers.remove(CONNECTION);
    }
    for name in dropped {
        headers.remove(name);
    }
    Ok(if authorizations == 0 { None } else { headers.remove(AUTHORIZATION) })
}

/// Whose upstream answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The application behind the guard: it may not speak for the guard.
    Guard,
    /// A guard: what it says is for the caller.
    Egress,
}

/// Takes out of an upstream's answer what is between two neighbours only, and
/// what only the guard may say.
pub fn clean_response(headers: &mut HeaderMap, side: Side) {
    let mut dropped: Vec<HeaderName> = Vec::new();
    for name in headers.keys() {
        let text = name.as_str();
        if is_hop_by_hop(text) || side == Side::Guard && text.starts_with(IDENTITY_PREFIX) {
            dropped.push(name.clone());
        }
    }
    if headers.contains_key(CONNECTION) {
        // What a response nominates protects nothing of ours: take out what can be.
        let _ = nominated(headers, &mut dropped);
    }
    for name in dropped {
        headers.remove(name);
    }
}

fn fate(name: &HeaderName) -> Result<Fate, HygieneError> {
    let text = name.as_str();
    match text {
        "host" => Ok(Fate::Host),
        "authorization" => Ok(Fate::Authorization),
        "connection" => Ok(Fate::Connection),
        "upgrade" | "http2-settings" => Err(HygieneError::UpgradeRefused),
        _ if is_override(text) => Err(HygieneError::OverrideHeader),
        // hyper frames the upstream's message anew and answers `Expect` itself.
        "expect" => Ok(Fate::Drop),
        _ if is_hop_by_hop(text) || is_forwarding(text) || text.starts_with(IDENTITY_PREFIX) => Ok(Fate::Drop),
        _ if is_alias(text) => Err(HygieneError::AliasedHeader),
        _ => Ok(Fate::Keep),
    }
}

fn is_override(name: &str) -> bool {
    matches!(
        name,
        "x-http-method-override"
            | "x-http-method"
            | "x-method-override"
            | "x-original-url"
            | "x-rewrite-url"
            | "x-original-method"
    )
}

/// RFC 9110 §7.6.1, and what older proxies used.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Who the client says that it is, or that it was forwarded for: nobody
/// in front of the guard is trusted to say so.
fn is_forwarding(name: &str) -> bool {
    name.starts_with("x-forwarded-")
        || matches!(
            name,
            "forwarded"
                | "x-real-ip"
                | "x-client-ip"
                | "true-client-ip"
                | "x-cluster-client-ip"
                | "x-envoy-external-address"
        )
}

/// A name that is not of letters, digits and dashes, and that a server which
/// maps the rest to one sign (CGI, WSGI) would take for one that counts here.
fn is_alias(name: &str) -> bool {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return false;
    }
    let dashed: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    dashed.starts_with(IDENTITY_PREFIX)
        || is_forwarding(&dashed)
        || is_hop_by_hop(&dashed)
        || is_override(&dashed)
        || matches!(
            dashed.as_str(),
            "host" | "authorization" | "content-length" | "content-type" | "content-encoding" | "expect"
        )
}

/// Adds the fields that `Connection` nominates to `dropped`.
fn nominated(headers: &HeaderMap, dropped: &mut Vec<HeaderName>) -> Result<(), HygieneError> {
    for value in headers.get_all(CONNECTION) {
        let text = value.to_str().map_err(|_| HygieneError::InvalidConnection)?;
        for token in text.split(',').map(str::trim).filter(|token| !token.is_empty()) {
            let name = HeaderName::from_bytes(token.as_bytes()).map_err(|_| HygieneError::InvalidConnection)?;
            match name {
                HOST | AUTHORIZATION | header::CONTENT_LENGTH | header::CONTENT_TYPE => {
                    return Err(HygieneError::InvalidConnection);
                }
                other => dropped.push(other),
            }
        }
    }
    Ok(())
}

fn check_host(value: &HeaderValue) -> Result<(), HygieneError> {
    let host = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    let bytes = value.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_HOST || !bytes.iter().all(host) {
        return Err(HygieneError::InvalidHost);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) else {
                panic!("{name}: {value}")
            };
            headers.append(name, value);
        }
        headers
    }

    fn left(fields: &[(&str, &str)]) -> Result<Vec<String>, HygieneError> {
        let mut headers = map(fields);
        clean_request(&mut headers)?;
        let mut names: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.sort();
        Ok(names)
    }

    #[test]
    fn what_must_not_go_on_is_taken_out() {
        let sent = [
            ("host", "iris:8080"),
            ("authorization", "Bearer x"),
            ("connection", "keep-alive, X-Private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("transfer-encoding", "chunked"),
            ("expect", "100-continue"),
            ("proxy-authorization", "Basic x"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-user", "root"),
            ("forwarded", "for=1"),
            ("x-real-ip", "1"),
            ("x-keywire-subject", "root"),
            ("X-Keywire-Anything", "root"),
            ("accept", "*/*"),
            ("my_header", "passes: it is nobody's alias"),
        ];
        assert_eq!(left(&sent), Ok(["accept", "host", "my_header"].map(str::to_owned).to_vec()));
        let mut headers = map(&sent);
        assert_eq!(clean_request(&mut headers), Ok(Some(HeaderValue::from_static("Bearer x"))));
    }

    #[test]
    fn ambiguous_fields_are_refused() {
        use HygieneError::*;
        for (fields, error) in [
            (&[][..], InvalidHost),
            (&[("host", "a"), ("host", "a")], InvalidHost),
            (&[("host", "")], InvalidHost),
            (&[("host", "a/b")], InvalidHost),
            (&[("host", "a@b")], InvalidHost),
            (&[("host", "a"), ("authorization", "Bearer x"), ("authorization", "Bearer x")], DuplicateAuthorization),
            (&[("host", "a"), ("upgrade", "h2c")], UpgradeRefused),
            (&[("host", "a"), ("upgrade", "websocket")], UpgradeRefused),
            (&[("host", "a"), ("http2-settings", "AAMAAABkAARAAAAAAAIAAAAA")], UpgradeRefused),
            (&[("host", "a"), ("x-http-method-override", "DELETE")], OverrideHeader),
            (&[("host", "a"), ("x-original-url", "/admin")], OverrideHeader),
            (&[("host", "a"), ("x_keywire_subject", "root")], AliasedHeader),
            (&[("host", "a"), ("X-Keywire_Roles", "root")], AliasedHeader),
            (&[("host", "a"), ("x.keywire.client", "root")], AliasedHeader),
            (&[("host", "a"), ("x_forwarded_for", "1")], AliasedHeader),
            (&[("host", "a"), ("content_length", "1")], AliasedHeader),
            (&[("host", "a"), ("content_type", "text/plain")], AliasedHeader),
            (&[("host", "a"), ("content.encoding", "gzip")], AliasedHeader),
            (&[("host", "a"), ("transfer_encoding", "chunked")], AliasedHeader),
            (&[("host", "a"), ("x_http_method_override", "PUT")], AliasedHeader),
            (&[("host", "a"), ("connection", "authorization")], InvalidConnection),
            (&[("host", "a"), ("connection", "close, Host")], InvalidConnection),
            (&[("host", "a"), ("connection", "a b")], InvalidConnection),
        ] {
            assert_eq!(left(fields), Err(error), "{fields:?}");
        }
    }

    #[test]
    fn answers_lose_what_is_between_neighbours() {
        let mut headers = map(&[
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("x-keywire-reason", "role_missing"),
            ("content-type", "text/plain"),
        ]);
        let mut from_guard = headers.clone();
        clean_response(&mut headers, Side::Guard);
        assert_eq!(headers, map(&[("content-type", "text/plain")]));
        clean_response(&mut from_guard, Side::Egress);
        assert_eq!(from_guard, map(&[("x-keywire-reason", "role_missing"), ("content-type", "text/plain")]));
    }
}
