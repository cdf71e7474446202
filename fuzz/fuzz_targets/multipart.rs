//! The part of a form: the one that is told is the only one that a more forgiving reader finds; one that is put in is read
//! back.
#![cfg_attr(fuzzing, no_main)]

use keywire::core::body::multipart::{Form, FormError};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

const NAME: &str = "model";

/// The boundary is up to the first line end, the body behind it.
pub fn check(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (boundary, body) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let Ok(boundary) = std::str::from_utf8(boundary) else { return };
    let kind = format!("multipart/form-data; boundary={boundary}");
    let Some(Ok(form)) = Form::of(&kind) else { return };
    let Ok(told) = form.part(body, NAME, |_| false) else { return };
    let boundary = boundary.trim_matches([' ', '\t', '"']);
    assert_eq!(lenient(body, boundary), told.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
    if told.is_none() {
        let with = form.with_part(body, NAME, "a model");
        match form.part(&with, NAME, |_| false) {
            Ok(found) => assert_eq!(found.as_deref(), Some("a model")),
            Err(error) => assert_eq!(error, FormError::TooManyParts),
        }
    }
}

/// What the parts that anybody could take for the one contain: whatever the letter case, in quotes or not, wherever among
/// the parameters of a `Content-Disposition`, with fields of any kind beside it.
fn lenient<'b>(body: &'b [u8], boundary: &str) -> Vec<&'b [u8]> {
    let delimiter = format!("\r\n--{boundary}");
    let mut found = Vec::new();
    // The first one stands at the very beginning.
    let mut rest = &body[delimiter.len() - 2..];
    while let Some(end) = find(rest, delimiter.as_bytes()) {
        let (part, behind) = (&rest[..end], &rest[end + delimiter.len()..]);
        if let Some(at) = find(part, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&part[..at]).to_ascii_lowercase();
            let lines = head.split(['\r', '\n']).filter(|line| line.trim_start().starts_with("content-disposition"));
            let mut parameters =
                lines.flat_map(|line| line.split(';')).filter_map(|parameter| parameter.split_once('='));
            if parameters.any(|(key, value)| key.trim() == "name" && value.trim().trim_matches('"').trim() == NAME) {
                found.push(&part[at + 4..]);
            }
        }
        rest = behind;
    }
    found
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
