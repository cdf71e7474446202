//! The frames of a websocket (RFC 6455 §5): what a client says in whole messages, and where a server's frame ends. Pure.
//!
//! A message goes on once it is whole and was decided, byte for byte as it came. What has two readings, or is none of the
//! standard's, ends the websocket.

/// Why a websocket ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FrameError {
    /// A bit or a kind of frame that nobody agreed on (§5.2): an extension, compressed text.
    #[error("a frame is of a kind that was not agreed on")]
    ReservedFrame,
    /// Clients mask (§5.3).
    #[error("a client's frame is not masked")]
    UnmaskedFrame,
    /// A length that could be written shorter, or of more than 63 bits (§5.2).
    #[error("a frame's length is not written in the shortest way")]
    InvalidLength,
    /// A control frame in pieces, or of more than 125 bytes (§5.5).
    #[error("a control frame is in pieces or too long")]
    InvalidControl,
    /// A piece of no message, or a message within another (§5.4).
    #[error("a message in pieces is not continued as it was begun")]
    InvalidContinuation,
    /// The protocol is one of texts.
    #[error("a message is no text")]
    BinaryMessage,
    /// More than may be held.
    #[error("a message is too large")]
    MessageTooLarge,
}

impl FrameError {
    /// The status that tells the client (§7.4.1).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::ReservedFrame
            | Self::UnmaskedFrame
            | Self::InvalidLength
            | Self::InvalidControl
            | Self::InvalidContinuation => PROTOCOL_ERROR,
            Self::BinaryMessage => 1003,
            Self::MessageTooLarge => 1009,
        }
    }
}

const PROTOCOL_ERROR: u16 = 1002;
const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PONG: u8 = 10;
/// The longest control frame and the longest reason of a close frame with its status, in bytes.
const MAX_CONTROL: usize = 125;
/// The longest head: two bytes, a length of eight, a mask of four.
const MAX_HEAD: usize = 14;

/// What a client sends, put together to messages.
#[derive(Debug)]
pub struct Reader {
    /// The largest message, in bytes; its frames' heads count too.
    most: usize,
    /// What came and has not gone on.
    held: Vec<u8>,
    /// How much of it was read.
    read: usize,
    /// The text of a message that is not whole yet.
    begun: Option<Vec<u8>>,
}

impl Reader {
    /// For messages of up to `most` bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, held: Vec::new(), read: 0, begun: None }
    }

    /// How many bytes are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len() + self.begun.as_ref().map_or(0, Vec::len)
    }

    /// Takes what came; what may go on. `decide` is asked for each message that is whole by now, and its word is the last one.
    pub fn pass<E: From<FrameError>>(
        &mut self,
        bytes: &[u8],
        decide: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Vec<u8>, E> {
        self.held.extend_from_slice(bytes);
        let mut ready = 0;
        while let Some(message) = self.frame()? {
            if let Some(text) = message {
                decide(&text)?;
            }
            if self.begun.is_none() {
                ready = self.read;
            }
        }
        if self.held.len() - ready > self.most {
            return Err(FrameError::MessageTooLarge.into());
        }
        self.read -= ready;
        let behind = self.held.split_off(ready);
        Ok(std::mem::replace(&mut self.held, behind))
    }

    /// Reads the next whole frame, if there is one, and the message that it ends.
    fn frame(&mut self) -> Result<Option<Option<Vec<u8>>>, FrameError> {
        let rest = &self.held[self.read..];
        let Some(head) = Head::of(rest)? else { return Ok(None) };
        let mask = head.mask.ok_or(FrameError::UnmaskedFrame)?;
        let begun = self.begun.as_ref().map_or(0, Vec::len);
        let length = usize::try_from(head.length).ok().filter(|length| begun.saturating_add(*length) <= self.most);
        let length = length.ok_or(FrameError::MessageTooLarge)?;
        head.check(self.begun.is_some())?;
        let Some(payload) = rest.get(head.size..head.size + length) else { return Ok(None) };
        self.read += head.size + length;
        if head.is_control() {
            return Ok(Some(None));
        }
        let text = self.begun.get_or_insert_default();
        text.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        Ok(Some(if head.is_last { self.begun.take() } else { None }))
    }
}

/// What a frame begins with.
#[derive(Clone, Copy, Debug)]
struct Head {
    is_last: bool,
    kind: u8,
    mask: Option<[u8; 4]>,
    /// Of the payload, in bytes.
    length: u64,
    /// Of the head itself, in bytes.
    size: usize,
}

impl Head {
    /// `None`: more of it is to come.
    fn of(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let [first, second, behind @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(FrameError::ReservedFrame);
        }
        let (length, wide) = match second & 0x7f {
            126 => (behind.first_chunk().map(|bytes| u64::from(u16::from_be_bytes(*bytes))), 2),
            127 => (behind.first_chunk().map(|bytes| u64::from_be_bytes(*bytes)), 8),
            short => (Some(u64::from(short)), 0),
        };
        let Some(length) = length else { return Ok(None) };
        let is_shortest = match wide {
            2 => length > 125,
            8 => length > u64::from(u16::MAX) && length >> 63 == 0,
            _ => true,
        };
        if !is_shortest {
            return Err(FrameError::InvalidLength);
        }
        let is_masked = second & 0x80 != 0;
        let mask = if is_masked { behind.get(wide..).and_then(<[u8]>::first_chunk).copied() } else { None };
        if is_masked && mask.is_none() {
            return Ok(None);
        }
        let size = 2 + wide + if is_masked { 4 } else { 0 };
        Ok(Some(Self { is_last: first & 0x80 != 0, kind: first & 0x0f, mask, length, size }))
    }

    fn is_control(self) -> bool {
        (CLOSE..=PONG).contains(&self.kind)
    }

    /// Whether it may stand here: within a message, or between two.
    fn check(self, is_within: bool) -> Result<(), FrameError> {
        match self.kind {
            CONTINUATION if is_within => Ok(()),
            TEXT if !is_within => Ok(()),
            CONTINUATION | TEXT => Err(FrameError::InvalidContinuation),
            BINARY => Err(FrameError::BinaryMessage),
            CLOSE..=PONG if self.is_last && self.length <= MAX_CONTROL as u64 => Ok(()),
            CLOSE..=PONG => Err(FrameError::InvalidControl),
            _ => Err(FrameError::ReservedFrame),
        }
    }
}

/// Where what a server sends is between two frames: only there may another one be put.
#[derive(Debug, Default)]
pub struct Boundary {
    head: Vec<u8>,
    left: u64,
    is_lost: bool,
}

impl Boundary {
    /// Follows what goes by.
    pub fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_lost {
            let passed = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.left -= passed as u64;
            bytes = &bytes[passed..];
            if let Some((byte, behind)) = bytes.split_first() {
                self.head.push(*byte);
                bytes = behind;
                match Head::of(&self.head) {
                    Ok(Some(head)) => {
                        self.left = head.length;
                        self.head.clear();
                    }
                    Ok(None) => self.is_lost = self.head.len() >= MAX_HEAD,
                    Err(_) => self.is_lost = true,
                }
            }
        }
    }

    /// Whether a frame may be put here.
    #[must_use]
    pub fn is_between(&self) -> bool {
        !self.is_lost && self.left == 0 && self.head.is_empty()
    }
}

/// A server's close frame (§5.5.1). A reason that does not fit is cut.
#[must_use]
pub fn close(status: u16, reason: &'static str) -> Vec<u8> {
    let reason = reason.get(..MAX_CONTROL - 2).unwrap_or(reason);
    let length = u8::try_from(2 + reason.len()).unwrap_or(2);
    let mut frame = vec![0x80 | CLOSE, length];
    frame.extend(status.to_be_bytes());
    frame.extend(&reason.as_bytes()[..usize::from(length) - 2]);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    /// A client's frame; `first` is its first byte.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match u16::try_from(payload.len()) {
            Ok(short) if short < 126 => frame.push(0x80 | payload.len() as u8),
            Ok(long) => {
                frame.push(0x80 | 126);
                frame.extend(long.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    /// What goes on, and which messages were seen.
    fn read(pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<String>), FrameError> {
        let (mut reader, mut passed, mut seen) = (Reader::new(1000), Vec::new(), Vec::new());
        for piece in pieces {
            let mut decide = |text: &[u8]| {
                seen.push(String::from_utf8_lossy(text).into_owned());
                Ok::<(), FrameError>(())
            };
            passed.extend(reader.pass(piece, &mut decide)?);
        }
        Ok((passed, seen))
    }

    #[test]
    fn messages_go_on_whole() {
        let (whole, ping) = (frame(0x81, b"{}"), frame(0x89, b"p"));
        let pieces = [frame(0x01, b"{\"a\""), ping.clone(), frame(0x00, b":"), frame(0x80, b"1}")].concat();
        let all = [whole, ping, pieces].concat();
        assert_eq!(read(&[&all]), Ok((all.clone(), vec!["{}".to_owned(), "{\"a\":1}".to_owned()])));
        let unfinished = frame(0x01, b"{");
        assert_eq!(read(&[&unfinished]), Ok((vec![], vec![])));
        assert_eq!(read(&[&all[..4]]), Ok((vec![], vec![])));
    }

    #[test]
    fn what_is_not_of_the_standard_ends_it() {
        use FrameError::*;
        let masked = |first: u8, length: &[u8]| [&[first], length, &MASK, &[0; 200]].concat();
        for (bytes, expected) in [
            (frame(0xc1, b"x"), ReservedFrame),
            (frame(0xa1, b"x"), ReservedFrame),
            (frame(0x83, b"x"), ReservedFrame),
            (frame(0x8b, b"x"), ReservedFrame),
            (vec![0x81, 1, b'x'], UnmaskedFrame),
            (masked(0x81, &[0x80 | 126, 0, 125]), InvalidLength),
            (masked(0x81, &[0x80 | 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), InvalidLength),
            (masked(0x81, &[0x80 | 127, 0x80, 0, 0, 0, 0, 1, 0, 0]), InvalidLength),
            (frame(0x09, b"x"), InvalidControl),
            (frame(0x88, &[0; 126]), InvalidControl),
            (frame(0x80, b"x"), InvalidContinuation),
            ([frame(0x01, b"x"), frame(0x81, b"y")].concat(), InvalidContinuation),
            (frame(0x82, b"x"), BinaryMessage),
            (frame(0x81, &[b'x'; 1001]), MessageTooLarge),
            (frame(0x81, &[b'x'; 1001])[..8].to_vec(), MessageTooLarge),
            ([frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 600])].concat(), MessageTooLarge),
            // Heads of pieces without anything in them are held too.
            ([frame(0x01, b"x"), frame(0x00, b"").repeat(200)].concat(), MessageTooLarge),
        ] {
            assert_eq!(read(&[&bytes]), Err(expected), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_refused_does_not_go_on() {
        let mut reader = Reader::new(1000);
        let all = [frame(0x81, b"good"), frame(0x81, b"bad")].concat();
        let mut decide = |text: &[u8]| if text == b"bad" { Err(FrameError::BinaryMessage) } else { Ok(()) };
        assert_eq!(reader.pass(&all, &mut decide), Err(FrameError::BinaryMessage));
    }

    #[test]
    fn a_frame_is_put_between_two_alone() {
        let mut boundary = Boundary::default();
        assert!(boundary.is_between());
        for (bytes, expected) in [
            (&[0x81, 2][..], false),
            (b"a", false),
            (b"b", true),
            (&[0x81, 126, 0], false),
            (&[126], false),
            (&[0; 125], false),
            (&[0, 0x89, 0], true),
            // Whatever it is, nobody knows where it ends.
            (&[0xf1, 0], false),
            (&[0x81, 0], false),
        ] {
            boundary.follow(bytes);
            assert_eq!(boundary.is_between(), expected, "{bytes:?}");
        }
        assert_eq!(close(1008, "no_grant"), b"\x88\x0a\x03\xf0no_grant");
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            texts in prop::collection::vec("[a-z]{0,200}", 0..5),
            cuts in prop::collection::vec(0_usize..1000, 0..8),
        ) {
            let all: Vec<u8> = texts.iter().flat_map(|text| frame(0x81, text.as_bytes())).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([0, all.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &all[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces), Ok((all.clone(), texts)));
        }
    }
}
