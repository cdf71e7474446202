//! The ID token of somebody who signed in (OpenID Connect Core 1.0, §3.1.3.7), and the logout token of somebody who signed out
//! elsewhere (OpenID Connect Back-Channel Logout 1.0, §2.6). Verified as access tokens are, by the same keys; only their
//! claims are others.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use super::{
    claims::{ClaimError, LEEWAY},
    compact::{Compact, Kind},
    text::Text,
    verify::{Trust, VerifyError},
};

/// What a logout token has among its events, and nothing else.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// How long a logout token without `exp` counts, in seconds.
const LOGOUT: i64 = 120;
/// The longest name, in bytes.
const MAX_NAME: usize = 255;

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedIn {
    /// Keycloak's session.
    pub session: String,
    /// The account.
    pub subject: String,
}

/// Whose session has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedOut {
    /// The token's own id: it counts once.
    pub id: String,
    /// Until when it counts, in seconds since the epoch.
    pub until: i64,
    /// Keycloak's session; `None`: all of the account's.
    pub session: Option<String>,
    /// The account.
    pub subject: Option<String>,
}

#[derive(Deserialize)]
struct IdClaims<'a> {
    #[serde(borrow)]
    iss: Text<'a>,
    #[serde(borrow)]
    aud: OneOrMore<'a>,
    #[serde(borrow)]
    azp: Option<Text<'a>>,
    #[serde(borrow)]
    typ: Option<Text<'a>>,
    #[serde(borrow)]
    nonce: Option<Text<'a>>,
    #[serde(borrow)]
    sid: Option<Text<'a>>,
    #[serde(borrow)]
    sub: Text<'a>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
}

#[derive(Deserialize)]
struct LogoutClaims<'a> {
    #[serde(borrow)]
    iss: Text<'a>,
    #[serde(borrow)]
    aud: OneOrMore<'a>,
    #[serde(borrow)]
    typ: Option<Text<'a>>,
    #[serde(borrow)]
    jti: Text<'a>,
    #[serde(borrow)]
    sid: Option<Text<'a>>,
    #[serde(borrow)]
    sub: Option<Text<'a>>,
    exp: Option<i64>,
    iat: i64,
    nonce: Option<IgnoredAny>,
    events: BTreeMap<String, BTreeMap<String, IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore<'a> {
    One(#[serde(borrow)] Text<'a>),
    More(#[serde(borrow)] Vec<Text<'a>>),
}

impl OneOrMore<'_> {
    fn is_only(&self, client: &str) -> bool {
        match self {
            Self::One(one) => **one == *client,
            Self::More(more) => matches!(more.as_slice(), [one] if **one == *client),
        }
    }
}

fn read<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, ClaimError> {
    let text = std::str::from_utf8(payload).map_err(|_| ClaimError::InvalidClaims)?;
    serde_json::from_str(text).map_err(|_| ClaimError::InvalidClaims)
}

fn named(text: Option<&Text<'_>>) -> Result<Option<String>, ClaimError> {
    let is_name =
        |text: &str| !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(|byte| byte.is_ascii_graphic());
    match text {
        Some(text) if is_name(text) => Ok(Some((**text).to_owned())),
        Some(_) => Err(ClaimError::InvalidName),
        None => Ok(None),
    }
}

/// Who signed in, as an ID token says that was issued to `client` for the attempt with this `nonce`.
pub fn signed_in(trust: &Trust, token: &str, client: &str, nonce: &str, now: i64) -> Result<SignedIn, VerifyError> {
    let compact = Compact::parse(token)?;
    let claims: IdClaims<'_> = read(&compact.payload)?;
    trust.signed(&compact, &claims.iss, now)?;
    if !claims.aud.is_only(client) || claims.azp.as_ref().is_some_and(|azp| **azp != *client) {
        return Err(ClaimError::WrongAudience.into());
    }
    if claims.typ.as_deref() != Some("ID") {
        return Err(ClaimError::WrongType.into());
    }
    // Nobody else's answer, and none that was given before.
    if claims.nonce.as_deref() != Some(nonce) {
        return Err(ClaimError::WrongNonce.into());
    }
    if now >= claims.exp.saturating_add(LEEWAY) {
        return Err(ClaimError::Expired.into());
    }
    if claims.nbf.unwrap_or(claims.iat).max(claims.iat) > now.saturating_add(LEEWAY) {
        return Err(ClaimError::NotYetValid.into());
    }
    let session = named(claims.sid.as_ref())?.ok_or(ClaimError::InvalidClaims)?;
    let subject = named(Some(&claims.sub))?.ok_or(ClaimError::InvalidClaims)?;
    Ok(SignedIn { session, subject })
}

/// Whose session has ended, as a logout token says that was issued to `client`.
pub fn signed_out(trust: &Trust, token: &str, client: &str, now: i64) -> Result<SignedOut, VerifyError> {
    let compact = Compact::parse_as(token, Kind::Logout)?;
    let claims: LogoutClaims<'_> = read(&compact.payload)?;
    trust.signed(&compact, &claims.iss, now)?;
    if !claims.aud.is_only(client) {
        return Err(ClaimError::WrongAudience.into());
    }
    // An ID token has a nonce and no events; without this it would do.
    let is_logout = claims.events.len() == 1 && claims.events.contains_key(LOGOUT_EVENT);
    if !is_logout || claims.nonce.is_some() || claims.typ.as_deref().is_some_and(|typ| typ != "Logout") {
        return Err(ClaimError::WrongType.into());
    }
    let until = claims.exp.unwrap_or_else(|| claims.iat.saturating_add(LOGOUT)).saturating_add(LEEWAY);
    if now >= until {
        return Err(ClaimError::Expired.into());
    }
    if claims.iat > now.saturating_add(LEEWAY) {
        return Err(ClaimError::NotYetValid.into());
    }
    let (session, subject) = (named(claims.sid.as_ref())?, named(claims.sub.as_ref())?);
    if session.is_none() && subject.is_none() {
        return Err(ClaimError::InvalidClaims.into());
    }
    let id = named(Some(&claims.jti))?.ok_or(ClaimError::InvalidClaims)?;
    Ok(SignedOut { id, until, session, subject })
}
