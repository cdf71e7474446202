//! A name in a message of protobuf: the one that is told is the only one that a server's forgiving reader finds.
#![cfg_attr(fuzzing, no_main)]

use keywire::core::body::protobuf::{Field, append, text};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check(bytes));

/// Those of the route tables.
const PATHS: [&[u32]; 4] = [&[1], &[2], &[1, 1], &[1, 1, 1]];

pub fn check(bytes: &[u8]) {
    for path in PATHS {
        let Ok(told) = text(bytes, path) else { continue };
        let mut found = Vec::new();
        lenient(bytes, path, &mut found).expect("a message to others too");
        let name = if let Field::Text(name) = told { name } else { "" };
        assert!(found.iter().all(|value| *value == name.as_bytes()), "{told:?} {found:?}");
        assert_eq!(told == Field::Nothing, found.iter().all(|value| value.is_empty()));
        if let ([number], Field::Nothing) = (path, told) {
            let filled = append(bytes, *number, "a model");
            let mut found = Vec::new();
            lenient(&filled, path, &mut found).expect("a message");
            assert_eq!(found.last(), Some(&&b"a model"[..]), "the last one counts");
        }
    }
}

/// Every value of the field, as the libraries read it: numbers may be longer than they are, those of fields are cut off at 32
/// bits, a message in pieces is merged, what has another type is passed over.
fn lenient<'b>(mut rest: &'b [u8], path: &[u32], found: &mut Vec<&'b [u8]>) -> Option<()> {
    let (wanted, deeper) = path.split_first()?;
    while !rest.is_empty() {
        let tag = varint(&mut rest)? as u32;
        let length = match tag & 7 {
            0 => {
                varint(&mut rest)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, behind) = rest.split_at_checked(length)?;
        rest = behind;
        match (tag == wanted << 3 | 2, deeper) {
            (false, _) => {}
            (true, []) => found.push(value),
            (true, deeper) => lenient(value, deeper, found)?,
        }
    }
    Some(())
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
