//! What cookies are sealed with: AES-256-GCM, by keys that are followed as they change.
//!
//! The first key seals, all of them open: a key is replaced by putting the new one in front and taking the old one away once
//! no session is that old.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest::{SHA256, digest},
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use base64::{Engine, engine::general_purpose::STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::core::signin::cookie_keys::COOKIE_KEYS;

/// The shortest secret that is a key, in bytes.
const SHORTEST: usize = 32;
/// AES-256's.
const KEY: usize = 32;
/// The longest file read, in bytes.
const LONGEST: u64 = 4096;

/// What a cookie is sealed for: one is never taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A session.
    Session,
    /// An attempt to sign in.
    Attempt,
    /// What Keycloak wants to see at the end.
    Farewell,
}

/// Seals and opens the cookies of one client.
pub struct Sealer {
    keys: Vec<RandomizedNonceKey>,
    /// Of the files that the keys are from.
    digest: [u8; KEY],
}

/// Why there are no keys. Never holds a part of one.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum KeyError {
    /// No file, or one that cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    /// Not base64, or too short.
    #[error("{0} does not hold the base64 of 32 random bytes or more: make one with `openssl rand -base64 32`")]
    Unusable(PathBuf),
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY
    }
}

impl Sealer {
    /// Reads the keys in `directory` for the cookies of `client`.
    pub fn read(directory: &Path, client: &str) -> Result<Self, KeyError> {
        let [current, previous] = COOKIE_KEYS.map(|name| directory.join(name));
        let mut secrets = vec![secret(&current)?];
        match secret(&previous) {
            Ok(secret) => secrets.push(secret),
            Err(KeyError::Unreadable(_, error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Self::new(&secrets, client).ok_or(KeyError::Unusable(current))
    }

    /// By these secrets, the newest first.
    pub fn new(secrets: &[Vec<u8>], client: &str) -> Option<Self> {
        let key = |secret: &Vec<u8>| {
            let mut key = [0; KEY];
            let derived = Salt::new(HKDF_SHA256, b"keywire sign-in").extract(secret);
            derived.expand(&[client.as_bytes()], Length).ok()?.fill(&mut key).ok()?;
            RandomizedNonceKey::new(&AES_256_GCM, &key).ok()
        };
        let keys = secrets.iter().map(key).collect::<Option<Vec<_>>>().filter(|keys| !keys.is_empty())?;
        let mut of_files = [0; KEY];
        of_files.copy_from_slice(digest(&SHA256, &secrets.concat()).as_ref());
        Some(Self { keys, digest: of_files })
    }

    /// Whether both have the same keys.
    pub fn same(&self, other: &Self) -> bool {
        self.digest == other.digest
    }

    /// Seals. `None`: the system has no randomness.
    pub fn seal(&self, purpose: Purpose, text: &[u8]) -> Option<String> {
        let mut sealed = text.to_vec();
        let nonce = self.keys.first()?.seal_in_place_append_tag(Aad::from(aad(purpose)), &mut sealed).ok()?;
        let whole = [nonce.as_ref(), sealed.as_slice()].concat();
        Some(BASE64_URL_SAFE_NO_PAD.encode(whole))
    }

    /// Opens what one of the keys has sealed for this purpose.
    pub fn open(&self, purpose: Purpose, sealed: &str) -> Option<Vec<u8>> {
        let whole = BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, sealed) = whole.split_at_checked(NONCE_LEN)?;
        self.keys.iter().find_map(|key| {
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let mut text = sealed.to_vec();
            let length = key.open_in_place(nonce, Aad::from(aad(purpose)), &mut text).ok()?.len();
            text.truncate(length);
            Some(text)
        })
    }
}

fn aad(purpose: Purpose) -> [u8; 1] {
    match purpose {
        Purpose::Session => *b"s",
        Purpose::Attempt => *b"a",
        Purpose::Farewell => *b"f",
    }
}

fn secret(path: &Path) -> Result<Vec<u8>, KeyError> {
    let unreadable = |error| KeyError::Unreadable(path.to_owned(), error);
    if fs::metadata(path).map_err(unreadable)?.len() > LONGEST {
        return Err(KeyError::Unusable(path.to_owned()));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    let secret = STANDARD.decode(text.trim()).ok().filter(|secret| secret.len() >= SHORTEST);
    secret.ok_or_else(|| KeyError::Unusable(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(secrets: &[u8], client: &str) -> Sealer {
        let secrets: Vec<_> = secrets.iter().map(|byte| vec![*byte; 32]).collect();
        Sealer::new(&secrets, client).expect("keys")
    }

    #[test]
    fn only_what_was_sealed_for_this_is_opened() {
        let keys = sealer(&[1], "app");
        let sealed = keys.seal(Purpose::Session, b"text").expect("sealed");
        assert_eq!(keys.open(Purpose::Session, &sealed).as_deref(), Some(&b"text"[..]));
        assert_eq!(keys.open(Purpose::Attempt, &sealed), None, "of another purpose");
        assert_eq!(sealer(&[1], "other").open(Purpose::Session, &sealed), None, "of another client");
        assert_eq!(sealer(&[2], "app").open(Purpose::Session, &sealed), None, "by another key");
        for at in 0..sealed.len() {
            let mut other = sealed.clone().into_bytes();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("ASCII");
            assert_eq!(keys.open(Purpose::Session, &other), None, "changed at {at}");
        }
        for broken in ["", "A", "====", "AAAAAAAAAAAAAAAA", &sealed[..20]] {
            assert_eq!(keys.open(Purpose::Session, broken), None, "{broken}");
        }
        assert_ne!(keys.seal(Purpose::Session, b"text"), keys.seal(Purpose::Session, b"text"), "a nonce of its own");
    }

    #[test]
    fn a_new_key_opens_what_the_one_before_sealed() {
        let (old, both, new) = (sealer(&[1], "app"), sealer(&[2, 1], "app"), sealer(&[2], "app"));
        let sealed = old.seal(Purpose::Session, b"text").expect("sealed");
        assert!(both.open(Purpose::Session, &sealed).is_some() && new.open(Purpose::Session, &sealed).is_none());
        let sealed = both.seal(Purpose::Session, b"text").expect("sealed");
        assert!(new.open(Purpose::Session, &sealed).is_some() && old.open(Purpose::Session, &sealed).is_none());
        assert!(!both.same(&new) && both.same(&sealer(&[2, 1], "app")));
    }

    #[test]
    fn a_key_is_long_enough_or_none() {
        let directory = tempfile::tempdir().expect("a directory");
        let read = || Sealer::read(directory.path(), "app").map(|_| "read").unwrap_or_else(|error| (&error).into());
        assert_eq!(read(), "unreadable");
        for (current, previous, expected) in [
            ("c2hvcnQ=", None, "unusable"),
            ("not base64!", None, "unusable"),
            ("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n", None, "read"),
            ("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", Some("x"), "unusable"),
            (
                "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
                Some("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDI="),
                "read",
            ),
        ] {
            std::fs::write(directory.path().join(COOKIE_KEYS[0]), current).expect("a file");
            if let Some(previous) = previous {
                std::fs::write(directory.path().join(COOKIE_KEYS[1]), previous).expect("a file");
            }
            assert_eq!(read(), expected, "{current:?} {previous:?}");
        }
    }
}
