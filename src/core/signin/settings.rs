//! A [`SignIn`] that was checked. Pure.

use url::{Host, Url};

use super::{
    document::{AppLogin, Brand, SignIn},
    session::Lifetimes,
};
use crate::core::path::CanonicalPath;

/// The beginning of the guard's own paths at an application.
pub const OWN: &str = "/.keywire/";
/// Where Keycloak sends browsers back to, below [`OWN`].
pub const CALLBACK: &str = "callback";
/// The same after signing out.
pub const SIGNED_OUT: &str = "signed-out";
/// What Keycloak calls when somebody signs out elsewhere.
pub const BACKCHANNEL_LOGOUT: &str = "backchannel-logout";
/// The longest session, in seconds: 30 days.
const LONGEST: i64 = 30 * 24 * 60 * 60;
/// The shortest, in seconds.
const SHORTEST: i64 = 60;

/// Whether a path is the guard's own, and never the application's.
pub fn is_own(path: &str) -> bool {
    path.starts_with(OWN) || path == "/.keywire"
}

/// How people are signed in, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInSettings {
    /// The application's origin, as browsers send it: `https://app.example`, with a port where it is not the scheme's own.
    pub origin: String,
    /// Browsers come by https: cookies may say so.
    pub is_secure: bool,
    /// The client.
    pub client_id: String,
    /// The authorization endpoint.
    pub authorization_url: Url,
    /// The end-session endpoint.
    pub logout_url: Url,
    /// The token endpoint.
    pub token_url: String,
    /// The CAs to trust for it.
    pub ca: Option<String>,
    /// How the client logs in.
    pub login: AppLogin,
    /// What to ask for: `openid` and the rest.
    pub scopes: Vec<String>,
    /// How long sessions last.
    pub lifetimes: Lifetimes,
    /// Paths that scripts call.
    api: Vec<Box<str>>,
    /// What the pages say of the application.
    pub brand: Brand,
    /// Its name there.
    pub name: String,
}

/// Why it cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum SettingsError {
    /// Not a URL of a web server, or more than its origin.
    #[error("url {0:?} is not of the form https://HOST or https://HOST:PORT; http is for development")]
    InvalidUrl(String),
    /// One of Keycloak's.
    #[error("{field} {url:?} is no http or https URL, or has a query or fragment")]
    InvalidEndpoint {
        /// Which.
        field: &'static str,
        /// What it says.
        url: String,
    },
    /// No client, or a scope that is none (RFC 6749 §3.3).
    #[error("{0} is empty or has signs that no such name has")]
    InvalidName(&'static str),
    /// Shorter than a minute, longer than 30 days, or idle longer than at all.
    #[error("a session lasts from 60 seconds to 30 days, and idle no longer than absolute")]
    InvalidLifetime,
    /// Not a path that a request has.
    #[error("api {0:?} is no beginning of a path: it begins with \"/\" and has no wildcard")]
    InvalidApi(String),
    /// Not a colour.
    #[error("brand.color {0:?} is not of the form #1a2b3c")]
    InvalidColor(String),
    /// Too long to be read, or with signs that are none.
    #[error("brand.{0} is longer than 200 signs, or has control characters")]
    InvalidText(&'static str),
    /// Sign-in is with one realm.
    #[error("who signs people in has exactly one issuer")]
    NotOneIssuer,
}

impl SignInSettings {
    /// Checks them.
    pub fn compile(document: SignIn) -> Result<Self, SettingsError> {
        let SignIn {
            url,
            client_id,
            authorization_url,
            logout_url,
            token_url,
            ca,
            login,
            mut scopes,
            absolute,
            idle,
            api,
            brand,
        } = document;
        let (origin, is_secure, host) = parts(&url).ok_or(SettingsError::InvalidUrl(url))?;
        let (authorization_url, logout_url) =
            (endpoint("authorizationUrl", authorization_url)?, endpoint("logoutUrl", logout_url)?);
        endpoint("tokenUrl", token_url.clone())?;
        if !is_name(&client_id) {
            return Err(SettingsError::InvalidName("clientId"));
        }
        if !scopes.iter().all(|scope| is_name(scope)) {
            return Err(SettingsError::InvalidName("scopes"));
        }
        scopes.retain(|scope| scope != "openid");
        scopes.insert(0, "openid".to_owned());
        let lifetimes = lifetimes(absolute, idle)?;
        let api = api.into_iter().map(beginning).collect::<Result<_, _>>()?;
        check_brand(&brand)?;
        let name = brand.name.clone().unwrap_or(host);
        Ok(Self {
            origin,
            is_secure,
            client_id,
            authorization_url,
            logout_url,
            token_url,
            ca,
            login,
            scopes,
            lifetimes,
            api,
            brand,
            name,
        })
    }

    /// Whether only scripts call this.
    pub fn is_api(&self, path: &str) -> bool {
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        self.api.iter().any(|beginning| path.strip_prefix(&**beginning).is_some_and(is_below))
    }

    /// One of the guard's own URLs at the application.
    pub fn own_url(&self, name: &str) -> String {
        format!("{}{OWN}{name}", self.origin)
    }
}

/// How long sessions last, in seconds.
///
/// # Errors
/// [`SettingsError::InvalidLifetime`].
pub fn lifetimes(absolute: i64, idle: i64) -> Result<Lifetimes, SettingsError> {
    let is_usable = (SHORTEST..=LONGEST).contains(&absolute) && (SHORTEST..=absolute).contains(&idle);
    if is_usable { Ok(Lifetimes { absolute, idle }) } else { Err(SettingsError::InvalidLifetime) }
}

/// The origin of a URL that has nothing else, as browsers send it (RFC 6454, section 6.2).
pub fn origin(url: &str) -> Option<String> {
    parts(url).map(|(origin, ..)| origin)
}

fn parts(url: &str) -> Option<(String, bool, String)> {
    let parsed = Url::parse(url).ok()?;
    let host = match parsed.host()? {
        Host::Domain(name) if !name.is_empty() => name.to_owned(),
        Host::Domain(_) => return None,
        other => other.to_string(),
    };
    let is_bare = parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none();
    let has_user = !parsed.username().is_empty() || parsed.password().is_some();
    let is_secure = match parsed.scheme() {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    (is_bare && !has_user).then(|| (parsed.origin().ascii_serialization(), is_secure, host))
}

fn endpoint(field: &'static str, url: String) -> Result<Url, SettingsError> {
    let parsed = Url::parse(&url).ok().filter(|parsed| matches!(parsed.scheme(), "http" | "https"));
    let parsed = parsed.filter(|parsed| parsed.query().is_none() && parsed.fragment().is_none());
    parsed.ok_or(SettingsError::InvalidEndpoint { field, url })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// The beginning of a path, by whole segments.
///
/// # Errors
/// [`SettingsError::InvalidApi`].
pub fn beginning(path: String) -> Result<Box<str>, SettingsError> {
    let trimmed = path.strip_suffix('/').unwrap_or(&path);
    let is_usable = CanonicalPath::parse(trimmed).is_ok() && !trimmed.contains(['*', '{']);
    if is_usable { Ok(trimmed.into()) } else { Err(SettingsError::InvalidApi(path)) }
}

/// Whether pages can be made of it.
///
/// # Errors
/// [`SettingsError`].
pub fn check_brand(Brand { name, contact, color }: &Brand) -> Result<(), SettingsError> {
    for (field, text) in [("name", name), ("contact", contact)] {
        if text.as_ref().is_some_and(|text| text.chars().count() > 200 || text.chars().any(char::is_control)) {
            return Err(SettingsError::InvalidText(field));
        }
    }
    let digits =
        |color: &str| color.len() == 7 && color.starts_with('#') && color[1..].bytes().all(|b| b.is_ascii_hexdigit());
    match color {
        Some(color) if !digits(color) => Err(SettingsError::InvalidColor(color.clone())),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        json!({"url": "https://app.example", "clientId": "app", "authorizationUrl": "https://kc.example/auth",
            "logoutUrl": "https://kc.example/logout", "tokenUrl": "http://kc.svc:8080/token", "api": ["/api", "/graphql/"]})
    }

    fn compiled(document: Value) -> Result<SignInSettings, SettingsError> {
        SignInSettings::compile(serde_json::from_value(document).expect("a document"))
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let found = compiled(document()).expect("settings");
        assert_eq!((&*found.origin, found.is_secure, &*found.name), ("https://app.example", true, "app.example"));
        assert_eq!(found.lifetimes, Lifetimes { absolute: 28_800, idle: 1800 });
        assert_eq!((found.scopes.as_slice(), found.login), (&["openid".to_owned()][..], AppLogin::KubernetesToken));
        assert_eq!(found.own_url("callback"), "https://app.example/.keywire/callback");
        for (path, expected) in [("/api", true), ("/api/x", true), ("/apix", false), ("/graphql", true), ("/", false)] {
            assert_eq!(found.is_api(path), expected, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (field, value, expected) in [
            ("url", json!("https://app.example/path"), "invalid_url"),
            ("url", json!("https://u:p@app.example"), "invalid_url"),
            ("url", json!("ftp://app.example"), "invalid_url"),
            ("url", json!("app.example"), "invalid_url"),
            ("clientId", json!(""), "invalid_name"),
            ("scopes", json!(["a b"]), "invalid_name"),
            ("authorizationUrl", json!("javascript:alert(1)"), "invalid_endpoint"),
            ("logoutUrl", json!("https://kc/?a"), "invalid_endpoint"),
            ("tokenUrl", json!("kc"), "invalid_endpoint"),
            ("absolute", json!(59), "invalid_lifetime"),
            ("absolute", json!(2_592_001), "invalid_lifetime"),
            ("idle", json!(28_801), "invalid_lifetime"),
            ("api", json!(["api"]), "invalid_api"),
            ("api", json!(["/api/**"]), "invalid_api"),
            ("brand", json!({"color": "red"}), "invalid_color"),
            ("brand", json!({"color": "#12345é"}), "invalid_color"),
            ("brand", json!({"name": "a\u{7}"}), "invalid_text"),
        ] {
            let mut document = document();
            document[field] = value.clone();
            let found: &str = compiled(document).map(|_| "taken").unwrap_or_else(|error| (&error).into());
            assert_eq!(found, expected, "{field} {value}");
        }
        assert!(
            compiled({
                let mut d = document();
                d["url"] = json!("http://localhost:3000");
                d
            })
            .is_ok_and(|s| !s.is_secure)
        );
    }
}
