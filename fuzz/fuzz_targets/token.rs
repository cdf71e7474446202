//! The outside of a token, its claims, and key sets: nothing panics, and what passes is what it looks like.
#![cfg_attr(fuzzing, no_main)]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use keywire::proxy::tokens::{
    claims::Claims,
    compact::{Compact, bearer},
    keys::KeySet,
};
use serde_json::Value;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

const NOW: i64 = 1_800_000_000;

/// The bytes are a header field, and the parts of a token, by turns: no fuzzer finds base64 of JSON by itself.
pub fn check(bytes: &[u8]) {
    if let Ok(token) = bearer(bytes) {
        read(token);
    }
    let parts: Vec<String> = bytes.splitn(3, |byte| *byte == 0).map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    read(&parts.join("."));
    let _ = KeySet::parse(bytes);
}

fn read(token: &str) {
    let Ok(compact) = Compact::parse(token) else { return };
    assert_eq!(format!("{}.{}", compact.message, URL_SAFE_NO_PAD.encode(&compact.signature)), token);
    let (header, payload) = compact.message.split_once('.').expect("two parts");
    assert_eq!(URL_SAFE_NO_PAD.encode(&compact.payload), payload, "two tokens of one payload");
    let header = URL_SAFE_NO_PAD.decode(header).expect("base64");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    assert_eq!(header["alg"], format!("{:?}", compact.algorithm));
    assert_eq!(header["kid"], compact.key_id);
    for refused in ["crit", "jwk", "jku", "x5u", "x5c", "b64", "enc", "zip"] {
        assert!(header.get(refused).is_none(), "{refused}");
    }
    if let Ok(principal) = Claims::parse(&compact.payload).and_then(|claims| claims.check("a", Some("b"), "a", NOW)) {
        assert!(principal.times.expires_at > NOW - 60 && principal.times.not_before < NOW + 60);
        assert!(principal.client().bytes().chain(principal.subject().bytes()).all(|byte| byte.is_ascii_graphic()));
    }
}
