//! Where a browser goes once it is signed in: a place within the application, and nowhere else.

use crate::core::path::CanonicalPath;

/// The longest, in bytes. A longer one is left for the application's start page.
pub const MAX: usize = 1024;

/// Path and query of a request, or of a parameter, as a place within the application; `/` for whatever could be read as
/// another place, or would lead back to the guard itself.
pub fn within(target: &str) -> &str {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let is_plain = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_path = CanonicalPath::parse(path).is_ok();
    if target.len() <= MAX && is_plain && is_path && !super::settings::is_own(path) { target } else { "/" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;

    #[test]
    fn no_other_place_can_be_named() {
        let long = format!("/{}", "a".repeat(MAX));
        for place in ["/", "/a", "/a/b?c=d&e=%2F%2Fevil.example", "/a/?x=https://evil.example/", "/a#b", "/runs/1:2"] {
            assert_eq!(within(place), place);
        }
        for place in [
            "",
            "a",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "/a\\b",
            "https://evil.example",
            "/a//b",
            "javascript:alert(1)",
            "/a/../b",
            "/a/%2e%2e/b",
            "/%2F/evil.example",
            "/\tevil",
            "/a b",
            "/ä",
            "\u{0}/a",
            "/a\r\nSet-Cookie: x=y",
            "?a",
            "/.keywire/sign-out",
            "/.keywire/callback?code=1",
            &long,
        ] {
            assert_eq!(within(place), "/", "{place:?}");
        }
    }

    proptest! {
        /// Whatever comes in, a browser stays at the application.
        #[test]
        fn a_browser_stays(target in "\\PC{0,64}|[/\\\\.%a-f0-9:?#@ \t]{0,24}") {
            let base = Url::parse("https://app.example/").expect("a URL");
            let led = base.join(within(&target)).expect("a URL");
            prop_assert_eq!(led.origin(), base.origin());
        }
    }
}
