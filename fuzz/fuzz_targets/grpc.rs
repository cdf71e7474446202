//! Frames of gRPC: however the bytes are cut, the same messages are in them.
#![cfg_attr(fuzzing, no_main)]

use keywire::core::body::grpc::{PREFIX, frame, framed, only};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

const MOST: usize = 300;

pub fn check(bytes: &[u8]) {
    if let Ok(message) = only(bytes, MOST) {
        assert!(message.len() <= MOST);
        assert_eq!(framed(message).as_deref(), Some(bytes), "two readings of one message");
    }
    let whole = frame(bytes, MOST);
    for end in 0..bytes.len().min(PREFIX + 2) {
        match (frame(&bytes[..end], MOST), whole) {
            // What is refused early is refused with the rest too.
            (Err(early), late) => assert_eq!(late, Err(early)),
            (Ok(Some(early)), late) => assert_eq!(late, Ok(Some(early))),
            (Ok(None), _) => assert!(end < PREFIX),
        }
    }
    // A stream of them, as a server takes it apart: no compression, the length, the message.
    let mut rest = bytes;
    while let Ok(Some(end)) = frame(rest, MOST) {
        let length = u32::from_be_bytes(rest[1..PREFIX].try_into().expect("four bytes"));
        assert_eq!((rest[0], end), (0, PREFIX + length as usize));
        let Some((one, behind)) = rest.split_at_checked(end) else { return };
        assert_eq!(only(one, MOST), Ok(&one[PREFIX..]));
        rest = behind;
    }
}
