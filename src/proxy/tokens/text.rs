//! A JSON string that is not copied unless it is written with escapes.

use std::{borrow::Cow, ops::Deref};

use serde::Deserialize;

/// Text of a token's header or claims, borrowed from it. (The library borrows a bare `Cow` only where a field says so.)
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_escapes_cost_a_copy() {
        for (json, text, borrowed) in [(r#""ab""#, "ab", true), (r#""a\u0062""#, "ab", false)] {
            let Ok(read) = serde_json::from_str::<Text<'_>>(json) else { panic!("{json}") };
            assert_eq!((&*read, matches!(read.0, Cow::Borrowed(_))), (text, borrowed), "{json}");
        }
    }
}
