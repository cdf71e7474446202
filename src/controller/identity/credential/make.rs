//! Making keys and secrets.

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};

use crate::{
    controller::{credentials_secret::unusable, objects::ObjectError},
    core::credential::{Hidden, Jwk, Material, Method},
};

/// Length of a secret, in bytes before they are text.
const SECRET: usize = 32;
/// Length of a coordinate on P-256, in bytes.
const COORDINATE: usize = 32;

/// Something new to log in with.
///
/// # Errors
/// [`ObjectError::Unusable`] where the machine has no randomness left.
pub fn material(method: Method) -> Result<Material, ObjectError> {
    match method {
        Method::PrivateKeyJwt => key().ok_or_else(failed),
        Method::ClientSecret => secret().ok_or_else(failed),
    }
}

fn key() -> Option<Material> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?;
    let pkcs8 = pair.to_pkcs8v1().ok()?;
    // Uncompressed (SEC 1, section 2.3.3): a byte 4 and both coordinates.
    let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(COORDINATE)?;
    let (x, y) = (BASE64_URL_SAFE_NO_PAD.encode(x), BASE64_URL_SAFE_NO_PAD.encode(y));
    let jwk = Jwk { kid: thumbprint(&x, &y), x, y };
    Some(Material::PrivateKeyJwt { jwk, pkcs8: Hidden::new(BASE64_STANDARD.encode(pkcs8.as_ref())) })
}

/// RFC 7638.
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

fn secret() -> Option<Material> {
    let mut bytes = [0; SECRET];
    rand::fill(&mut bytes).ok()?;
    Some(Material::ClientSecret { secret: Hidden::new(BASE64_URL_SAFE_NO_PAD.encode(bytes)) })
}

fn failed() -> ObjectError {
    unusable("no key could be made on this machine".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another() {
        for method in [Method::PrivateKeyJwt, Method::ClientSecret] {
            let (one, other) = (material(method).expect("made"), material(method).expect("made"));
            assert_eq!(one.method(), method);
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_key_signs_for_its_public_half() {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
        let Ok(Material::PrivateKeyJwt { jwk, pkcs8 }) = material(Method::PrivateKeyJwt) else { panic!("a key") };
        let der = BASE64_STANDARD.decode(pkcs8.expose()).expect("base64");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).expect("PKCS #8");
        let signature = pair.sign(&rand::SystemRandom::new(), b"text").expect("signs");
        let mut public = vec![4];
        for coordinate in [&jwk.x, &jwk.y] {
            public.extend(BASE64_URL_SAFE_NO_PAD.decode(coordinate).expect("base64url"));
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
        assert!(key.verify(b"text", signature.as_ref()).is_ok());
        assert_eq!(jwk.kid.len(), 43);
    }
}
