//! One parameter of a query (`application/x-www-form-urlencoded`), with exactly one reading. Pure.

use std::borrow::Cow;

use super::percent;

/// Why a parameter cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum QueryError {
    /// It is there twice: servers disagree about which one counts.
    #[error("the query has a parameter twice that may be there once")]
    DuplicateParameter,
    /// A name that some servers take for it: another letter case, brackets, a part behind a semicolon.
    #[error("the query has a parameter whose name some servers read as that of one that counts")]
    LookalikeParameter,
    /// It does not decode to UTF-8.
    #[error("the query does not decode to UTF-8")]
    QueryNotUtf8,
}

/// The value of the parameter `name`; `None`: not there, or empty. `name` is ASCII.
pub fn one<'q>(query: &'q str, name: &str) -> Result<Option<Cow<'q, str>>, QueryError> {
    let mut found: Option<Cow<'q, str>> = None;
    for (index, pair) in query.split('&').flat_map(|part| part.split(';').enumerate()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = decode(key).ok_or(QueryError::QueryNotUtf8)?;
        // Behind a semicolon it is a parameter to some, and part of the one before to others.
        if key == name && index == 0 {
            let value = decode(value).ok_or(QueryError::QueryNotUtf8)?;
            // What stands behind it in the same part is its value to whoever does not split there.
            let is_alone = !query.split('&').any(|part| part.starts_with(pair) && part.len() > pair.len());
            if found.is_some() || !is_alone {
                return Err(QueryError::DuplicateParameter);
            }
            found = Some(value);
        } else if looks_like(&key, name) {
            return Err(QueryError::LookalikeParameter);
        }
    }
    Ok(found.filter(|value| !value.is_empty()))
}

/// Whether any server may find the parameter `name` here, whatever it says. `name` is ASCII.
pub fn mentions(query: &str, name: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let key = pair.split_once('=').map_or(pair, |(key, _)| key);
        decode(key).is_none_or(|key| looks_like(&key, name))
    })
}

/// `MODEL`, ` model`, `model[]`, `model\0`.
fn looks_like(key: &str, name: &str) -> bool {
    let letters = |c: &char| c.is_ascii_alphanumeric();
    key.len() >= name.len()
        && key.chars().filter(letters).map(|c| c.to_ascii_lowercase()).eq(name.chars().filter(letters))
}

/// `+` is a space, `%` and two digits a byte; what is no encoding stays.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let space = |(byte, encoded): (u8, bool)| if byte == b'+' && !encoded { b' ' } else { byte };
    String::from_utf8(percent::bytes(text).map(space).collect()).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_parameter_has_one_reading_or_none() {
        use QueryError::*;
        for (query, expected) in [
            ("", Ok(None)),
            ("model", Ok(None)),
            ("model=", Ok(None)),
            ("model=m", Ok(Some("m"))),
            ("a=b&model=m%2Fn+o&c", Ok(Some("m/n o"))),
            ("%6dodel=m", Ok(Some("m"))),
            ("a=model", Ok(None)),
            ("model=a&model=b", Err(DuplicateParameter)),
            ("model=a&%6Dodel=b", Err(DuplicateParameter)),
            ("model=a;b=c", Err(DuplicateParameter)),
            ("a=b;model=m", Err(LookalikeParameter)),
            ("model=m&MODEL=n", Err(LookalikeParameter)),
            ("model=m&model[]=n", Err(LookalikeParameter)),
            ("model=m&+model=n", Err(LookalikeParameter)),
            ("model=m&model%00=n", Err(LookalikeParameter)),
            ("model=%ff", Err(QueryNotUtf8)),
            ("%ff=a", Err(QueryNotUtf8)),
        ] {
            let expected = expected.map(|value: Option<&str>| value.map(|value| Cow::Owned(value.to_owned())));
            assert_eq!(one(query, "model"), expected, "{query}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_library(pairs in prop::collection::vec(("[a-z]{1,6}", "[ -~é]{0,8}"), 0..4), value in "[ -~é]{1,8}") {
            let mut text = url::form_urlencoded::Serializer::new(String::new());
            pairs.iter().filter(|(key, _)| key != "model").for_each(|(key, value)| { text.append_pair(key, value); });
            text.append_pair("model", &value);
            let query = text.finish();
            prop_assert_eq!(one(&query, "model"), Ok(Some(Cow::Owned(value))));
        }
    }
}
