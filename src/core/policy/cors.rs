//! Origins whose pages may call (the Fetch standard's CORS protocol). Pure.

use std::collections::HashSet;

use url::Url;

use crate::core::policy::document::Cors;

/// The origins of a policy, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(HashSet<Box<str>>);

/// Why text is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin: write scheme, host and port as browsers send them, in lower case and without a path, such as \
     https://chat.example.com; there is no wildcard"
)]
pub struct InvalidOrigin(String);

impl Origins {
    /// Checks all of them.
    pub fn compile(cors: &Cors) -> Result<Self, InvalidOrigin> {
        let check = |origin: &String| check(origin).map(|()| origin.as_str().into());
        cors.origins.iter().map(check).collect::<Result<_, _>>().map(Self)
    }

    /// All of them, in order.
    pub fn all(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.0.iter().map(|origin| &**origin).collect();
        all.sort_unstable();
        all
    }

    /// Whether pages of this origin may call. Compared byte by byte.
    pub fn allow(&self, origin: &[u8]) -> bool {
        std::str::from_utf8(origin).is_ok_and(|origin| self.0.contains(origin))
    }
}

/// Whether a browser would send just this. What differs in case, or by a default port, would never match.
pub fn check(origin: &str) -> Result<(), InvalidOrigin> {
    let url = Url::parse(origin).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match url {
        // A star may stand in a URL's host, and means nothing in an origin.
        Some(url) if url.origin().ascii_serialization() == origin && !origin.contains('*') => Ok(()),
        _ => Err(InvalidOrigin(origin.chars().take(256).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_what_browsers_send() {
        for good in ["https://chat.example", "http://localhost:3000", "https://[::1]:8443", "http://127.0.0.1"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "https://*.example",
            "https://chat.example/",
            "https://chat.example/a",
            "https://chat.example:443",
            "http://chat.example:80",
            "HTTPS://chat.example",
            "https://Chat.example",
            "https://u@chat.example",
            "chat.example",
            "file:///",
            "https://",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_compared_whole() {
        let origins = Origins::compile(&Cors { origins: vec!["https://chat.example".into()] });
        let Ok(origins) = origins else { panic!("compiles") };
        assert!(origins.allow(b"https://chat.example"));
        for other in ["https://chat.example.evil", "https://chat.exampl", "http://chat.example", "null", "*", ""] {
            assert!(!origins.allow(other.as_bytes()), "{other}");
        }
        assert!(!origins.allow(b"https://chat.example\xff"));
    }
}
