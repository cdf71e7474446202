//! A key set (RFC 7517) reduced to the keys that may verify access tokens. Pure.

use std::collections::HashMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::compact::{MAX_KID, algorithm};

/// The most keys of a set that are looked at.
const MAX_KEYS: usize = 64;
/// The shortest RSA modulus, in bytes (2048 bits).
const MIN_RSA: usize = 256;
/// The longest RSA modulus, in bytes (8192 bits).
const MAX_RSA: usize = 1024;

/// Why a document is no key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum KeyError {
    /// No JSON of the form `{"keys": […]}`.
    #[error("the key set is malformed")]
    Malformed,
    /// Not one key in it can verify a token.
    #[error("the key set holds no usable key")]
    NoUsableKey,
}

/// Verification keys by their id. Each key serves exactly one algorithm.
#[derive(Clone, Default)]
pub struct KeySet(HashMap<String, Key>);

/// One key.
#[derive(Clone)]
pub struct Key {
    /// The one algorithm that it verifies.
    pub algorithm: Algorithm,
    /// The public key.
    pub decoding: DecodingKey,
    fingerprint: Material,
}

/// The parts of a public key as published, to tell whether a set has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Material(String, String, String);

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: String,
    alg: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. A key that is not plainly for verifying one of the accepted
    /// algorithms is left out; an id that stands there twice is left out whole,
    /// since it would be open which key counts.
    pub fn parse(json: &[u8]) -> Result<Self, KeyError> {
        let document: Document = serde_json::from_slice(json).map_err(|_| KeyError::Malformed)?;
        let mut keys: HashMap<String, Option<Key>> = HashMap::new();
        for value in document.keys.into_iter().take(MAX_KEYS) {
            let Some((kid, key)) = serde_json::from_value(value).ok().and_then(usable) else { continue };
            keys.entry(kid).and_modify(|twice| *twice = None).or_insert(Some(key));
        }
        let keys: HashMap<_, _> = keys.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        if keys.is_empty() { Err(KeyError::NoUsableKey) } else { Ok(Self(keys)) }
    }

    /// The key with this id.
    pub fn get(&self, kid: &str) -> Option<&Key> {
        self.0.get(kid)
    }

    /// Whether both sets hold the same keys.
    pub fn same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self.0.iter().all(|(kid, key)| other.0.get(kid).is_some_and(|o| o.fingerprint == key.fingerprint))
    }
}

fn usable(jwk: Jwk) -> Option<(String, Key)> {
    let Jwk { kty, kid, alg, usage, key_ops, crv, n, e, x, y } = jwk;
    let signs = usage.as_deref().is_none_or(|usage| usage == "sig")
        && key_ops.is_none_or(|operations| operations.iter().any(|operation| operation == "verify"));
    if !signs || kid.is_empty() || kid.len() > MAX_KID {
        return None;
    }
    let algorithm = algorithm(&alg)?;
    let (decoding, fingerprint) = match (kty.as_str(), alg.as_str(), crv.as_deref()) {
        ("RSA", "RS256" | "RS384" | "RS512" | "PS256" | "PS384" | "PS512", None) => rsa(&alg, n?, e?)?,
        ("EC", "ES256", Some("P-256")) => elliptic(&alg, x?, y?, 32)?,
        ("EC", "ES384", Some("P-384")) => elliptic(&alg, x?, y?, 48)?,
        ("OKP", "EdDSA", Some("Ed25519")) => edwards(&alg, x?)?,
        _ => return None,
    };
    Some((kid, Key { algorithm, decoding, fingerprint }))
}

fn rsa(alg: &str, n: String, e: String) -> Option<(DecodingKey, Material)> {
    let modulus = URL_SAFE_NO_PAD.decode(&n).ok()?;
    let exponent = URL_SAFE_NO_PAD.decode(&e).ok()?;
    let odd = exponent.last().is_some_and(|last| last % 2 == 1) && exponent != [1];
    let sized = (MIN_RSA..=MAX_RSA).contains(&modulus.len()) && modulus.first() != Some(&0);
    (sized && odd && exponent.len() <= 8)
        .then(|| (DecodingKey::from_rsa_raw_components(&modulus, &exponent), Material(alg.to_owned(), n, e)))
}

fn elliptic(alg: &str, x: String, y: String, size: usize) -> Option<(DecodingKey, Material)> {
    let sized = |part: &str| URL_SAFE_NO_PAD.decode(part).is_ok_and(|bytes| bytes.len() == size);
    if !sized(&x) || !sized(&y) {
        return None;
    }
    Some((DecodingKey::from_ec_components(&x, &y).ok()?, Material(alg.to_owned(), x, y)))
}

fn edwards(alg: &str, x: String) -> Option<(DecodingKey, Material)> {
    if !URL_SAFE_NO_PAD.decode(&x).is_ok_and(|bytes| bytes.len() == 32) {
        return None;
    }
    Some((DecodingKey::from_ed_components(&x).ok()?, Material(alg.to_owned(), x, String::new())))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rsa_key() -> Value {
        let modulus = URL_SAFE_NO_PAD.encode([0xAB; 256]);
        json!({"kty": "RSA", "kid": "k", "alg": "RS256", "use": "sig", "n": modulus, "e": "AQAB"})
    }

    fn parse(keys: Value) -> Result<KeySet, KeyError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn only_plain_verification_keys_count() {
        assert!(parse(json!([rsa_key()])).is_ok_and(|set| set.get("k").is_some()));
        let short = URL_SAFE_NO_PAD.encode([0xAB; 128]);
        for (field, value) in [
            ("use", json!("enc")),
            ("key_ops", json!(["encrypt"])),
            ("alg", json!("RSA-OAEP")),
            ("alg", json!("HS256")),
            ("alg", json!("ES256")),
            ("alg", json!("none")),
            ("alg", Value::Null),
            ("kty", json!("oct")),
            ("kty", json!("EC")),
            ("kid", Value::Null),
            ("kid", json!("")),
            ("n", json!(short)),
            ("n", json!("=")),
            ("e", json!("AQ")),
            ("e", json!("Ag")),
            ("crv", json!("P-256")),
        ] {
            let mut key = rsa_key();
            key[field] = value.clone();
            assert_eq!(parse(json!([key])).err(), Some(KeyError::NoUsableKey), "{field}: {value}");
        }
    }

    #[test]
    fn a_key_says_all_that_counts() {
        for field in ["kty", "kid", "alg", "n", "e"] {
            let mut key = rsa_key();
            key.as_object_mut().map(|key| key.remove(field));
            assert_eq!(parse(json!([key])).err(), Some(KeyError::NoUsableKey), "{field}");
        }
    }

    #[test]
    fn a_curve_must_fit_its_algorithm() {
        let point = URL_SAFE_NO_PAD.encode([1; 32]);
        let key =
            |alg: &str, crv: &str| json!([{"kty": "EC", "kid": "k", "alg": alg, "crv": crv, "x": point, "y": point}]);
        assert!(parse(key("ES256", "P-256")).is_ok());
        for (alg, crv) in [("ES256", "P-384"), ("ES384", "P-256"), ("ES384", "P-384"), ("ES256", "secp256k1")] {
            assert!(parse(key(alg, crv)).is_err(), "{alg} {crv}");
        }
    }

    #[test]
    fn a_doubled_id_counts_for_nothing() {
        let mut other = rsa_key();
        other["alg"] = json!("RS512");
        assert_eq!(parse(json!([rsa_key(), other])).err(), Some(KeyError::NoUsableKey));
        assert_eq!(parse(json!("x")).err(), Some(KeyError::Malformed));
        assert_eq!(KeySet::parse(b"<html>").err(), Some(KeyError::Malformed));
    }

    #[test]
    fn a_changed_key_is_noticed() {
        let (Ok(a), Ok(b)) = (parse(json!([rsa_key()])), parse(json!([rsa_key()]))) else { panic!("parses") };
        assert!(a.same(&b));
        let mut changed = rsa_key();
        changed["n"] = json!(URL_SAFE_NO_PAD.encode([0xAC; 256]));
        assert!(parse(json!([changed])).is_ok_and(|c| !a.same(&c)));
        let mut algorithm = rsa_key();
        algorithm["alg"] = json!("RS512");
        assert!(parse(json!([algorithm])).is_ok_and(|c| !a.same(&c)));
    }
}
