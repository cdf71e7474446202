//! The outside of a token (RFC 7515 §3.1), read more strictly than any library
//! does: what is not plainly a signed JWT of ours is nothing. Pure.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde::Deserialize;

use super::text::Text;

/// The longest token, in bytes.
pub const MAX_TOKEN: usize = 16 * 1024;
/// The longest key id, in bytes.
pub const MAX_KID: usize = 256;

/// Whether this is a sign of a token: those of base64url, and the dot between its parts. Without a branch or a table, so that
/// many are looked at at once.
const fn is_plain(byte: u8) -> bool {
    let (letter, digit) = ((byte | 0x20).wrapping_sub(b'a') < 26, byte.wrapping_sub(b'0') < 10);
    letter | digit | (byte == b'-') | (byte == b'_') | (byte == b'.')
}

/// Why text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CompactError {
    /// Not `Bearer`, one space, and one token.
    #[error("the Authorization is no single bearer token")]
    NotBearer,
    /// Longer than [`MAX_TOKEN`].
    #[error("the token is too long")]
    TooLong,
    /// Not three parts of unpadded base64url.
    #[error("the token is malformed")]
    Malformed,
    /// The header is not a JSON object of known shape.
    #[error("the token's header is malformed")]
    InvalidHeader,
    /// `none`, an HMAC, or what nobody knows.
    #[error("the token's algorithm is not accepted")]
    AlgorithmRefused,
    /// `jwk`, `jku`, `x5u`, `x5c`, `crit`, `b64`, `enc` or `zip`: the token would choose its key or its rules.
    #[error("the token's header has a parameter that is not accepted")]
    ParameterRefused,
    /// No `kid`, or one too long.
    #[error("the token's key id is missing or too long")]
    InvalidKeyId,
    /// `typ` in the header that is neither absent, `JWT` nor `at+jwt`.
    #[error("the token's media type is not accepted")]
    TypeRefused,
}

/// What a token is for, as its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Access and ID tokens: `JWT`, `at+jwt` or nothing.
    Bearer,
    /// Logout tokens: `JWT`, `logout+jwt` or nothing.
    Logout,
}

/// A token split and half decoded. Nothing in it is true yet.
#[derive(Debug)]
pub struct Compact<'a> {
    /// What was signed.
    pub message: &'a str,
    /// The signature.
    pub signature: Vec<u8>,
    /// The payload's JSON.
    pub payload: Vec<u8>,
    /// The header's `alg`.
    pub algorithm: Algorithm,
    /// The header's `kid`.
    pub key_id: String,
}

/// `deny_unknown_fields` is not used: `x5t` and private parameters are harmless
/// as long as nobody acts on them. Those that ask to be acted on are refused.
#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Text<'a>,
    #[serde(borrow)]
    kid: Option<Text<'a>>,
    #[serde(borrow)]
    typ: Option<Text<'a>>,
    #[serde(default)]
    crit: Refused,
    #[serde(default)]
    jwk: Refused,
    #[serde(default)]
    jku: Refused,
    #[serde(default)]
    x5u: Refused,
    #[serde(default)]
    x5c: Refused,
    #[serde(default)]
    b64: Refused,
    #[serde(default)]
    enc: Refused,
    #[serde(default)]
    zip: Refused,
}

/// Present with any value, null too.
#[derive(Default)]
struct Refused(bool);

impl<'de> Deserialize<'de> for Refused {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// Takes the token out of an `Authorization` value (RFC 6750 §2.1).
pub fn bearer(value: &[u8]) -> Result<&str, CompactError> {
    let (scheme, token) = value.split_at_checked(7).ok_or(CompactError::NotBearer)?;
    // Without an early end: that costs a fraction for the many that are good.
    let all_plain = token.iter().fold(true, |all, byte| all & is_plain(*byte));
    if !scheme.eq_ignore_ascii_case(b"bearer ") || token.is_empty() || !all_plain {
        return Err(CompactError::NotBearer);
    }
    if token.len() > MAX_TOKEN {
        return Err(CompactError::TooLong);
    }
    std::str::from_utf8(token).map_err(|_| CompactError::NotBearer)
}

impl<'a> Compact<'a> {
    /// Splits and decodes.
    pub fn parse(token: &'a str) -> Result<Self, CompactError> {
        Self::parse_as(token, Kind::Bearer)
    }

    /// The same of a token of another kind.
    pub fn parse_as(token: &'a str, kind: Kind) -> Result<Self, CompactError> {
        if token.len() > MAX_TOKEN {
            return Err(CompactError::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(CompactError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(CompactError::Malformed)?;
        if payload.contains('.') || signature.is_empty() {
            return Err(CompactError::Malformed);
        }
        let (algorithm, key_id) = read_header(&decode(header)?, kind)?;
        let signature = decode(signature)?;
        Ok(Self { message, signature, payload: decode(payload)?, algorithm, key_id })
    }
}

fn decode(part: &str) -> Result<Vec<u8>, CompactError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| CompactError::Malformed)
}

fn read_header(json: &[u8], kind: Kind) -> Result<(Algorithm, String), CompactError> {
    // The library does not look at the text of members that it passes over: to others it might be no JSON at all.
    let json = std::str::from_utf8(json).map_err(|_| CompactError::InvalidHeader)?;
    let header: Header<'_> = serde_json::from_str(json).map_err(|_| CompactError::InvalidHeader)?;
    let Header { alg, kid, typ, crit, jwk, jku, x5u, x5c, b64, enc, zip } = header;
    if [crit, jwk, jku, x5u, x5c, b64, enc, zip].iter().any(|present| present.0) {
        return Err(CompactError::ParameterRefused);
    }
    let own = match kind {
        Kind::Bearer => "at+jwt",
        Kind::Logout => "logout+jwt",
    };
    let typed = |typ: &Text<'_>| typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case(own);
    if !typ.as_ref().is_none_or(typed) {
        return Err(CompactError::TypeRefused);
    }
    let algorithm = algorithm(&alg).ok_or(CompactError::AlgorithmRefused)?;
    let key_id = kid.filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID).ok_or(CompactError::InvalidKeyId)?;
    Ok((algorithm, key_id.to_string()))
}

/// The allow-list: signatures by a key pair, nothing else.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "RS384" => Some(Algorithm::RS384),
        "RS512" => Some(Algorithm::RS512),
        "PS256" => Some(Algorithm::PS256),
        "PS384" => Some(Algorithm::PS384),
        "PS512" => Some(Algorithm::PS512),
        "ES256" => Some(Algorithm::ES256),
        "ES384" => Some(Algorithm::ES384),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: impl AsRef<[u8]>) -> String {
        format!("{}.{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode("sig"))
    }

    #[test]
    fn the_signs_of_a_token() {
        for byte in 0..=u8::MAX {
            let expected = byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            assert_eq!(is_plain(byte), expected, "{byte}");
        }
    }

    #[test]
    fn headers() {
        use CompactError::*;
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(MAX_KID + 1));
        for (header, expected) in [
            (r#"{"alg":"RS256","kid":"a"}"#, Ok(())),
            (r#"{"alg":"RS256","kid":"a","typ":"JWT","x5t":"b"}"#, Ok(())),
            (r#"{"alg":"EdDSA","kid":"a","typ":"at+jwt"}"#, Ok(())),
            (r#"{"alg":"none","kid":"a"}"#, Err(AlgorithmRefused)),
            (r#"{"alg":"None","kid":"a"}"#, Err(AlgorithmRefused)),
            (r#"{"alg":"","kid":"a"}"#, Err(AlgorithmRefused)),
            (r#"{"alg":"HS256","kid":"a"}"#, Err(AlgorithmRefused)),
            (r#"{"alg":"rs256","kid":"a"}"#, Err(AlgorithmRefused)),
            (r#"{"alg":"RSA-OAEP","kid":"a"}"#, Err(AlgorithmRefused)),
            (r#"{"alg":"RS256"}"#, Err(InvalidKeyId)),
            (r#"{"alg":"RS256","kid":""}"#, Err(InvalidKeyId)),
            (&long, Err(InvalidKeyId)),
            (r#"{"alg":"RS256","kid":7}"#, Err(InvalidHeader)),
            (r#"{"alg":"RS256","alg":"none","kid":"a"}"#, Err(InvalidHeader)),
            (r#"{"kid":"a"}"#, Err(InvalidHeader)),
            ("[]", Err(InvalidHeader)),
            (r#"{"alg":"RS256","kid":"a"}x"#, Err(InvalidHeader)),
            (r#"{"alg":"RS256","kid":"a","typ":"dpop+jwt"}"#, Err(TypeRefused)),
            (r#"{"alg":"RS256","kid":"a","crit":[]}"#, Err(ParameterRefused)),
            (r#"{"alg":"RS256","kid":"a","crit":null}"#, Err(ParameterRefused)),
            (r#"{"alg":"RS256","kid":"a","jwk":{"kty":"RSA"}}"#, Err(ParameterRefused)),
            (r#"{"alg":"RS256","kid":"a","jku":"http://evil"}"#, Err(ParameterRefused)),
            (r#"{"alg":"RS256","kid":"a","x5u":"http://evil"}"#, Err(ParameterRefused)),
            (r#"{"alg":"RS256","kid":"a","x5c":["x"]}"#, Err(ParameterRefused)),
            (r#"{"alg":"RS256","kid":"a","b64":false}"#, Err(ParameterRefused)),
            (r#"{"alg":"RS256","kid":"a","zip":"DEF"}"#, Err(ParameterRefused)),
        ] {
            assert_eq!(Compact::parse(&token(header)).map(|_| ()), expected, "{header}");
        }
        let no_text = token(b"{\"alg\":\"RS256\",\"kid\":\"a\",\"x\":\"\xff\"}");
        assert_eq!(Compact::parse(&no_text).err(), Some(InvalidHeader));
    }

    #[test]
    fn shapes() {
        use CompactError::*;
        let good = token(r#"{"alg":"RS256","kid":"a"}"#);
        let unsigned = good[..=good.rfind('.').unwrap_or_default()].to_owned();
        for (text, expected) in [
            ("", Malformed),
            ("a", Malformed),
            ("a.b", Malformed),
            ("..", Malformed),
            (&unsigned, Malformed),
            (&format!("{good}.x"), Malformed),
            (&format!("{good}="), Malformed),
            (&good.replace('.', ".."), Malformed),
            (&good.replace("ey", "e+"), Malformed),
            (&"a".repeat(MAX_TOKEN + 1), TooLong),
        ] {
            assert_eq!(Compact::parse(text).err(), Some(expected), "{text}");
        }
    }

    #[test]
    fn authorizations() {
        for good in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"] {
            assert_eq!(bearer(good.as_bytes()), Ok("a.b.c"), "{good}");
        }
        for bad in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer  a",
            "Bearer a b",
            "Bearer a,b",
            "Bearer\ta",
            "Basic YTpi",
            "a.b.c",
            " Bearer a",
            "Bearer a=",
            "Bearer \u{e9}",
            "Bearer a\n",
        ] {
            assert_eq!(bearer(bad.as_bytes()), Err(CompactError::NotBearer), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-zA-Z0-9_.=-]{0,80}") {
            let _ = Compact::parse(&text);
        }
    }
}
