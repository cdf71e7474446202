//! The one form of a request path that is matched, and forwarded byte by byte.
//!
//! A proxy is talked around when it and the server behind it read one path in
//! two ways. So a path that more than one reading exists for is refused, never
//! repaired: what passes here is exactly what goes upstream. Pure.

use std::borrow::Cow;

use super::percent;

/// The longest path, in bytes.
pub const MAX_PATH: usize = 4096;
/// The longest query, in bytes. It is forwarded untouched.
pub const MAX_QUERY: usize = 16 * 1024;
/// The most segments a path may have.
pub const MAX_SEGMENTS: usize = 32;

/// Why a path is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PathError {
    /// Empty, or does not begin with a slash (`*`, an absolute URI).
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// Longer than [`MAX_PATH`], or more segments than [`MAX_SEGMENTS`].
    #[error("the path is too long")]
    PathTooLong,
    /// Longer than [`MAX_QUERY`].
    #[error("the query is too long")]
    QueryTooLong,
    /// `//` inside the path: some servers merge it, some do not.
    #[error("the path has an empty segment")]
    EmptySegment,
    /// `.` or `..`, plain.
    #[error("the path has a dot segment")]
    DotSegment,
    /// A byte that RFC 3986 does not allow in a path, such as `\`, `#` or one beyond ASCII.
    #[error("the path has a byte that must be percent-encoded or has no place in a path")]
    InvalidByte,
    /// `;`: servers disagree on whether what follows belongs to the name.
    #[error("the path has a parameter (a semicolon)")]
    PathParameter,
    /// `%` without two hexadecimal digits.
    #[error("the path has a broken percent-encoding")]
    InvalidPercent,
    /// An encoding of a byte that needs none or that changes the structure once decoded.
    #[error("the path percent-encodes a byte that needs no encoding or hides structure")]
    AmbiguousPercent,
    /// What the encoded bytes spell is not UTF-8.
    #[error("the path does not decode to UTF-8")]
    NotUtf8,
}

/// A path with exactly one reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CanonicalPath<'a>(&'a str);

/// What a byte may do in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// `pchar` of RFC 3986, less `;` and `%`.
    Plain,
    Slash,
    Percent,
    Semicolon,
    Refused,
}

const CLASSES: [Class; 256] = {
    let mut table = [Class::Refused; 256];
    let plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,=:@";
    let mut i = 0;
    while i < plain.len() {
        table[plain[i] as usize] = Class::Plain;
        i += 1;
    }
    table[b'/' as usize] = Class::Slash;
    table[b'%' as usize] = Class::Percent;
    table[b';' as usize] = Class::Semicolon;
    table
};

impl<'a> CanonicalPath<'a> {
    /// Checks a path (without its query).
    pub fn parse(path: &'a str) -> Result<Self, PathError> {
        let bytes = path.as_bytes();
        if bytes.first() != Some(&b'/') {
            return Err(PathError::NotAbsolute);
        }
        if bytes.len() > MAX_PATH {
            return Err(PathError::PathTooLong);
        }
        let (mut start, mut segments, mut encoded) = (1, 0, false);
        for (i, byte) in bytes.iter().enumerate().skip(1) {
            match CLASSES[usize::from(*byte)] {
                Class::Plain => {}
                Class::Slash => {
                    check_segment(&bytes[start..i], false)?;
                    start = i + 1;
                    segments += 1;
                }
                Class::Percent => {
                    check_percent(bytes.get(i + 1), bytes.get(i + 2))?;
                    encoded = true;
                }
                Class::Semicolon => return Err(PathError::PathParameter),
                Class::Refused => return Err(PathError::InvalidByte),
            }
        }
        check_segment(&bytes[start..], true)?;
        if segments >= MAX_SEGMENTS {
            return Err(PathError::PathTooLong);
        }
        if encoded && path[1..].split('/').any(|segment| decode(segment).is_none()) {
            return Err(PathError::NotUtf8);
        }
        Ok(Self(path))
    }

    /// The path as it came: what is matched and what is forwarded.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// The segments, still encoded. A trailing slash gives a last, empty one.
    pub fn segments(self) -> std::str::Split<'a, char> {
        self.0.get(1..).unwrap_or_default().split('/')
    }
}

fn check_segment(segment: &[u8], last: bool) -> Result<(), PathError> {
    match segment {
        b"" if !last => Err(PathError::EmptySegment),
        b"." | b".." => Err(PathError::DotSegment),
        _ => Ok(()),
    }
}

/// An encoding is taken only of a byte that has no plain form in a path and no
/// meaning once decoded: spaces, quotes, brackets, and UTF-8 beyond ASCII.
fn check_percent(high: Option<&u8>, low: Option<&u8>) -> Result<(), PathError> {
    let (Some(high), Some(low)) = (high, low) else { return Err(PathError::InvalidPercent) };
    match percent::byte([*high, *low]).ok_or(PathError::InvalidPercent)? {
        b' ' | b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}' | 0x80.. => Ok(()),
        _ => Err(PathError::AmbiguousPercent),
    }
}

/// The decoded text of one segment of a [`CanonicalPath`]; `None`: not UTF-8.
pub fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut bytes = segment.bytes();
    let mut out = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => out.push(percent::byte([bytes.next()?, bytes.next()?])?),
            plain => out.push(plain),
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// Checks a query: bounded, otherwise left alone.
pub fn check_query(query: Option<&str>) -> Result<(), PathError> {
    match query {
        Some(query) if query.len() > MAX_QUERY => Err(PathError::QueryTooLong),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_paths_pass_unchanged() {
        for path in
            ["/", "/v2", "/v2/models/iris/infer", "/v2/", "/a/%20b/%C3%A9", "/m:predict", "/a.b/..c/...", "/~x/@y/+z,="]
        {
            assert_eq!(CanonicalPath::parse(path).map(CanonicalPath::as_str), Ok(path), "{path}");
        }
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        use PathError::*;
        let long = format!("/{}", "a".repeat(MAX_PATH));
        let deep = "/a".repeat(MAX_SEGMENTS + 1);
        for (path, error) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("http://x/", NotAbsolute),
            ("v2/models", NotAbsolute),
            (long.as_str(), PathTooLong),
            (deep.as_str(), PathTooLong),
            ("//v2", EmptySegment),
            ("/v2//models", EmptySegment),
            ("/v2/models//", EmptySegment),
            ("/.", DotSegment),
            ("/..", DotSegment),
            ("/v2/./models", DotSegment),
            ("/v2/../admin", DotSegment),
            ("/v2/..;/admin", PathParameter),
            ("/v2;x=y/models", PathParameter),
            ("/v2\\models", InvalidByte),
            ("/v2#x", InvalidByte),
            ("/v2?x", InvalidByte),
            ("/v2 x", InvalidByte),
            ("/v2/\u{e9}", InvalidByte),
            ("/v2\u{0}", InvalidByte),
            ("/v2/{x}", InvalidByte),
            ("/v2/%", InvalidPercent),
            ("/v2/%2", InvalidPercent),
            ("/v2/%zz", InvalidPercent),
            ("/v2%2fmodels", AmbiguousPercent),
            ("/v2%2Fmodels", AmbiguousPercent),
            ("/v2/%2e%2e/x", AmbiguousPercent),
            ("/v2/%2E", AmbiguousPercent),
            ("/v2%5cx", AmbiguousPercent),
            ("/v2/%00", AmbiguousPercent),
            ("/v2/%0d%0a", AmbiguousPercent),
            ("/v2/%3bx", AmbiguousPercent),
            ("/v2/%252e", AmbiguousPercent),
            ("/v2/%3fx", AmbiguousPercent),
            ("/v2/%23x", AmbiguousPercent),
            ("/v2/m%3apredict", AmbiguousPercent),
            ("/v2/%69ris", AmbiguousPercent),
            ("/v2/%7f", AmbiguousPercent),
            ("/v2/%ff", NotUtf8),
            ("/v2/%c3/%a9", NotUtf8),
            ("/v2/%c0%af", NotUtf8),
        ] {
            assert_eq!(CanonicalPath::parse(path), Err(error), "{path}");
        }
    }

    #[test]
    fn queries_are_bounded_only() {
        assert_eq!(check_query(None), Ok(()));
        assert_eq!(check_query(Some("a=%2f&b=;;//")), Ok(()));
        assert_eq!(check_query(Some(&"q".repeat(MAX_QUERY + 1))), Err(PathError::QueryTooLong));
    }

    proptest! {
        #[test]
        fn never_panics_and_never_rewrites(path in "\\PC{0,64}") {
            if let Ok(canonical) = CanonicalPath::parse(&path) {
                prop_assert_eq!(canonical.as_str(), path.as_str());
            }
        }

        /// Decoding what passed finds no structure that was hidden: the same
        /// number of slashes, no dot segment, and nothing left to decode.
        #[test]
        fn decoding_reveals_nothing(path in "(/(%[0-9a-fA-F]{2}|[a-z.;%\\\\ ]){0,4}){1,6}") {
            if let Ok(canonical) = CanonicalPath::parse(&path) {
                let decoded: Vec<_> = canonical.segments().map(|s| decode(s).unwrap_or_default()).collect();
                let joined = format!("/{}", decoded.join("/"));
                prop_assert_eq!(joined.matches('/').count(), path.matches('/').count());
                prop_assert!(!decoded.iter().any(|s| s == "." || s == ".." || s.contains(['%', ';', '\\', '\0', '?', '#'])));
            }
        }

        /// Two different canonical paths never decode to the same text except by
        /// the letter case of their hexadecimal digits.
        #[test]
        fn one_text_one_path(a in "/(%[8-9a-f][0-9a-f]|[a-z:@%]){0,5}", b in "/(%[8-9a-f][0-9a-f]|[a-z:@%]){0,5}") {
            if let (Ok(x), Ok(y)) = (CanonicalPath::parse(&a), CanonicalPath::parse(&b))
                && decode(&x.as_str()[1..]) == decode(&y.as_str()[1..])
            {
                prop_assert_eq!(a.to_ascii_lowercase(), b.to_ascii_lowercase());
            }
        }
    }
}
