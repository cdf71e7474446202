//! The handshake of a websocket (RFC 6455 §4): checked on both sides, and taken apart so that what goes on is made anew.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Version,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
    request::Parts,
};
use hyper::upgrade::{self, Upgraded};

use super::{
    body::{AnswerBody, RequestBody},
    connect::Origin,
    hygiene::{self, HygieneError, Side},
    pool::UpstreamError,
};

/// RFC 6455 §1.3.
const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How OpenAI's clients send a token from where no field can be set; the rest is the token.
const OPENAI: &str = "openai-insecure-api-key.";
/// The same of Kubernetes; the rest is the token in base64url.
const KUBERNETES: &str = "base64url.bearer.authorization.k8s.io.";
/// The name of the protocol.
const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// A client's wish for a websocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    key: HeaderValue,
    authorization: Option<HeaderValue>,
}

/// What an upstream made of a handshake: its answer, and what follows it where that is a websocket.
pub struct Opened {
    /// For the client.
    pub response: Response<AnswerBody>,
    /// The upstream's end of the websocket.
    pub upgraded: Option<Upgraded>,
}

impl Handshake {
    /// Shakes hands with an upstream on a connection of its own, in the name of a client whose request was cleaned.
    pub async fn open(&self, origin: &Origin, mut parts: Parts, side: Side) -> Result<Opened, UpstreamError> {
        self.write(&mut parts.headers);
        parts.version = Version::HTTP_11;
        let mut sender = origin.open_upgradable().await?;
        let request = Request::from_parts(parts, RequestBody::Full(Bytes::new()));
        let mut response = sender.send_request(request).await.map_err(|_| UpstreamError::Broken)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            hygiene::clean_response(response.headers_mut(), side);
            return Ok(Opened { response: response.map(AnswerBody::alone), upgraded: None });
        }
        if !self.is_answered_by(&response) {
            return Err(UpstreamError::Broken);
        }
        let upgraded = upgrade::on(&mut response).await.map_err(|_| UpstreamError::Broken)?;
        hygiene::clean_response(response.headers_mut(), side);
        self.write_answer(response.headers_mut());
        Ok(Opened { response: response.map(|_| AnswerBody::full(Bytes::new())), upgraded: Some(upgraded) })
    }

    /// Checks the fields of a handshake and takes the token out of the subprotocols, if it is there.
    pub fn take(headers: &mut HeaderMap) -> Result<Self, HygieneError> {
        let is_whole = only(headers, &UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
            && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
            && only(headers, &SEC_WEBSOCKET_VERSION).is_some_and(|value| value == "13");
        let key = only(headers, &SEC_WEBSOCKET_KEY).filter(|key| is_whole && is_key(key));
        let key = key.cloned().ok_or(HygieneError::UpgradeRefused)?;
        let authorization = authorization(headers)?;
        Ok(Self { key, authorization })
    }

    /// What the subprotocols held, as an `Authorization`.
    pub fn take_authorization(&mut self) -> Option<HeaderValue> {
        self.authorization.take()
    }

    /// Writes the handshake as it goes upstream.
    fn write(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, WEBSOCKET);
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, self.key.clone());
    }

    /// Whether an upstream's 101 is the answer to this very handshake.
    fn is_answered_by<B>(&self, response: &Response<B>) -> bool {
        let headers = response.headers();
        response.status() == StatusCode::SWITCHING_PROTOCOLS
            && only(headers, &UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
            && tokens(headers, &CONNECTION).any(|token| token.eq_ignore_ascii_case("upgrade"))
            && only(headers, &SEC_WEBSOCKET_ACCEPT).is_some_and(|value| *value == self.accept())
    }

    /// Writes the answer as it goes to the client.
    fn write_answer(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, WEBSOCKET);
        if let Ok(accept) = HeaderValue::from_str(&self.accept()) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
    }

    fn accept(&self) -> String {
        let text = [self.key.as_bytes(), MAGIC.as_bytes()].concat();
        STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text))
    }
}

/// Sixteen bytes in base64.
fn is_key(value: &HeaderValue) -> bool {
    STANDARD.decode(value.as_bytes()).is_ok_and(|bytes| bytes.len() == 16)
}

/// The value of a field that is there exactly once.
fn only<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// What a field lists, in all its lines. One that is no text lists nothing.
fn tokens<'h>(headers: &'h HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'h str> {
    let texts = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    texts.flat_map(|text| text.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

/// Takes the one token out of the subprotocols: what is left are protocols.
fn authorization(headers: &mut HeaderMap) -> Result<Option<HeaderValue>, HygieneError> {
    // One that is no text might be read by somebody else.
    if headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(|value| value.to_str().is_err()) {
        return Err(HygieneError::UpgradeRefused);
    }
    let (mut found, mut rest) = (Vec::new(), Vec::new());
    for token in tokens(headers, &SEC_WEBSOCKET_PROTOCOL) {
        match bearer(token) {
            Some(bearer) => found.push(bearer),
            None => rest.push(token),
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    let rest = rest.join(", ");
    headers.remove(SEC_WEBSOCKET_PROTOCOL);
    if !rest.is_empty() {
        let value = HeaderValue::from_str(&rest).map_err(|_| HygieneError::UpgradeRefused)?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    let [token] = <[String; 1]>::try_from(found).map_err(|_| HygieneError::DuplicateAuthorization)?;
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| HygieneError::UpgradeRefused)?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The token in a subprotocol. One that cannot be decoded is an empty one, which is refused where tokens are.
fn bearer(protocol: &str) -> Option<String> {
    if let Some(token) = protocol.strip_prefix(OPENAI) {
        return Some(token.to_owned());
    }
    let encoded = protocol.strip_prefix(KUBERNETES)?;
    let decoded = URL_SAFE_NO_PAD.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    Some(decoded.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const GOOD: [(&str, &str); 4] = [
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn map<'a>(fields: impl IntoIterator<Item = &'a (&'static str, &'static str)>) -> HeaderMap {
        fields.into_iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            headers
        })
    }

    #[test]
    fn the_answer_is_that_of_the_standard() {
        let Ok(handshake) = Handshake::take(&mut map(&GOOD)) else { panic!("good") };
        let answer = |accept: &'static str| {
            let mut response = Response::new(());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let fields = [("upgrade", "websocket"), ("connection", "upgrade"), ("sec-websocket-accept", accept)];
            *response.headers_mut() = map(&fields);
            response
        };
        let good = answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(handshake.is_answered_by(&good));
        assert!(!handshake.is_answered_by(&answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=")));
        for missing in [UPGRADE, CONNECTION, SEC_WEBSOCKET_ACCEPT] {
            let mut bad = good.clone();
            bad.headers_mut().remove(&missing);
            assert!(!handshake.is_answered_by(&bad), "{missing}");
        }
        let mut bad = good.clone();
        *bad.status_mut() = StatusCode::OK;
        assert!(!handshake.is_answered_by(&bad));
        let mut written = HeaderMap::new();
        handshake.write_answer(&mut written);
        assert_eq!(written[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn anything_but_a_whole_handshake_is_refused() {
        for (index, value) in [
            (0, "h2c"),
            (0, "websocket, h2c"),
            (1, "keep-alive"),
            (2, "8"),
            (3, "dGhlIHNhbXBsZSBub25jZQ"),
            (3, "dG9vIHNob3J0"),
            (3, ""),
        ] {
            let mut fields = GOOD;
            fields[index].1 = value;
            assert_eq!(Handshake::take(&mut map(&fields)), Err(HygieneError::UpgradeRefused), "{value:?}");
        }
        for index in [0, 2, 3] {
            let twice = GOOD.iter().chain([&GOOD[index]]);
            assert_eq!(Handshake::take(&mut map(twice)), Err(HygieneError::UpgradeRefused), "{index}");
            let without = GOOD.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, field)| field);
            assert_eq!(Handshake::take(&mut map(without)), Err(HygieneError::UpgradeRefused), "{index}");
        }
    }

    #[test]
    fn a_token_is_taken_out_of_the_subprotocols() {
        let protocol = "sec-websocket-protocol";
        for (protocols, expected, left) in [
            (&["realtime"][..], Ok(None), Some("realtime")),
            (&["realtime, openai-insecure-api-key.a.b.c"], Ok(Some("Bearer a.b.c")), Some("realtime")),
            (&["realtime,openai-insecure-api-key.a.b.c", "v2"], Ok(Some("Bearer a.b.c")), Some("realtime, v2")),
            (&["openai-insecure-api-key.a.b.c"], Ok(Some("Bearer a.b.c")), None),
            (&["base64url.bearer.authorization.k8s.io.YS5iLmM, v4"], Ok(Some("Bearer a.b.c")), Some("v4")),
            // Not to be decoded: no token, and refused as such later.
            (&["base64url.bearer.authorization.k8s.io.YS5iLmM=, v4"], Ok(Some("Bearer ")), Some("v4")),
            (
                &["openai-insecure-api-key.a, base64url.bearer.authorization.k8s.io.YQ"],
                Err(HygieneError::DuplicateAuthorization),
                None,
            ),
            (
                &["openai-insecure-api-key.a", "openai-insecure-api-key.a"],
                Err(HygieneError::DuplicateAuthorization),
                None,
            ),
        ] {
            let given: Vec<_> = protocols.iter().map(|value| (protocol, *value)).collect();
            let mut headers = map(GOOD.iter().chain(&given));
            let taken = Handshake::take(&mut headers).map(|mut handshake| handshake.take_authorization());
            let expected = expected.map(|text: Option<&str>| text.map(HeaderValue::from_static));
            assert_eq!(taken, expected, "{protocols:?}");
            if taken.is_ok() {
                let found = headers.get(protocol).and_then(|value| value.to_str().ok());
                assert_eq!(found, left, "{protocols:?}");
            }
        }
    }
}
