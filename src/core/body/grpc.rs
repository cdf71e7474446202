//! Messages of gRPC on the wire: a flag, a length in four bytes, the message. Pure.

/// How long what stands before a message is, in bytes.
pub const PREFIX: usize = 5;

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FrameError {
    /// The flag says that it is compressed: it could not be read.
    #[error("the message is compressed, so the model in it cannot be read; send it without grpc-encoding")]
    Compressed,
    /// The flag is neither zero nor one.
    #[error("the message has a flag that there is not")]
    InvalidFlag,
    /// Longer than what is read as a whole.
    #[error("the message is too large to be read")]
    MessageTooLarge,
    /// There is more, or less, than the one message that the call has.
    #[error("the call must send exactly one whole message")]
    NotOneMessage,
}

/// How long the frame at the beginning of `bytes` is, prefix and all; `None`: that cannot be told yet.
pub fn frame(bytes: &[u8], most: usize) -> Result<Option<usize>, FrameError> {
    let Some([flag, length @ ..]) = bytes.first_chunk::<PREFIX>() else {
        return bytes.first().map_or(Ok(None), |flag| check(*flag).map(|()| None));
    };
    check(*flag)?;
    match usize::try_from(u32::from_be_bytes(*length)) {
        Ok(length) if length <= most => Ok(Some(PREFIX + length)),
        Ok(_) | Err(_) => Err(FrameError::MessageTooLarge),
    }
}

/// The message of a body that holds exactly one.
pub fn only(body: &[u8], most: usize) -> Result<&[u8], FrameError> {
    match frame(body, most)? {
        Some(end) if end == body.len() => Ok(&body[PREFIX..]),
        Some(_) | None => Err(FrameError::NotOneMessage),
    }
}

/// A message with its prefix. `None`: too long for one.
#[must_use]
pub fn framed(message: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(message.len()).ok()?;
    let mut frame = Vec::with_capacity(PREFIX + message.len());
    frame.push(0);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    Some(frame)
}

fn check(flag: u8) -> Result<(), FrameError> {
    match flag {
        0 => Ok(()),
        1 => Err(FrameError::Compressed),
        _ => Err(FrameError::InvalidFlag),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{FrameError::*, *};

    #[test]
    fn frames_are_whole_or_wanting() {
        for (bytes, expected) in [
            (&[][..], Ok(None)),
            (&[0, 0, 0, 0], Ok(None)),
            (&[0, 0, 0, 0, 0], Ok(Some(5))),
            (&[0, 0, 0, 0, 9], Ok(Some(14))),
            (&[0, 0, 0, 0, 10], Err(MessageTooLarge)),
            (&[0, 255, 255, 255, 255], Err(MessageTooLarge)),
            (&[1], Err(Compressed)),
            (&[1, 0, 0, 0, 0], Err(Compressed)),
            (&[2, 0, 0, 0, 0], Err(InvalidFlag)),
            (&[128], Err(InvalidFlag)),
        ] {
            assert_eq!(frame(bytes, 9), expected, "{bytes:?}");
        }
    }

    #[test]
    fn one_message_is_one() {
        assert_eq!(only(&[0, 0, 0, 0, 1, 7], 9), Ok(&[7][..]));
        assert_eq!(only(&[0, 0, 0, 0, 0], 9), Ok(&[][..]));
        for wrong in [&[][..], &[0, 0, 0], &[0, 0, 0, 0, 2, 7], &[0, 0, 0, 0, 1, 7, 0], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert_eq!(only(wrong, 9), Err(NotOneMessage), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_framed_is_found(message in prop::collection::vec(any::<u8>(), 0..400), behind in prop::collection::vec(any::<u8>(), 0..9)) {
            let Some(bytes) = framed(&message) else { panic!("a frame") };
            prop_assert_eq!(only(&bytes, 400), Ok(&message[..]));
            let both = [bytes.clone(), behind].concat();
            prop_assert_eq!(frame(&both, 400), Ok(Some(bytes.len())));
        }
    }
}
