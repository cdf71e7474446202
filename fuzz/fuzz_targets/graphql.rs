//! A document of GraphQL: what it asks for is all in it, and more of it asks for more, in whatever way that is written.
#![cfg_attr(fuzzing, no_main)]

use keywire::core::body::graphql::{Asked, read};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

/// Names that a document does not have by itself.
const OWN: &str = "fuzzOwn";

pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(asked) = read(text) else { return };
    assert!(asked.looks || !asked.mutations.is_empty(), "it asks for nothing");
    assert!(asked.mutations.is_empty() || text.contains("mutation"), "{asked:?}");
    for name in &asked.mutations {
        assert!(text.contains(name) && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric()));
    }
    if text.contains(OWN) {
        return;
    }
    // A comment may be open at its end.
    for spaced in [format!(" ,\t{text}\n,"), format!("# {OWN}\n{text}\n#"), format!("{text}\n#\"\"\"{{")] {
        assert_eq!(read(&spaced), Ok(asked.clone()), "{spaced}");
    }
    let looking = format!("{{{OWN}}} {text}");
    assert_eq!(read(&looking), Ok(Asked { looks: true, ..asked.clone() }));
    let mut more = asked.clone();
    more.mutations.insert(OWN);
    // An alias, an inline fragment, a fragment that comes before it or behind it.
    for also in [
        format!("{text}\nmutation {{ {OWN} }}"),
        format!("mutation {OWN}($a: [Int!] = [1]) @a(b: 1) {{ version: {OWN}(a: $a) {{ b }} }} {text}"),
        format!("{text}\nmutation {{ ... on A {{ ... @a {{ {OWN} }} }} }}"),
        format!("{text}\nmutation {{ ...{OWN} }} fragment {OWN} on A {{ {OWN} }}"),
        format!("fragment {OWN} on A {{ {OWN} }} mutation {{ ...{OWN} }} {text}"),
    ] {
        let found = read(&also);
        // A mutation that does nothing looks; with another one beside it that is said of it no more.
        let found = found.map(|found| Asked { looks: found.looks || more.looks, ..found });
        assert_eq!(found.as_ref(), Ok(&more), "{also}");
    }
}
