//! The head scanner beside the parser that hyper has: however the bytes are cut it finds the same, and where it finds
//! nothing both agree on where the message ends.
#![cfg_attr(fuzzing, no_main)]

use keywire::proxy::http::scan::{MAX_HEAD, Scanner, Violation};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

pub fn check(bytes: &[u8]) {
    let whole = Scanner::default().feed(bytes);
    for size in [1, 7] {
        assert_eq!(pieces(bytes, size), whole, "in pieces of {size}");
    }
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(length)) = request.parse(bytes) else { return };
    let mut scanner = Scanner::default();
    if length > MAX_HEAD || scanner.feed(&bytes[..length]).is_err() {
        return;
    }
    assert!(request.path.is_some_and(|path| path.starts_with('/') && !path.contains('#')));
    let values = |name: &str| -> Vec<&[u8]> {
        let fields = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value).collect()
    };
    let body = match (values("content-length").as_slice(), values("transfer-encoding").as_slice()) {
        ([], []) => Vec::new(),
        ([one], []) => {
            let length: usize = std::str::from_utf8(one.trim_ascii()).expect("text").parse().expect("a number");
            // As many line feeds: to whom takes them for a head they are wrong.
            vec![b'\n'; length.min(100_000)]
        }
        ([], [one]) => {
            assert!(one.trim_ascii().eq_ignore_ascii_case(b"chunked"));
            b"3\r\n\n\n\n\r\n0\r\n\r\n".to_vec()
        }
        two => panic!("two lengths passed: {two:?}"),
    };
    if body.len() < 100_000 {
        assert_eq!(scanner.feed(&body), Ok(()), "the body");
        assert!(!scanner.in_head());
        assert_eq!(scanner.feed(b"G"), Ok(()));
        assert!(scanner.in_head(), "the next message");
    }
}

/// Found in pieces of this size.
fn pieces(bytes: &[u8], size: usize) -> Result<(), Violation> {
    let mut scanner = Scanner::default();
    bytes.chunks(size).try_for_each(|piece| scanner.feed(piece))
}
