//! A key set (RFC 7517) reduced to the keys that may verify access tokens. Pure.

use std::{collections::HashMap, sync::Arc};

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
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
    /// Parsed once: that costs a third of a check.
    public: Arc<ParsedPublicKey>,
    fingerprint: Material,
}

impl Key {
    /// Whether this key's holder signed the message.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.public.verify_sig(message, signature).is_ok()
    }
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
    let (public, fingerprint) = match (kty.as_str(), alg.as_str(), crv.as_deref()) {
        ("RSA", _, None) => rsa(&alg, n?, e?)?,
        ("EC", "ES256", Some("P-256")) => {
            let (point, material) = elliptic(&alg, x?, y?, 32)?;
            (ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?, material)
        }
        ("EC", "ES384", Some("P-384")) => {
            let (point, material) = elliptic(&alg, x?, y?, 48)?;
            (ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).ok()?, material)
        }
        ("OKP", "EdDSA", Some("Ed25519")) => edwards(&alg, x?)?,
        _ => return None,
    };
    Some((kid, Key { algorithm, public: Arc::new(public), fingerprint }))
}

/// RFC 7518 §3.1.
fn parameters(alg: &str) -> Option<&'static RsaParameters> {
    match alg {
        "RS256" => Some(&RSA_PKCS1_2048_8192_SHA256),
        "RS384" => Some(&RSA_PKCS1_2048_8192_SHA384),
        "RS512" => Some(&RSA_PKCS1_2048_8192_SHA512),
        "PS256" => Some(&RSA_PSS_2048_8192_SHA256),
        "PS384" => Some(&RSA_PSS_2048_8192_SHA384),
        "PS512" => Some(&RSA_PSS_2048_8192_SHA512),
        _ => None,
    }
}

fn rsa(alg: &str, n: String, e: String) -> Option<(ParsedPublicKey, Material)> {
    let modulus = URL_SAFE_NO_PAD.decode(&n).ok()?;
    let exponent = URL_SAFE_NO_PAD.decode(&e).ok()?;
    let odd = exponent.last().is_some_and(|last| last % 2 == 1) && exponent != [1];
    let sized = (MIN_RSA..=MAX_RSA).contains(&modulus.len()) && modulus.first() != Some(&0);
    if !sized || !odd || exponent.len() > 8 {
        return None;
    }
    let components = RsaPublicKeyComponents { n: &modulus, e: &exponent };
    let public = components.to_parsed_public_key(parameters(alg)?).ok()?;
    Some((public, Material(alg.to_owned(), n, e)))
}

/// The uncompressed point (SEC 1 §2.3.3). Whether it lies on the curve is for whoever parses it.
fn elliptic(alg: &str, x: String, y: String, size: usize) -> Option<(Vec<u8>, Material)> {
    let coordinate = |part: &str| URL_SAFE_NO_PAD.decode(part).ok().filter(|bytes| bytes.len() == size);
    let point = [&[4][..], &coordinate(&x)?, &coordinate(&y)?].concat();
    Some((point, Material(alg.to_owned(), x, y)))
}

fn edwards(alg: &str, x: String) -> Option<(ParsedPublicKey, Material)> {
    let point = URL_SAFE_NO_PAD.decode(&x).ok().filter(|bytes| bytes.len() == 32)?;
    Some((ParsedPublicKey::new(&ED25519, point).ok()?, Material(alg.to_owned(), x, String::new())))
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
        // The base point of P-256 (SEC 2 §2.4.2).
        let (x, y) = ("axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY", "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU");
        let key =
            |alg: &str, crv: &str, y: &str| json!([{"kty": "EC", "kid": "k", "alg": alg, "crv": crv, "x": x, "y": y}]);
        assert!(parse(key("ES256", "P-256", y)).is_ok());
        for (alg, crv) in [("ES256", "P-384"), ("ES384", "P-256"), ("ES384", "P-384"), ("ES256", "secp256k1")] {
            assert!(parse(key(alg, crv, y)).is_err(), "{alg} {crv}");
        }
        assert!(parse(key("ES256", "P-256", x)).is_err(), "no point of the curve");
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
        changed["n"] = json!(URL_SAFE_NO_PAD.encode([0xAD; 256]));
        assert!(parse(json!([changed])).is_ok_and(|c| !a.same(&c)));
        let mut algorithm = rsa_key();
        algorithm["alg"] = json!("RS512");
        assert!(parse(json!([algorithm])).is_ok_and(|c| !a.same(&c)));
    }
}
