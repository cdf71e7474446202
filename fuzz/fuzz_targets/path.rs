//! Canonical paths: what passes has one reading, also to another parser.
#![cfg_attr(fuzzing, no_main)]

use keywire::core::{
    path::{CanonicalPath, decode},
    policy::document::Protocol,
    protocol,
};
use strum::IntoEnumIterator;
use url::Url;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(path) = CanonicalPath::parse(text) else { return };
    assert_eq!(path.as_str(), text, "rewritten");
    let other = Url::parse(&format!("http://a{text}")).expect("a URL");
    assert_eq!((other.path(), other.query(), other.fragment()), (text, None, None), "read otherwise");
    for segment in path.segments() {
        let name = decode(segment).expect("decodes");
        assert!(name != "." && name != ".." && !name.contains(['/', '\\', ';', '%', '?', '#', '\0']), "{name:?}");
    }
    for protocol in Protocol::iter() {
        for method in ["GET", "POST", "DELETE"] {
            let _ = protocol::route(protocol, method, path);
        }
    }
}
