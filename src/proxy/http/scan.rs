//! What a client really wrote, looked at before hyper reads it.
//!
//! hyper repairs some things silently: it drops one of `Content-Length` and
//! `Transfer-Encoding` (RFC 9112 §6.3), takes a bare line feed for a line end,
//! and cuts a `#fragment` off the target. Two servers in a row that repair
//! differently are a smuggling hole, so such a request is refused. This scanner
//! follows the same bytes, message by message, and says what hyper would hide.
//! Pure: bytes in, violations out.

/// The longest head (request line and header fields), in bytes. Keycloak tokens
/// with many roles need most of it.
pub const MAX_HEAD: usize = 32 * 1024;

/// What hyper would have hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Violation {
    /// A line that ends without a carriage return.
    #[error("a header line ends with a bare line feed")]
    BareLineFeed,
    /// Both framings at once, or one of them twice.
    #[error("the message's length is given twice")]
    AmbiguousLength,
    /// `Content-Length` that is not plain digits.
    #[error("the Content-Length is no number")]
    InvalidLength,
    /// `Transfer-Encoding` other than exactly `chunked`.
    #[error("the Transfer-Encoding is not \"chunked\"")]
    InvalidEncoding,
    /// A header continued on the next line (obsolete folding).
    #[error("a header is folded over two lines")]
    FoldedHeader,
    /// Not origin-form: absolute URI, authority or `*`.
    #[error("the request target is not a path")]
    InvalidTarget,
    /// `#` in the target.
    #[error("the request target has a fragment")]
    Fragment,
    /// A chunk size or chunk end that is malformed.
    #[error("a chunk is malformed")]
    InvalidChunk,
}

/// Follows one connection's requests.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    /// The beginning of a line whose end has not come yet.
    carry: Vec<u8>,
}

#[derive(Debug)]
enum State {
    Head(Head),
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    /// The line end after a chunk's data.
    ChunkEnd,
    Trailers,
    /// A violation was found: nothing after it means anything.
    Lost,
}

/// What is known of the head so far.
#[derive(Debug, Default)]
struct Head {
    bytes: usize,
    request_line: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self { state: State::Head(Head::default()), carry: Vec::new() }
    }
}

impl Scanner {
    /// Looks at the next bytes of the connection.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        let result = self.walk(bytes);
        if result.is_err() {
            self.state = State::Lost;
            self.carry = Vec::new();
        }
        result
    }

    /// A head has begun and is not complete.
    pub fn in_head(&self) -> bool {
        matches!(&self.state, State::Head(head) if head.bytes > 0)
    }

    /// A message has ended, or none has begun: nothing more need come.
    pub fn is_between(&self) -> bool {
        matches!(&self.state, State::Head(head) if head.bytes == 0)
    }

    fn walk(&mut self, mut bytes: &[u8]) -> Result<(), Violation> {
        while !bytes.is_empty() {
            match &mut self.state {
                State::Lost => return Ok(()),
                State::Body(left) => {
                    if skip(left, &mut bytes) {
                        self.state = State::Head(Head::default());
                    }
                }
                State::ChunkData(left) => {
                    if skip(left, &mut bytes) {
                        self.state = State::ChunkEnd;
                    }
                }
                State::Head(_) | State::ChunkSize | State::ChunkEnd | State::Trailers => {
                    let Some(end) = memchr::memchr(b'\n', bytes) else { return self.keep(bytes) };
                    let (line, rest) = bytes.split_at(end + 1);
                    bytes = rest;
                    self.line(&line[..end])?;
                }
            }
        }
        Ok(())
    }

    /// Keeps an unfinished line. hyper answers 431 itself for a head beyond
    /// [`MAX_HEAD`], so past that there is nothing left to keep.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        if let State::Head(head) = &mut self.state {
            head.bytes += bytes.len();
        }
        if self.carry.len() + bytes.len() > MAX_HEAD {
            self.state = State::Lost;
            self.carry = Vec::new();
        } else {
            self.carry.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Violation> {
        if self.carry.is_empty() {
            return self.whole_line(line);
        }
        let mut whole = std::mem::take(&mut self.carry);
        whole.extend_from_slice(line);
        self.whole_line(&whole)
    }

    /// `line` is without its line feed.
    fn whole_line(&mut self, line: &[u8]) -> Result<(), Violation> {
        let Some(text) = line.strip_suffix(b"\r") else { return Err(Violation::BareLineFeed) };
        match &mut self.state {
            State::Head(head) => {
                head.bytes += line.len() + 1;
                if let Some(next) = head.line(text)? {
                    self.state = next;
                }
            }
            State::ChunkSize => {
                self.state = match chunk_size(text)? {
                    0 => State::Trailers,
                    size => State::ChunkData(size),
                }
            }
            State::ChunkEnd if text.is_empty() => self.state = State::ChunkSize,
            State::ChunkEnd => return Err(Violation::InvalidChunk),
            State::Trailers if text.is_empty() => self.state = State::Head(Head::default()),
            State::Trailers | State::Body(_) | State::ChunkData(_) | State::Lost => {}
        }
        Ok(())
    }
}

/// Takes up to `left` bytes off the front; true once all are taken.
fn skip(left: &mut u64, bytes: &mut &[u8]) -> bool {
    let now = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = &bytes[now..];
    *left -= now as u64;
    *left == 0
}

impl Head {
    /// Takes one line; gives the next state once the head is complete.
    fn line(&mut self, line: &[u8]) -> Result<Option<State>, Violation> {
        match line.first() {
            // RFC 9112 §2.2: an empty line before the request line is skipped.
            None if !self.request_line => {
                self.bytes = 0;
                Ok(None)
            }
            None => self.end().map(Some),
            Some(_) if !self.request_line => {
                self.request_line = true;
                check_target(line).map(|()| None)
            }
            Some(b' ' | b'\t') => Err(Violation::FoldedHeader),
            Some(b'c' | b'C') => self.content_length(line).map(|()| None),
            Some(b't' | b'T') => self.transfer_encoding(line).map(|()| None),
            Some(_) => Ok(None),
        }
    }

    fn content_length(&mut self, line: &[u8]) -> Result<(), Violation> {
        let Some(value) = value_of(line, b"content-length") else { return Ok(()) };
        let digits = !value.is_empty() && value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
        let length = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
        match self.length.replace(length.ok_or(Violation::InvalidLength)?) {
            Some(_) => Err(Violation::AmbiguousLength),
            None => Ok(()),
        }
    }

    fn transfer_encoding(&mut self, line: &[u8]) -> Result<(), Violation> {
        let Some(value) = value_of(line, b"transfer-encoding") else { return Ok(()) };
        if !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Violation::InvalidEncoding);
        }
        if std::mem::replace(&mut self.chunked, true) { Err(Violation::AmbiguousLength) } else { Ok(()) }
    }

    fn end(&self) -> Result<State, Violation> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(Violation::AmbiguousLength),
            (true, None) => Ok(State::ChunkSize),
            (false, None | Some(0)) => Ok(State::Head(Self::default())),
            (false, Some(length)) => Ok(State::Body(length)),
        }
    }
}

/// The trimmed value, when the line is a field called `name` (lower case).
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

fn check_target(line: &[u8]) -> Result<(), Violation> {
    let target = line.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    if target.first() != Some(&b'/') {
        return Err(Violation::InvalidTarget);
    }
    if memchr::memchr(b'#', target).is_some() { Err(Violation::Fragment) } else { Ok(()) }
}

/// RFC 9112 §7.1: hexadecimal digits, then maybe an extension.
fn chunk_size(line: &[u8]) -> Result<u64, Violation> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at(digits);
    if digits == 0 || digits > 15 || !matches!(rest.first(), None | Some(b';' | b' ' | b'\t')) {
        return Err(Violation::InvalidChunk);
    }
    std::str::from_utf8(size).ok().and_then(|text| u64::from_str_radix(text, 16).ok()).ok_or(Violation::InvalidChunk)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(text: &str) -> Result<Scanner, Violation> {
        let mut scanner = Scanner::default();
        scanner.feed(text.as_bytes()).map(|()| scanner)
    }

    const GOOD: [&str; 7] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET /?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\n\nGET GET / HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n3\r\n\n\n\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "POST /a HTTP/1.1\r\nTransfer-Encoding:chunked\r\n\r\n1a;x=y\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nT: x\r\n\r\n",
        "GET / HTTP/1.1\r\nCookie: a\r\nTe: x\r\nContent-Type: b\r\n\r\n",
    ];

    #[test]
    fn good_requests_end_between_messages() {
        for text in GOOD {
            let scanner = whole(text);
            assert!(
                matches!(&scanner, Ok(s) if matches!(s.state, State::Head(_)) && !s.in_head()),
                "{text:?} {scanner:?}"
            );
        }
    }

    #[test]
    fn hidden_things_are_found() {
        use Violation::*;
        for (text, violation) in [
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", BareLineFeed),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", BareLineFeed),
            ("GET http://x/ HTTP/1.1\r\n", InvalidTarget),
            ("OPTIONS * HTTP/1.1\r\n", InvalidTarget),
            ("CONNECT a:80 HTTP/1.1\r\n", InvalidTarget),
            ("PRI * HTTP/2.0\r\n", InvalidTarget),
            ("GET /a#b HTTP/1.1\r\n", Fragment),
            ("GET / HTTP/1.1\r\nA: b\r\n c\r\n", FoldedHeader),
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", AmbiguousLength),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length: 1\r\n\r\n", AmbiguousLength),
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", AmbiguousLength),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", AmbiguousLength),
            ("POST / HTTP/1.1\r\nContent-Length: +1\r\n", InvalidLength),
            ("POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n", InvalidLength),
            ("POST / HTTP/1.1\r\nContent-Length:\r\n", InvalidLength),
            ("POST / HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n", InvalidLength),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n", InvalidEncoding),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n", InvalidEncoding),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", InvalidChunk),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", InvalidChunk),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", InvalidChunk),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\nabc\r\n", BareLineFeed),
        ] {
            assert_eq!(whole(text).err(), Some(violation), "{text:?}");
        }
    }

    proptest! {
        /// However the network cuts the bytes, the finding is the same.
        #[test]
        fn cuts_make_no_difference(which in 0..GOOD.len(), spoil in prop::option::of(0_usize..80), cuts in prop::collection::vec(1_usize..9, 1..40)) {
            let mut bytes = GOOD[which].as_bytes().to_vec();
            if let Some(at) = spoil.filter(|at| *at < bytes.len()) {
                bytes[at] = b'\n';
            }
            let mut at_once = Scanner::default();
            let expected = at_once.feed(&bytes);
            let mut pieces = Scanner::default();
            let mut found = Ok(());
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() || found.is_err() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                found = pieces.feed(now);
                rest = later;
            }
            prop_assert_eq!(found, expected);
        }
    }
}
