//! Assertions that the operator signs itself: `private_key_jwt` (OpenID Connect Core 1.0, section 9; RFC 7523).

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use uuid::Uuid;

/// How long an assertion is good, in seconds: one login, and clocks that differ. Each is used once.
const LIFETIME: u64 = 60;

/// A private key that has proved that it can sign. Never shown.
pub struct SigningKey {
    key: EncodingKey,
    header: Header,
}

/// Why a private key is of no use. Says nothing of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum SigningKeyError {
    /// Not PEM, or a kind of key that is not supported, or a broken one.
    #[error("it is no unencrypted RSA, P-256, P-384 or Ed25519 private key in PEM (PKCS#8, or PKCS#1 for RSA)")]
    Unusable,
}

/// RFC 7523, section 3. Keycloak wants exactly one audience, its issuer URL, and a `jti` that it has not seen.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: Uuid,
    iat: u64,
    exp: u64,
}

impl SigningKey {
    /// Reads a private key; `key_id` becomes the `kid` of the assertions, for a client with several keys.
    ///
    /// # Errors
    /// [`SigningKeyError`] if it cannot sign.
    pub fn from_pem(pem: &SecretString, key_id: Option<String>) -> Result<Self, SigningKeyError> {
        let pem = pem.expose_secret().as_bytes();
        // PEM does not say on which curve a key is: the algorithm is the one that it can sign by.
        let candidates = [
            (Algorithm::RS256, EncodingKey::from_rsa_pem(pem)),
            (Algorithm::ES256, EncodingKey::from_ec_pem(pem)),
            (Algorithm::ES384, EncodingKey::from_ec_pem(pem)),
            (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem)),
        ];
        for (algorithm, key) in candidates {
            let Ok(key) = key else { continue };
            let key = Self { key, header: Header { kid: key_id.clone(), ..Header::new(algorithm) } };
            if key.assertion("", "").is_ok() {
                return Ok(key);
            }
        }
        Err(SigningKeyError::Unusable)
    }

    /// A new assertion.
    pub(super) fn assertion(&self, client_id: &str, audience: &str) -> Result<SecretString, SigningKeyError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let claims = Claims {
            iss: client_id,
            sub: client_id,
            aud: audience,
            jti: Uuid::new_v4(),
            iat: now,
            exp: now.saturating_add(LIFETIME),
        };
        encode(&self.header, &claims, &self.key).map(SecretString::from).map_err(|_| SigningKeyError::Unusable)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.header.alg)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
    use serde_json::Value;

    use super::*;

    fn part(jwt: &SecretString, index: usize) -> Value {
        let part = jwt.expose_secret().split('.').nth(index).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn every_common_kind_of_key_signs() {
        let cases = [
            (&PKCS_RSA_SHA256, "RS256"),
            (&PKCS_ECDSA_P256_SHA256, "ES256"),
            (&PKCS_ECDSA_P384_SHA384, "ES384"),
            (&PKCS_ED25519, "EdDSA"),
        ];
        for (kind, algorithm) in cases {
            let pem = KeyPair::generate_for(kind).unwrap().serialize_pem();
            let key = SigningKey::from_pem(&pem.clone().into(), Some("k1".into())).unwrap();
            let [one, two] = [(); 2].map(|()| key.assertion("operator", "https://auth.example/realms/ml").unwrap());
            assert_eq!(part(&one, 0)["alg"], algorithm);
            assert_eq!(part(&one, 0)["kid"], "k1");
            let (claims, others) = (part(&one, 1), part(&two, 1));
            assert_eq!((&claims["iss"], &claims["sub"]), (&"operator".into(), &"operator".into()));
            assert_eq!(claims["aud"], "https://auth.example/realms/ml", "one audience, not a list");
            assert_ne!(claims["jti"], others["jti"]);
            assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|iat| iat + LIFETIME));
            let shown = format!("{key:?}");
            assert!(pem.lines().all(|line| !shown.contains(line)), "{shown}");
        }
    }

    #[test]
    fn anything_else_is_refused_without_being_shown() {
        let public = KeyPair::generate().unwrap().public_key_pem();
        for pem in ["", "hunter2", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", &public] {
            let error = SigningKey::from_pem(&pem.to_owned().into(), None).unwrap_err();
            assert!(pem.is_empty() || !error.to_string().contains(pem), "{error}");
        }
    }
}
