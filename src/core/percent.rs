//! Percent-encoding (RFC 3986 §2.1), undone in one place. Pure.

/// The byte that two hexadecimal digits spell.
pub fn byte([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// A byte of a text, and whether it was encoded. What is no encoding stands for itself.
pub fn bytes(text: &str) -> impl Iterator<Item = (u8, bool)> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (first, behind) = rest.split_first()?;
        let encoded = if *first == b'%' { behind.first_chunk().copied().and_then(byte) } else { None };
        rest = if encoded.is_some() { &behind[2..] } else { behind };
        Some((encoded.unwrap_or(*first), encoded.is_some()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_encoding_stands_for_itself() {
        for (text, expected) in
            [("", ""), ("a%20b", "a b"), ("%2B+", "++"), ("%", "%"), ("%6", "%6"), ("%zz%4d", "%zzM"), ("%%41", "%A")]
        {
            assert_eq!(bytes(text).map(|(byte, _)| byte).collect::<Vec<_>>(), expected.as_bytes(), "{text}");
        }
        assert_eq!(bytes("%2B+").map(|(_, encoded)| encoded).collect::<Vec<_>>(), [true, false]);
    }
}
