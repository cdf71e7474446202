//! What a pod is given of a credential.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Hidden;
use crate::core::name::Ref;

/// The one Secret of each namespace that holds the credentials of its identities. Its name is fixed, so that the operator
/// needs a right to no other.
pub const CREDENTIALS_SECRET: &str = "keywire-credentials";
/// The credential's file name in the pod.
pub const CREDENTIAL_FILE: &str = "credential.json";

/// A credential, for the pods of one identity and nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialDocument {
    /// Milliseconds since the epoch when it was made, at least one more than the one before.
    pub number: u64,
    /// The WorkloadIdentity.
    pub identity: Ref,
    /// The ServiceAccount that its pods run as: the stream gives the credential to no other.
    pub service_account: String,
    /// The client that logs in with it.
    pub client_id: String,
    /// What it logs in with.
    pub material: Material,
}

/// How a client with a credential of its own logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// With an assertion that it signs itself (RFC 7523, section 2.2).
    PrivateKeyJwt,
    /// With a secret (RFC 6749, section 2.3.1).
    ClientSecret,
}

/// What a client logs in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Material {
    /// A key on the curve P-256, for ES256.
    PrivateKeyJwt {
        /// Its public half, which Keycloak has.
        jwk: Jwk,
        /// The key as PKCS #8 (RFC 5958), base64.
        pkcs8: Hidden,
    },
    /// A secret.
    ClientSecret {
        /// Graphic ASCII.
        secret: Hidden,
    },
}

impl Material {
    /// How it logs in.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::PrivateKeyJwt { .. } => Method::PrivateKeyJwt,
            Self::ClientSecret { .. } => Method::ClientSecret,
        }
    }

    /// The public half, where there is one.
    #[must_use]
    pub fn jwk(&self) -> Option<&Jwk> {
        match self {
            Self::PrivateKeyJwt { jwk, .. } => Some(jwk),
            Self::ClientSecret { .. } => None,
        }
    }
}

/// A public key on the curve P-256 (RFC 7517, RFC 7518 section 6.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jwk {
    /// Names the key among those of its client.
    pub kid: String,
    /// Coordinate, base64url.
    pub x: String,
    /// Coordinate, base64url.
    pub y: String,
}

impl Jwk {
    /// The set of these keys, as `jwks.string` of a client has it.
    #[must_use]
    pub fn set<'a>(keys: impl IntoIterator<Item = &'a Jwk>) -> Value {
        let key = |Self { kid, x, y }: &Jwk| json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": x, "y": y});
        json!({ "keys": keys.into_iter().map(key).collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_public_halves_only() {
        let jwk = Jwk { kid: "k".into(), x: "x".into(), y: "y".into() };
        let material = Material::PrivateKeyJwt { jwk, pkcs8: Hidden::new("hunter2".into()) };
        let set = Jwk::set(material.jwk()).to_string();
        assert!(set.contains(r#""kid":"k""#) && !set.contains("hunter2"), "{set}");
        assert!(!format!("{material:?}").contains("hunter2"));
        assert_eq!(Material::ClientSecret { secret: Hidden::new("s".into()) }.jwk(), None);
    }
}
