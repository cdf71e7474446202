//! A cluster's ServiceAccount issuer: an RSA key, its JWKS, and tokens signed by it.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use keywire::core::desired::{Seconds, WorkloadIssuer};
use secrecy::SecretString;
use serde_json::{Value, json};

/// A signing key and the issuer that it signs for.
pub struct Issuer {
    pub url: String,
    key: KeyPair,
    kid: String,
}

impl Issuer {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self { url: format!("https://{name}.example"), key, kid: format!("{name}-1") }
    }

    /// The same issuer after it has changed its key.
    pub fn rotated(&self) -> Self {
        let key = KeyPair::generate(KeySize::Rsa2048).expect("a key");
        Self { url: self.url.clone(), key, kid: format!("{}-next", self.kid) }
    }

    /// The public keys.
    pub fn jwks(&self) -> Value {
        let public = self.key.public_key();
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let modulus = encode(public.modulus().big_endian_without_leading_zero());
        let exponent = encode(public.exponent().big_endian_without_leading_zero());
        json!({"keys": [{"kid": self.kid, "use": "sig", "kty": "RSA", "alg": "RS256", "n": modulus, "e": exponent}]})
    }

    /// The trust in this issuer under an alias.
    pub fn trusted_as(&self, alias: &str) -> WorkloadIssuer {
        WorkloadIssuer {
            alias: alias.into(),
            issuer: self.url.clone(),
            jwks: self.jwks(),
            max_assertion_age: Seconds(3700),
            cluster_uid: None,
        }
    }

    /// A ServiceAccount token that is good for an hour.
    pub fn token(&self, subject: &str, audience: &str) -> SecretString {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let header = json!({"alg": "RS256", "kid": self.kid});
        let claims =
            json!({"iss": self.url, "sub": subject, "aud": [audience], "iat": now, "nbf": now, "exp": now + 3600});
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).expect("a signature");
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)).into()
    }
}

/// The claims of a token, unverified.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).expect("base64url")).expect("JSON")
}
