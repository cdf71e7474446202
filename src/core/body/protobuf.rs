//! One string in a protobuf message, found by the numbers of the fields that lead to it. Pure.
//!
//! Protobuf forgives: a field may come twice (the last wins), a submessage may come in pieces (they are merged), numbers
//! may be written longer than they are. Servers do all that alike, and a reader that does less sees another message than
//! they do. So whatever has two readings is refused, and every occurrence on the way is looked at.

/// What a message says in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// This, wherever it says something.
    Text(&'a str),
    /// Nothing, or the empty string, which is the same to protobuf.
    Nothing,
}

/// Why it cannot be told what a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ProtobufError {
    /// It ends in the middle of a field.
    #[error("the message ends in the middle of a field")]
    Truncated,
    /// More than ten bytes, or a field's number or length that is written longer than it is.
    #[error("a number in the message is written in a way that is not the shortest")]
    InvalidVarint,
    /// A group, a wire type that there is not, or the field's number zero.
    #[error("the message has a field of a kind that is not read here")]
    InvalidTag,
    /// The field is there, but is no string or no message.
    #[error("the field that names the model has another type")]
    WrongType,
    /// Two values: which one counts differs between readers.
    #[error("the message names two models")]
    TwoValues,
    /// Not UTF-8.
    #[error("the name in the message is not UTF-8")]
    InvalidName,
}

/// Reads the string that `path` leads to: field numbers from the outside in.
pub fn text<'a>(message: &'a [u8], path: &[u32]) -> Result<Field<'a>, ProtobufError> {
    let mut found = None;
    collect(message, path, &mut found)?;
    match found {
        None | Some(b"") => Ok(Field::Nothing),
        Some(bytes) => std::str::from_utf8(bytes).map(Field::Text).map_err(|_| ProtobufError::InvalidName),
    }
}

/// The message with `value` in its field `number`, where it said nothing: a field at the end counts for all before it.
#[must_use]
pub fn append(message: &[u8], number: u32, value: &str) -> Vec<u8> {
    let mut whole = Vec::with_capacity(message.len() + value.len() + 2 * MAX_VARINT);
    whole.extend_from_slice(message);
    put_varint(&mut whole, u64::from(number) << 3 | LENGTH_DELIMITED);
    put_varint(&mut whole, value.len() as u64);
    whole.extend_from_slice(value.as_bytes());
    whole
}

/// The longest number, in bytes.
const MAX_VARINT: usize = 10;
/// The wire type of strings and messages.
const LENGTH_DELIMITED: u64 = 2;

/// Goes as deep as `path` is long, never deeper.
fn collect<'a>(message: &'a [u8], path: &[u32], found: &mut Option<&'a [u8]>) -> Result<(), ProtobufError> {
    let mut rest = message;
    while !rest.is_empty() {
        let (number, value) = field(&mut rest)?;
        match (path, value) {
            ([wanted, ..], _) if u64::from(*wanted) != number => {}
            ([_], Some(text)) => match found.replace(text) {
                Some(before) if before != text => return Err(ProtobufError::TwoValues),
                Some(_) | None => {}
            },
            ([_, deeper @ ..], Some(inner)) => collect(inner, deeper, found)?,
            (_, None) => return Err(ProtobufError::WrongType),
            ([], Some(_)) => {}
        }
    }
    Ok(())
}

/// Takes the next field: its number, and its bytes where it is of the kind that has some.
fn field<'a>(rest: &mut &'a [u8]) -> Result<(u64, Option<&'a [u8]>), ProtobufError> {
    let tag = shortest(rest)?;
    let number = tag >> 3;
    if number == 0 || tag > u64::from(u32::MAX) {
        return Err(ProtobufError::InvalidTag);
    }
    let value = match tag & 7 {
        0 => varint(rest).map(|_| None)?,
        1 => take(rest, 8).map(|_| None)?,
        LENGTH_DELIMITED => Some(delimited(rest)?),
        5 => take(rest, 4).map(|_| None)?,
        _ => return Err(ProtobufError::InvalidTag),
    };
    Ok((number, value))
}

fn delimited<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ProtobufError> {
    let length = shortest(rest)?;
    take(rest, usize::try_from(length).map_err(|_| ProtobufError::Truncated)?)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ProtobufError> {
    let (taken, behind) = rest.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
    *rest = behind;
    Ok(taken)
}

/// A number that structure hangs on: it has one form.
fn shortest(rest: &mut &[u8]) -> Result<u64, ProtobufError> {
    let (value, is_shortest) = varint(rest)?;
    if is_shortest { Ok(value) } else { Err(ProtobufError::InvalidVarint) }
}

/// A number, and whether it is written as short as it can be.
fn varint(rest: &mut &[u8]) -> Result<(u64, bool), ProtobufError> {
    let mut value = 0;
    for (index, byte) in rest.iter().take(MAX_VARINT).enumerate() {
        // Of the tenth byte one bit is left.
        if index + 1 == MAX_VARINT && *byte > 1 {
            return Err(ProtobufError::InvalidVarint);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *rest = &rest[index + 1..];
            return Ok((value, index == 0 || *byte != 0));
        }
    }
    Err(if rest.len() < MAX_VARINT { ProtobufError::Truncated } else { ProtobufError::InvalidVarint })
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ProtobufError::*, *};

    /// A field of bytes.
    fn bytes(number: u32, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, u64::from(number) << 3 | LENGTH_DELIMITED);
        put_varint(&mut out, value.len() as u64);
        out.extend_from_slice(value);
        out
    }

    fn all(fields: &[Vec<u8>]) -> Vec<u8> {
        fields.concat()
    }

    fn found(message: &[u8], path: &[u32]) -> Result<Option<String>, ProtobufError> {
        text(message, path).map(|field| match field {
            Field::Text(text) => Some(text.to_owned()),
            Field::Nothing => None,
        })
    }

    #[test]
    fn a_name_is_found_where_it_is() {
        let spec = |name: &[u8]| bytes(1, &bytes(1, name));
        for (message, path, expected) in [
            (vec![], &[1][..], None),
            (bytes(1, b"iris"), &[1], Some("iris")),
            (bytes(1, b""), &[1], None),
            (bytes(2, b"iris"), &[1], None),
            (all(&[bytes(2, b"1"), bytes(7, b"raw"), vec![0x18, 5], bytes(1, b"iris")]), &[1], Some("iris")),
            (all(&[bytes(1, b"iris"), bytes(1, b"iris")]), &[1], Some("iris")),
            (spec(b"iris"), &[1, 1], Some("iris")),
            (bytes(1, b""), &[1, 1], None),
            // In pieces, which are merged.
            (all(&[bytes(1, &[0x10, 3]), spec(b"iris")]), &[1, 1], Some("iris")),
            (all(&[bytes(1, &spec(b"iris")), bytes(1, &spec(b"iris"))]), &[1, 1, 1], Some("iris")),
            // Fixed numbers of both sizes are stepped over.
            (all(&[vec![0x19, 1, 2, 3, 4, 5, 6, 7, 8, 0x25, 1, 2, 3, 4], bytes(1, b"iris")]), &[1], Some("iris")),
            // A negative number is ten bytes long.
            (all(&[vec![0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], bytes(1, b"iris")]), &[1], Some("iris")),
        ] {
            assert_eq!(found(&message, path), Ok(expected.map(str::to_owned)), "{message:?} {path:?}");
        }
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        let spec = |name: &[u8]| bytes(1, &bytes(1, name));
        for (message, path, error) in [
            (all(&[bytes(1, b"iris"), bytes(1, b"rose")]), &[1][..], TwoValues),
            (all(&[bytes(1, b"iris"), bytes(1, b"")]), &[1], TwoValues),
            (all(&[bytes(1, b""), bytes(1, b"rose")]), &[1], TwoValues),
            (all(&[spec(b"iris"), spec(b"rose")]), &[1, 1], TwoValues),
            (bytes(1, &all(&[bytes(1, b"iris"), bytes(1, b"rose")])), &[1, 1], TwoValues),
            (all(&[bytes(1, &spec(b"iris")), bytes(1, &spec(b"rose"))]), &[1, 1, 1], TwoValues),
            (vec![0x08, 1], &[1], WrongType),
            (vec![0x09, 1, 2, 3, 4, 5, 6, 7, 8], &[1], WrongType),
            (vec![0x0d, 1, 2, 3, 4], &[1], WrongType),
            (all(&[bytes(1, b"iris"), vec![0x08, 1]]), &[1], WrongType),
            (vec![0x0b, 0x0c], &[1], InvalidTag),
            (vec![0x0c], &[1], InvalidTag),
            (vec![0x0e], &[1], InvalidTag),
            (vec![0x0f], &[1], InvalidTag),
            (vec![0x02, 1, 0], &[1], InvalidTag),
            // The number of field 1, and a length of four, a byte too long.
            (vec![0x8a, 0x00, 4, b'i', b'r', b'i', b's'], &[1], InvalidVarint),
            (vec![0x0a, 0x84, 0x00, b'i', b'r', b'i', b's'], &[1], InvalidVarint),
            // 2^32 + 1: the number of field 1 to whoever cuts it off.
            (vec![0x8a, 0x80, 0x80, 0x80, 0x80, 0x01, 0], &[1], InvalidTag),
            (vec![0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2], &[1], InvalidVarint),
            (vec![0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], &[1], InvalidVarint),
            (vec![0x0a, 5, b'i', b'r', b'i', b's'], &[1], Truncated),
            (vec![0x0a], &[1], Truncated),
            (vec![0x8a], &[1], Truncated),
            (vec![0x19, 1, 2, 3], &[1], Truncated),
            (vec![0x25, 1, 2, 3], &[1], Truncated),
            (all(&[bytes(1, b"iris"), vec![0x12, 1]]), &[1], Truncated),
            (bytes(1, &[0xff, 0xfe]), &[1], InvalidName),
            (bytes(1, b"no message"), &[1, 1], InvalidTag),
        ] {
            assert_eq!(text(&message, path), Err(error), "{message:?} {path:?}");
        }
    }

    #[test]
    fn a_name_is_put_in_where_there_is_none() {
        for message in [vec![], bytes(1, b""), bytes(2, b"1")] {
            let filled = append(&message, 1, "iris");
            // An empty one beside it is another value, but to the server the last one counts.
            let rest = &filled[message.len()..];
            assert_eq!((&filled[..message.len()], text(rest, &[1])), (&message[..], Ok(Field::Text("iris"))));
        }
    }

    proptest! {
        /// What was written is read, whatever stands around it.
        #[test]
        fn what_was_written_is_read(
            before in prop::collection::vec((2_u32..200, prop::collection::vec(any::<u8>(), 0..200)), 0..6),
            name in "[a-zé/]{1,300}",
            after in prop::collection::vec((2_u32..200, any::<u64>()), 0..6),
        ) {
            let mut message: Vec<u8> = before.iter().flat_map(|(number, value)| bytes(*number, value)).collect();
            message = append(&message, 1, &name);
            for (number, value) in after {
                put_varint(&mut message, u64::from(number) << 3);
                put_varint(&mut message, value);
            }
            prop_assert_eq!(text(&message, &[1]), Ok(Field::Text(&name)));
            // Cut off anywhere inside the last field, it is an error or says what it said.
            let cut = text(&message[..message.len() - 1], &[1]);
            prop_assert!(cut.is_err() || cut == Ok(Field::Nothing) || cut == Ok(Field::Text(&name)), "{:?}", cut);
        }

        /// No bytes make it panic or loop, and a second, other value never passes.
        #[test]
        fn anything_is_read_or_refused(noise in prop::collection::vec(any::<u8>(), 0..100), path in prop::collection::vec(1_u32..4, 1..4)) {
            let _ = text(&noise, &path);
            if let Ok(Field::Text(one)) = text(&noise, &[1]) {
                let two = append(&noise, 1, &format!("{one}x"));
                prop_assert_eq!(text(&two, &[1]), Err(TwoValues));
            }
        }
    }
}
