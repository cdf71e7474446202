//! The few pages that the guard shows itself: without a script, a picture or a font of anybody else's.

use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};

use crate::{
    core::signin::settings::SignInSettings,
    proxy::http::{answer::REASON, body::AnswerBody},
};

const STYLE: &str = include_str!("page.css");
/// Nothing is loaded, nothing frames it, and its one form goes to the application.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// What somebody can do about it.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// A link: its place at the application, and what it says.
    Link(&'a str, &'a str),
    /// A button that sends a form.
    Button(&'a str, &'a str),
}

/// One page.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The answer's status.
    pub status: StatusCode,
    /// The reason's code, as in the audit log.
    pub reason: &'static str,
    /// The heading: what has happened.
    pub title: &'a str,
    /// What it means, and what to do.
    pub text: &'a str,
    /// What somebody can do about it.
    pub action: Action<'a>,
    /// Under which the log has more of it.
    pub id: Option<&'a str>,
}

/// An id for a page and its line in the log.
pub fn id() -> String {
    let mut random = [0; 9];
    // Without randomness there is an id all the same; it is no secret.
    let _ = rand::fill(&mut random);
    BASE64_URL_SAFE_NO_PAD.encode(random)
}

impl Page<'_> {
    /// The answer.
    pub fn into_response(self, settings: &SignInSettings) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::full(Bytes::from(self.html(settings))));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::X_FRAME_OPTIONS, "DENY"),
            // With none at all browsers would call the form's origin null.
            (header::REFERRER_POLICY, "same-origin"),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        // The answer to the form leads on to Keycloak, which counts as where the form goes.
        let policy = format!("{POLICY} {}", settings.logout_url.origin().ascii_serialization());
        // A URL's origin always stands in a field.
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(POLICY)),
        );
        headers.insert(REASON, HeaderValue::from_static(self.reason));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }

    fn html(&self, settings: &SignInSettings) -> String {
        let Self { title, text, action, id, .. } = self;
        let (name, title, text) = (escaped(&settings.name), escaped(title), escaped(text));
        let color = settings.brand.color.as_deref().unwrap_or("#1d4ed8");
        let contact =
            settings.brand.contact.as_deref().map(|text| format!("<p>{}</p>", escaped(text))).unwrap_or_default();
        let action = match action {
            Action::Link(to, text) => {
                format!("<p><a class=\"button\" href=\"{}\">{}</a></p>", escaped(to), escaped(text))
            }
            Action::Button(to, text) => format!(
                "<form method=\"post\" action=\"{}\"><button class=\"button\">{}</button></form>",
                escaped(to),
                escaped(text)
            ),
        };
        let id =
            id.map(|id| format!("<p class=\"id\">Reference: <code>{}</code></p>", escaped(id))).unwrap_or_default();
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} · {name}</title>\n\
             <style>:root{{--accent:{color}}}{STYLE}</style>\n</head>\n<body>\n<main>\n<p class=\"app\">{name}</p>\n\
             <h1>{title}</h1>\n<p>{text}</p>\n{contact}\n{action}\n{id}\n</main>\n</body>\n</html>\n"
        )
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
