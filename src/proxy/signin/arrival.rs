//! How a request came: by a person who looks at pages, or by a script; from the application's own pages, or from others'.
//! Pure.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// What the browser does with the answer (Fetch Metadata, W3C).
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// Whose page asks for it.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Set by old libraries of scripts.
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Whether somebody looks at the answer: such a request may be led away to sign in.
pub fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if !matches!(*method, Method::GET | Method::HEAD) || headers.contains_key(REQUESTED_WITH) {
        return false;
    }
    match headers.get(MODE) {
        Some(mode) => mode.as_bytes() == b"navigate",
        // No such browser is less than six years old.
        None => headers.get_all(header::ACCEPT).iter().any(accepts_pages),
    }
}

fn accepts_pages(accept: &HeaderValue) -> bool {
    let Ok(accept) = accept.to_str() else { return false };
    accept.split(',').any(|range| range.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/html"))
}

/// What counts of a request that a cookie lets in.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Its fields.
    pub headers: &'a HeaderMap,
    /// It asks for a websocket.
    pub is_websocket: bool,
    /// Only scripts call this path.
    pub is_api: bool,
}

impl Arrival<'_> {
    /// Whether it was made by the application's own pages, or by the person. `own`: the application's origin, `is_allowed`:
    /// whether pages of another one may call. Browsers say where a request comes from with everything that may change
    /// something; what does not say so is not believed. Somebody may follow another site's link to a page, but not to what
    /// scripts call: there are servers that change something at a GET.
    pub fn is_own(&self, own: &str, is_allowed: impl Fn(&str) -> bool) -> bool {
        let is_known = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| origin == own || is_allowed(origin));
        let is_safe = matches!(*self.method, Method::GET | Method::HEAD | Method::OPTIONS) && !self.is_websocket;
        let site = self.headers.get(SITE).map(HeaderValue::as_bytes);
        let follows_link = || !self.is_api && self.headers.get(MODE).is_some_and(|mode| mode.as_bytes() == b"navigate");
        if is_safe && (matches!(site, None | Some(b"same-origin" | b"none")) || follows_link()) {
            return true;
        }
        let mut origins = self.headers.get_all(header::ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (Some(origin), None) => is_known(origin),
            (Some(_), Some(_)) => false,
            (None, _) => site == Some(b"same-origin"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn who_looks_at_pages() {
        for (method, fields, expected) in [
            ("GET", &[("accept", "text/html,*/*;q=0.8"), ("sec-fetch-mode", "navigate")][..], true),
            ("GET", &[("accept", "application/xml, text/HTML;q=0.9")], true),
            ("GET", &[("accept", "text/html"), ("sec-fetch-mode", "cors")], false),
            ("GET", &[("accept", "text/html"), ("sec-fetch-mode", "websocket")], false),
            ("GET", &[("accept", "text/html"), ("x-requested-with", "XMLHttpRequest")], false),
            ("GET", &[("accept", "*/*")], false),
            ("GET", &[("accept", "text/htmlx")], false),
            ("GET", &[], false),
            ("POST", &[("accept", "text/html"), ("sec-fetch-mode", "navigate")], false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(is_navigation(&method, &headers(fields)), expected, "{method} {fields:?}");
        }
    }

    #[test]
    fn whose_pages_may_change_something() {
        let others = |origin: &str| origin == "https://chat.example";
        for (method, fields, is_websocket, expected) in [
            ("GET", &[][..], false, true),
            ("GET", &[("origin", "https://evil.example")], false, true),
            ("GET", &[], true, false),
            ("GET", &[("origin", "https://evil.example")], true, false),
            ("GET", &[("origin", "https://app.example")], true, true),
            ("POST", &[("origin", "https://app.example")], false, true),
            ("POST", &[("origin", "https://chat.example")], false, true),
            ("POST", &[("origin", "https://app.example:444")], false, false),
            ("POST", &[("origin", "https://app.example.evil.example")], false, false),
            ("POST", &[("origin", "http://app.example")], false, false),
            ("POST", &[("origin", "null")], false, false),
            ("POST", &[("origin", "https://app.example"), ("origin", "https://app.example")], false, false),
            ("POST", &[], false, false),
            ("DELETE", &[("sec-fetch-site", "same-origin")], false, true),
            ("DELETE", &[("sec-fetch-site", "same-site")], false, false),
            ("DELETE", &[("sec-fetch-site", "cross-site")], false, false),
            ("DELETE", &[("sec-fetch-site", "none")], false, false),
        ] {
            let (method, headers) = (Method::from_bytes(method.as_bytes()).unwrap(), headers(fields));
            let arrival = Arrival { method: &method, headers: &headers, is_websocket, is_api: false };
            assert_eq!(arrival.is_own("https://app.example", others), expected, "{method} {fields:?} {is_websocket}");
        }
    }

    #[test]
    fn a_link_leads_to_pages_alone() {
        let (cross, chat) = (("sec-fetch-site", "cross-site"), ("origin", "https://chat.example"));
        let navigates = ("sec-fetch-mode", "navigate");
        for (fields, is_api, expected) in [
            (&[cross, navigates][..], false, true),
            (&[cross, navigates], true, false),
            (&[cross, ("sec-fetch-mode", "no-cors")], false, false),
            (&[cross, ("sec-fetch-mode", "cors"), chat], true, true),
            (&[cross, ("sec-fetch-mode", "cors"), ("origin", "https://evil.example")], false, false),
            (&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")], false, false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")], true, true),
            (&[("sec-fetch-site", "none"), navigates], true, true),
        ] {
            let headers = headers(fields);
            let arrival = Arrival { method: &Method::GET, headers: &headers, is_websocket: false, is_api };
            let found = arrival.is_own("https://app.example", |origin| origin == "https://chat.example");
            assert_eq!(found, expected, "{fields:?} {is_api}");
        }
    }
}
