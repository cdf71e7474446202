//! A parameter of a query: the one that is told is the only one that any server finds.
#![cfg_attr(fuzzing, no_main)]

use keywire::core::query::one;
use url::form_urlencoded;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

const NAME: &str = "run_id";

pub fn check(bytes: &[u8]) {
    let Ok(query) = std::str::from_utf8(bytes) else { return };
    let Ok(told) = one(query, NAME) else { return };
    // Servers split at `&`, some at `;` too.
    for text in [query.to_owned(), query.replace(';', "&")] {
        let mut found = form_urlencoded::parse(text.as_bytes())
            .filter(|(key, value)| key.eq_ignore_ascii_case(NAME) && !value.is_empty())
            .map(|(_, value)| value.into_owned());
        assert_eq!(found.next().as_deref(), told.as_deref(), "{text}");
        assert_eq!(found.next(), None, "{text}");
    }
}
