//! Header fields: what is refused, what is taken out, what passes.
//!
//! The order matters: whatever the client's `Connection` nominates is gone
//! before the guard adds its own fields (RFC 9110 §7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Uri,
    header::{self, AUTHORIZATION, CONNECTION, HOST},
    request::Parts,
};

use super::websocket::Handshake;

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
    /// Any `Upgrade` (h2c above all) but a whole and valid handshake of a websocket.
    #[error("the request asks for an Upgrade other than a websocket's; HTTP/2 is served to who begins with it")]
    UpgradeRefused,
    /// HTTP/2's `CONNECT`, or a `:scheme` that is none of a web server.
    #[error("the request has a method or scheme of a tunnel or of another protocol")]
    InvalidTarget,
    /// More than one `Content-Length` in HTTP/2, or one that is no number.
    #[error("the message's length is not given once and in digits")]
    InvalidLength,
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
    Upgrade,
    Drop,
}

/// What was taken out of a request's fields for others to look at.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The one `Authorization`, or what a websocket's client has instead.
    pub authorization: Option<HeaderValue>,
    /// The request asks for a websocket.
    pub websocket: Option<Handshake>,
}

/// Checks a request's fields and takes out what must not go on.
pub fn clean_request(headers: &mut HeaderMap) -> Result<Taken, HygieneError> {
    let (mut hosts, mut authorizations, mut connection, mut upgrade) = (0, 0, false, false);
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
            Fate::Upgrade => upgrade = true,
            Fate::Drop => dropped.push(name.clone()),
        }
    }
    if hosts != 1 {
        return Err(HygieneError::InvalidHost);
    }
    if authorizations > 1 {
        return Err(HygieneError::DuplicateAuthorization);
    }
    let mut websocket = if upgrade { Some(Handshake::take(headers)?) } else { None };
    if connection {
        nominated(headers, &mut dropped)?;
        headers.remove(CONNECTION);
    }
    for name in dropped {
        headers.remove(name);
    }
    let of_websocket = websocket.as_mut().and_then(Handshake::take_authorization);
    let authorization = match (authorizations, of_websocket) {
        (0, of_websocket) => of_websocket,
        (_, None) => headers.remove(AUTHORIZATION),
        (_, Some(_)) => return Err(HygieneError::DuplicateAuthorization),
    };
    Ok(Taken { authorization, websocket })
}

/// Makes of the head of an HTTP/2 request what HTTP/1.1 has: one `Host`, a path, one `Cookie`. The fields that belong to a
/// connection the library has refused by now.
pub fn as_http1(parts: &mut Parts) -> Result<(), HygieneError> {
    let is_web = matches!(parts.uri.scheme_str(), Some("http" | "https"));
    let Some(authority) = parts.uri.authority().filter(|_| is_web && parts.method != Method::CONNECT) else {
        let is_without = parts.uri.authority().is_none() && parts.method != Method::CONNECT;
        return Err(if is_without { HygieneError::InvalidHost } else { HygieneError::InvalidTarget });
    };
    let host = HeaderValue::from_str(authority.as_str()).map_err(|_| HygieneError::InvalidHost)?;
    let headers = &mut parts.headers;
    if headers.get_all(HOST).iter().any(|other| !other.as_bytes().eq_ignore_ascii_case(host.as_bytes())) {
        return Err(HygieneError::InvalidHost);
    }
    headers.insert(HOST, host);
    check_length(headers)?;
    join_cookies(headers)?;
    // Behind the authority there is a path, or the library has refused it.
    let path = parts.uri.path_and_query().cloned().ok_or(HygieneError::InvalidTarget)?;
    parts.uri = Uri::from(path);
    Ok(())
}

fn check_length(headers: &HeaderMap) -> Result<(), HygieneError> {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let is_number = |value: &HeaderValue| !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit);
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if is_number(one) => Ok(()),
        (Some(_), _) => Err(HygieneError::InvalidLength),
    }
}

/// HTTP/2 may send cookies one by one; HTTP/1.1 may not (RFC 9113 §8.2.3).
fn join_cookies(headers: &mut HeaderMap) -> Result<(), HygieneError> {
    let cookies: Vec<&[u8]> = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if cookies.len() > 1 {
        let joined = HeaderValue::from_bytes(&cookies.join(&b"; "[..])).map_err(|_| HygieneError::AliasedHeader)?;
        headers.insert(header::COOKIE, joined);
    }
    Ok(())
}

/// Takes out of the fields behind a body what would be refused or taken out in front of it.
pub fn clean_trailers(trailers: &mut HeaderMap) {
    let dropped = |name: &&HeaderName| !matches!(fate(name), Ok(Fate::Keep)) || is_of_content(name.as_str());
    let dropped: Vec<HeaderName> = trailers.keys().filter(dropped).cloned().collect();
    for name in dropped {
        trailers.remove(name);
    }
}

/// RFC 9110 §6.5.1: what says how a message is to be read stands in front of it.
fn is_of_content(name: &str) -> bool {
    name.starts_with("content-") || name.starts_with("sec-")
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
        "upgrade" => Ok(Fate::Upgrade),
        "http2-settings" => Err(HygieneError::UpgradeRefused),
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
        let taken = clean_request(&mut headers).map(|taken| taken.authorization);
        assert_eq!(taken, Ok(Some(HeaderValue::from_static("Bearer x"))));
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

    /// The fields that an HTTP/1.1 request would have had, and its target.
    fn localised(method: &str, uri: &str, fields: &[(&str, &str)]) -> Result<(HeaderMap, String), HygieneError> {
        let request = http::Request::builder().method(method).uri(uri).body(());
        let Ok((mut parts, ())) = request.map(http::Request::into_parts) else { panic!("{method} {uri}") };
        parts.headers = map(fields);
        as_http1(&mut parts).map(|()| (parts.headers, parts.uri.to_string()))
    }

    #[test]
    fn a_head_of_http2_becomes_one_of_http1() {
        let (headers, target) = match localised(
            "GET",
            "https://iris:8080/v2?x=1",
            &[("host", "IRIS:8080"), ("cookie", "a=1"), ("cookie", "b=2"), ("content-length", "0")],
        ) {
            Ok(found) => found,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(target, "/v2?x=1");
        let expected = [("host", "iris:8080"), ("cookie", "a=1; b=2"), ("content-length", "0")];
        assert_eq!(headers, map(&expected));
    }

    #[test]
    fn what_is_no_request_to_a_web_server_is_refused() {
        use HygieneError::*;
        for (method, uri, fields, error) in [
            ("GET", "/v2", &[][..], InvalidHost),
            ("GET", "/v2", &[("host", "a")], InvalidHost),
            ("GET", "http://a/v2", &[("host", "b")], InvalidHost),
            ("GET", "http://a/v2", &[("host", "a"), ("host", "b")], InvalidHost),
            ("CONNECT", "a:80", &[], InvalidTarget),
            ("CONNECT", "http://a/v2", &[], InvalidTarget),
            ("GET", "ftp://a/v2", &[], InvalidTarget),
            ("POST", "http://a/v2", &[("content-length", "1"), ("content-length", "1")], InvalidLength),
            ("POST", "http://a/v2", &[("content-length", "+1")], InvalidLength),
            ("POST", "http://a/v2", &[("content-length", "1, 1")], InvalidLength),
        ] {
            assert_eq!(localised(method, uri, fields), Err(error), "{method} {uri} {fields:?}");
        }
    }

    #[test]
    fn trailers_say_nothing_that_the_head_may_not() {
        let mut trailers = map(&[
            ("grpc-status", "0"),
            ("x-checksum", "1"),
            ("x-keywire-subject", "root"),
            ("x_keywire_subject", "root"),
            ("authorization", "Bearer x"),
            ("host", "b"),
            ("content-length", "1"),
            ("content-type", "text/plain"),
            ("x-forwarded-for", "1"),
            ("te", "trailers"),
            ("connection", "close"),
            ("upgrade", "h2c"),
            ("x-http-method-override", "PUT"),
        ]);
        clean_trailers(&mut trailers);
        assert_eq!(trailers, map(&[("grpc-status", "0"), ("x-checksum", "1")]));
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
