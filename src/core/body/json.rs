//! One member of a JSON object (RFC 8259), found without building the rest.
//!
//! Parsers disagree about what is not plain: of two members of one name some take the first, some the last; Go's takes
//! `Model` for `model`. A guard that reads otherwise than the server is talked around, so whatever has two readings is
//! an error here. The whole text is checked: what is no JSON to one parser is something to another.

use std::{borrow::Cow, ops::Range};

use serde_json::Value;

/// How deep objects and arrays may lie in each other.
pub const MAX_DEPTH: usize = 64;

/// A top-level member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    /// What it says, decoded. `None`: it is `null` or not there, and the server does what it likes.
    pub text: Option<Cow<'a, str>>,
    place: Place,
}

/// Where a member is in the body, or would be, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Its value is here.
    Value(Range<usize>),
    /// It is not there; the first member would begin here, if there is one.
    First { at: usize, is_only: bool },
}

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum JsonError {
    /// Not UTF-8 (RFC 8259 §8.1), or it begins with a byte order mark.
    #[error("the body is not plain UTF-8")]
    NotUtf8,
    /// No JSON, or something behind it.
    #[error("the body is not valid JSON")]
    NotJson,
    /// More than [`MAX_DEPTH`].
    #[error("the body's JSON is nested too deeply")]
    TooDeep,
    /// An array, a text, a number.
    #[error("the body's JSON is no object")]
    NotAnObject,
    /// The member is there twice.
    #[error("the body's JSON has a member twice that may be there once")]
    DuplicateMember,
    /// A name that some parsers take for the member's: `Model`, `MODEL`.
    #[error("the body's JSON has a member that differs from one that counts by its letters' case alone")]
    LookalikeMember,
    /// The member is no text.
    #[error("the body's JSON has a member that must be a string and is none")]
    NotText,
    /// A member that may say something else than the one that counts.
    #[error("the body's JSON has a member that may name another model; name the one in \"model\" alone")]
    RivalMember,
}

/// The top-level member `name` of an object. `name` is ASCII. One that `is_rival` may only be `null`.
pub fn member<'a>(body: &'a [u8], name: &str, is_rival: fn(&str) -> bool) -> Result<Member<'a>, JsonError> {
    let mut scanner = Scanner::of_object(body)?;
    let (first, mut is_only, mut found) = (scanner.at + 1, true, None);
    scanner.object(0, &mut |scanner, key| {
        is_only = false;
        match scanner.meet(&key.decode()?, name, is_rival, found.is_some())? {
            Met::Asked(member) => found = Some(member),
            Met::Null => {}
            Met::Other => scanner.value(1)?,
        }
        Ok(())
    })?;
    scanner.end()?;
    Ok(found.unwrap_or(Member { text: None, place: Place::First { at: first, is_only } }))
}

impl Member<'_> {
    /// The body with `text` for this member's value. `body` and `name` are those that it was found by.
    #[must_use]
    pub fn set(&self, body: &[u8], name: &str, text: &str) -> Vec<u8> {
        let text = Value::from(text);
        let (range, new) = match &self.place {
            Place::Value(range) => (range.clone(), text.to_string()),
            Place::First { at, is_only: true } => (*at..*at, format!("\"{name}\":{text}")),
            Place::First { at, is_only: false } => (*at..*at, format!("\"{name}\":{text},")),
        };
        [&body[..range.start], new.as_bytes(), &body[range.end..]].concat()
    }
}

/// The members of these names at the top of an object, each as it is written; none where it is not there or `null`. The
/// names are ASCII. One that is there twice, or looks like another one, is refused as in [`member`]; the others are only
/// checked for being JSON.
pub fn select<'a, const N: usize>(body: &'a [u8], names: [&str; N]) -> Result<[Option<&'a str>; N], JsonError> {
    let mut scanner = Scanner::of_object(body)?;
    let (mut found, mut is_there) = ([None; N], [false; N]);
    scanner.object(0, &mut |scanner, key| {
        let key = &*key.decode()?;
        let asked = names.iter().position(|name| !matches!(kind(key, name, |_| false), Kind::Other));
        let begin = scanner.at;
        scanner.value(1)?;
        let Some(index) = asked else { return Ok(()) };
        if key != names[index] {
            return Err(JsonError::LookalikeMember);
        }
        if std::mem::replace(&mut is_there[index], true) {
            return Err(JsonError::DuplicateMember);
        }
        // Between two tokens, which are whole characters.
        let value = scanner.text.get(begin..scanner.at).ok_or(JsonError::NotJson)?;
        found[index] = Some(value).filter(|value| *value != "null");
        Ok(())
    })?;
    scanner.end()?;
    Ok(found)
}

/// The text that a value as [`select`] gives it says.
pub fn text(value: &str) -> Result<Cow<'_, str>, JsonError> {
    let mut scanner = Scanner::of(value.as_bytes())?;
    if scanner.peek() != Some(b'"') {
        return Err(JsonError::NotText);
    }
    let text = scanner.string()?.decode()?;
    scanner.end()?;
    Ok(text)
}

/// What the members `name` say, at any depth of a body: an object within may choose as well as the outermost. Read as
/// strictly as in [`member`] in each object. What lies below a member `beside` is data of others, and only checked for being
/// JSON.
pub fn everywhere<'a>(
    body: &'a [u8],
    name: &str,
    is_rival: fn(&str) -> bool,
    beside: &str,
) -> Result<Vec<Cow<'a, str>>, JsonError> {
    let mut scanner = Scanner::of_object(body)?;
    let mut walk = Walk { name, is_rival, beside, found: Vec::new() };
    walk.value(&mut scanner, 0)?;
    scanner.end()?;
    Ok(walk.found)
}

/// What is looked for in [`everywhere`], and what was found.
struct Walk<'n, 'a> {
    name: &'n str,
    is_rival: fn(&str) -> bool,
    beside: &'n str,
    found: Vec<Cow<'a, str>>,
}

impl<'a> Walk<'_, 'a> {
    fn value(&mut self, scanner: &mut Scanner<'a>, depth: usize) -> Result<(), JsonError> {
        match scanner.peek() {
            Some(b'{') => {
                let mut is_there = false;
                scanner.object(depth, &mut |scanner, key| self.member(scanner, &key.decode()?, depth, &mut is_there))
            }
            Some(b'[') => scanner.array(depth, &mut |scanner| self.value(scanner, depth + 1)),
            _ => scanner.value(depth),
        }
    }

    fn member(
        &mut self,
        scanner: &mut Scanner<'a>,
        key: &str,
        depth: usize,
        is_there: &mut bool,
    ) -> Result<(), JsonError> {
        match scanner.meet(key, self.name, self.is_rival, *is_there)? {
            Met::Asked(member) => {
                *is_there = true;
                self.found.extend(member.text);
            }
            Met::Null => {}
            Met::Other if key == self.beside => scanner.value(depth + 1)?,
            Met::Other => self.value(scanner, depth + 1)?,
        }
        Ok(())
    }
}

/// Whether a body is an array: a batch, to JSON-RPC.
pub fn is_array(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

/// What a name is to whoever asks for one.
enum Kind {
    Asked,
    Lookalike,
    Rival,
    Other,
}

/// What a member is, of which the name was read.
enum Met<'a> {
    Asked(Member<'a>),
    /// One that could choose, and says nothing.
    Null,
    /// Its value is still to be read.
    Other,
}

/// Unicode has no letters beyond ASCII that fold to those of `model` and `name`. To what is written in C a name may end at a NUL.
fn kind(key: &str, name: &str, is_rival: fn(&str) -> bool) -> Kind {
    let read = key.split('\0').next().unwrap_or_default();
    match () {
        () if key == name => Kind::Asked,
        () if read.eq_ignore_ascii_case(name) => Kind::Lookalike,
        () if is_rival(read) => Kind::Rival,
        () => Kind::Other,
    }
}

/// What ends a run of plain characters in a string: a quote, a backslash, what must be escaped (RFC 8259 §7).
const IS_SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
};
/// How many bytes a name mostly has at most.
const SHORT: usize = 8;
/// How many bytes are looked at in one go: the compiler makes one comparison of them. A body of 2 kB of text is read at
/// a fifth of the time of byte by byte.
const BLOCK: usize = 32;

/// How many plain characters `bytes` begins with; `None`: the string never ends.
fn plain(bytes: &[u8]) -> Option<usize> {
    let special = |bytes: &[u8]| bytes.iter().position(|byte| IS_SPECIAL[usize::from(*byte)]);
    let (short, long) = bytes.split_at(bytes.len().min(SHORT));
    special(short).or_else(|| {
        let is_plain = |block: &&[u8]| {
            !block.iter().fold(false, |found, byte| found | (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\'))
        };
        let passed = long.chunks_exact(BLOCK).take_while(is_plain).count() * BLOCK;
        special(&long[passed..]).map(|rest| short.len() + passed + rest)
    })
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

/// A string as it is written, and whether it has to be decoded.
struct Raw<'a> {
    text: &'a str,
    is_escaped: bool,
}

type OnMember<'f, 'a> = &'f mut dyn FnMut(&mut Scanner<'a>, Raw<'a>) -> Result<(), JsonError>;
type OnItem<'f, 'a> = &'f mut dyn FnMut(&mut Scanner<'a>) -> Result<(), JsonError>;

impl<'a> Scanner<'a> {
    /// Before the first token of a text.
    fn of(body: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(body).map_err(|_| JsonError::NotUtf8)?;
        if text.starts_with('\u{feff}') {
            return Err(JsonError::NotUtf8);
        }
        let mut scanner = Self { text, bytes: body, at: 0 };
        scanner.space();
        Ok(scanner)
    }

    /// The same of a text that is an object.
    fn of_object(body: &'a [u8]) -> Result<Self, JsonError> {
        let mut scanner = Self::of(body)?;
        if scanner.peek() == Some(b'{') {
            return Ok(scanner);
        }
        scanner.value(0)?;
        scanner.end()?;
        Err(JsonError::NotAnObject)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), JsonError> {
        if self.peek() != Some(byte) {
            return Err(JsonError::NotJson);
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), JsonError> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(JsonError::NotJson) }
    }

    /// Any value at this depth, passed over.
    fn value(&mut self, depth: usize) -> Result<(), JsonError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => self.object(depth, &mut |scanner, _| scanner.value(depth + 1)),
            Some(b'[') => self.array(depth, &mut |scanner| scanner.value(depth + 1)),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize, on_member: OnMember<'_, 'a>) -> Result<(), JsonError> {
        self.open(depth, b'{')?;
        if self.close(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            on_member(self, key)?;
            if !self.more(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize, on_item: OnItem<'_, 'a>) -> Result<(), JsonError> {
        self.open(depth, b'[')?;
        if self.close(b']') {
            return Ok(());
        }
        loop {
            on_item(self)?;
            if !self.more(b']')? {
                return Ok(());
            }
        }
    }

    fn open(&mut self, depth: usize, byte: u8) -> Result<(), JsonError> {
        if depth >= MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.expect(byte)?;
        self.space();
        Ok(())
    }

    fn close(&mut self, byte: u8) -> bool {
        let is_closed = self.peek() == Some(byte);
        self.at += usize::from(is_closed);
        is_closed
    }

    /// Behind a member or an item: whether another one follows.
    fn more(&mut self, closing: u8) -> Result<bool, JsonError> {
        self.space();
        if self.close(closing) {
            return Ok(false);
        }
        self.expect(b',')?;
        self.space();
        Ok(true)
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(JsonError::NotJson);
        }
        self.at += word.len();
        Ok(())
    }

    /// Behind the name of a member: its value, if it is the one that is asked for, or one that says nothing where it could
    /// choose. Any other is still to be read.
    fn meet(
        &mut self,
        key: &str,
        name: &str,
        is_rival: fn(&str) -> bool,
        is_there: bool,
    ) -> Result<Met<'a>, JsonError> {
        match kind(key, name, is_rival) {
            Kind::Asked if is_there => Err(JsonError::DuplicateMember),
            Kind::Asked => self.text_or_null().map(Met::Asked),
            Kind::Lookalike => Err(JsonError::LookalikeMember),
            Kind::Rival if self.peek() != Some(b'n') => Err(JsonError::RivalMember),
            Kind::Rival => self.word("null").map(|()| Met::Null),
            Kind::Other => Ok(Met::Other),
        }
    }

    fn text_or_null(&mut self) -> Result<Member<'a>, JsonError> {
        let begin = self.at;
        let text = match self.peek() {
            Some(b'"') => Some(self.string()?.decode()?),
            Some(b'n') => {
                self.word("null")?;
                None
            }
            _ => {
                self.value(1)?;
                return Err(JsonError::NotText);
            }
        };
        Ok(Member { text, place: Place::Value(begin..self.at) })
    }

    fn string(&mut self) -> Result<Raw<'a>, JsonError> {
        self.expect(b'"')?;
        let (begin, mut is_escaped) = (self.at, false);
        loop {
            // Texts are most of a body: what is plain in them is passed over in one go.
            self.at += plain(&self.bytes[self.at..]).ok_or(JsonError::NotJson)?;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    is_escaped = true;
                    self.escape()?;
                }
                _ => return Err(JsonError::NotJson),
            }
        }
        // Between two quotes, which are whole characters.
        let text = self.text.get(begin..self.at).ok_or(JsonError::NotJson)?;
        self.at += 1;
        Ok(Raw { text, is_escaped })
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let length = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).ok_or(JsonError::NotJson)?;
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(JsonError::NotJson);
                }
                6
            }
            _ => return Err(JsonError::NotJson),
        };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.close(b'-');
        if !self.close(b'0') {
            self.digits()?;
        }
        if self.close(b'.') {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if !self.close(b'+') {
                self.close(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at > begin { Ok(()) } else { Err(JsonError::NotJson) }
    }
}

impl<'a> Raw<'a> {
    /// Half a surrogate pair is an error: one parser drops it, another puts a question mark there.
    fn decode(&self) -> Result<Cow<'a, str>, JsonError> {
        if !self.is_escaped {
            return Ok(Cow::Borrowed(self.text));
        }
        serde_json::from_str(&format!("\"{}\"", self.text)).map(Cow::Owned).map_err(|_| JsonError::NotJson)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_is_found_at_any_depth() {
        use JsonError::*;
        for (body, expected) in [
            (r#"{}"#, Ok(vec![])),
            (r#"{"model":"a","x":{"model":"b","y":[{"model":"c"},[[{"model":null}]]]}}"#, Ok(vec!["a", "b", "c"])),
            (r#"{"x":{"mod\u0065l":"b"}}"#, Ok(vec!["b"])),
            (r#"{"beside":[{"model":{"MODEL":1,"rival":2}}],"x":"model"}"#, Ok(vec![])),
            (r#"{"x":{"model":"a","model":"a"}}"#, Err(DuplicateMember)),
            (r#"{"x":[{"MODEL":"a"}]}"#, Err(LookalikeMember)),
            (r#"{"x":{"rival":"a"}}"#, Err(RivalMember)),
            (r#"{"x":{"rival":null}}"#, Ok(vec![])),
            (r#"{"x":{"model":["a"]}}"#, Err(NotText)),
            (r#"[{"model":"a"}]"#, Err(NotAnObject)),
            (r#"{"x":{"model":"a"}"#, Err(NotJson)),
            (r#"{"x":{}} {}"#, Err(NotJson)),
        ] {
            let found = everywhere(body.as_bytes(), "model", |name| name == "rival", "beside");
            assert_eq!(found, expected.map(|names| names.into_iter().map(Cow::Borrowed).collect()), "{body}");
        }
        let deep = |depth: usize| [r#"{"x":"#.repeat(depth), "1".to_owned(), "}".repeat(depth)].concat();
        assert_eq!(everywhere(deep(MAX_DEPTH).as_bytes(), "model", |_| false, ""), Ok(vec![]));
        assert_eq!(everywhere(deep(MAX_DEPTH + 1).as_bytes(), "model", |_| false, ""), Err(TooDeep));
    }

    #[test]
    fn a_run_of_plain_characters_ends_at_the_first_special_one() {
        for length in 0..3 * BLOCK {
            for end in [b'"', b'\\', b'\n', 0, 0x1f] {
                let mut text = vec![b'a'; length];
                assert_eq!(plain(&text), None);
                text.extend([end, b'"', b'b']);
                text.extend([0xff; BLOCK]);
                assert_eq!(plain(&text), Some(length), "{length} {end}");
            }
        }
    }

    fn model(body: &str) -> Result<Option<String>, JsonError> {
        let found = member(body.as_bytes(), "model", |name| name.eq_ignore_ascii_case("rival"))?;
        Ok(found.text.map(Cow::into_owned))
    }

    #[test]
    fn the_member_is_found_wherever_it_is() {
        for (body, expected) in [
            (r#"{"model":"m"}"#, Some("m")),
            (" {\r\n\t\"a\" : [1, -0.5e+3, {\"model\": \"x\"}], \"model\" : \"m\" } \n", Some("m")),
            (r#"{"\u006dodel":"m"}"#, Some("m")),
            (r#"{"model":"\u006d\/\"\\\ud83d\ude00"}"#, Some("m/\"\\😀")),
            (r#"{"model":""}"#, Some("")),
            (r#"{"messages":[{"Model":"x","model":"y"}],"model":"m"}"#, Some("m")),
            (r#"{"model":null}"#, None),
            (r#"{"a":true,"b":false,"c":null}"#, None),
            (r#"{"model":"m","rival":null,"x":{"rival":1}}"#, Some("m")),
            ("{}", None),
        ] {
            assert_eq!(model(body), Ok(expected.map(str::to_owned)), "{body}");
        }
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        use JsonError::*;
        for (body, expected) in [
            (r#"{"model":"a","model":"b"}"#, DuplicateMember),
            (r#"{"model":"a","\u006dodel":"b"}"#, DuplicateMember),
            (r#"{"model":null,"model":"b"}"#, DuplicateMember),
            (r#"{"model":"a","Model":"b"}"#, LookalikeMember),
            (r#"{"MODEL":"a"}"#, LookalikeMember),
            (r#"{"m\u004fdel":"a"}"#, LookalikeMember),
            (r#"{"model":"a","model\u0000":"b"}"#, LookalikeMember),
            (r#"{"model":"a","MODEL\u0000x":"b"}"#, LookalikeMember),
            (r#"{"model":"a","rival":"b"}"#, RivalMember),
            (r#"{"riv\u0061l":["b"],"model":"a"}"#, RivalMember),
            (r#"{"model":"a","RIVAL\u0000":{}}"#, RivalMember),
            (r#"{"model":"a","rival":nul}"#, NotJson),
            (r#"{"model":1}"#, NotText),
            (r#"{"model":["a"]}"#, NotText),
            (r#"{"model":{"id":"a"}}"#, NotText),
            (r#"[{"model":"a"}]"#, NotAnObject),
            (r#""model""#, NotAnObject),
            ("null", NotAnObject),
            ("\u{feff}{\"model\":\"a\"}", NotUtf8),
            ("", NotJson),
            (r#"{"model":"a"}{"model":"b"}"#, NotJson),
            (r#"{"model":"a"} x"#, NotJson),
            (r#"{"model":"a",}"#, NotJson),
            (r#"{model:"a"}"#, NotJson),
            (r#"{'model':'a'}"#, NotJson),
            (r#"{"model":"a" /* c */}"#, NotJson),
            (r#"{"model":"a","x":NaN}"#, NotJson),
            (r#"{"model":"a","x":01}"#, NotJson),
            (r#"{"model":"a","x":1.}"#, NotJson),
            (r#"{"model":"a","x":+1}"#, NotJson),
            (r#"{"model":"a","x":"\x41"}"#, NotJson),
            (r#"{"model":"a","x":"\u12"}"#, NotJson),
            ("{\"model\":\"a\nb\"}", NotJson),
            ("{\"model\":\"a\0\"}", NotJson),
            (r#"{"model":"\ud800"}"#, NotJson),
            (r#"{"model\udc00":"a"}"#, NotJson),
            (r#"{"model":"a""#, NotJson),
            (r#"{"model":"a"#, NotJson),
        ] {
            assert_eq!(model(body), Err(expected), "{body}");
        }
        assert_eq!(member(b"{\"model\":\"\xff\"}", "model", |_| false), Err(NotUtf8));
    }

    #[test]
    fn members_are_selected_as_they_are_written() {
        use JsonError::*;
        for (body, expected) in [
            (r#" {"a": "x" , "c":[1,{"a":2}], "b" : {"a":3} } "#, Ok([Some(r#""x""#), Some(r#"{"a":3}"#)])),
            (r#"{"b":null,"\u0061":"\u0061"}"#, Ok([Some(r#""\u0061""#), None])),
            ("{}", Ok([None, None])),
            (r#"{"a":1,"a":2}"#, Err(DuplicateMember)),
            (r#"{"a":null,"a":2}"#, Err(DuplicateMember)),
            (r#"{"a":1,"A":2}"#, Err(LookalikeMember)),
            (r#"{"B\u0000":2}"#, Err(LookalikeMember)),
            (r#"[{"a":1}]"#, Err(NotAnObject)),
            (r#"{"a":01}"#, Err(NotJson)),
            (r#"{"a":1} x"#, Err(NotJson)),
        ] {
            assert_eq!(select(body.as_bytes(), ["a", "b"]), expected, "{body}");
        }
        assert_eq!(text(r#""\u0061b""#).as_deref(), Ok("ab"));
        assert_eq!(text("1"), Err(NotText));
        assert!(is_array(b" [") && !is_array(b"{"));
    }

    #[test]
    fn a_member_is_set_where_it_is_or_would_be() {
        for (body, expected) in [
            ("{}", r#"{"model":"a\"b"}"#),
            (" { } ", r#" {"model":"a\"b" } "#),
            (r#"{"x":1}"#, r#"{"model":"a\"b","x":1}"#),
            (r#"{"x":1, "model" : null }"#, r#"{"x":1, "model" : "a\"b" }"#),
            (r#"{"model":"","x":1}"#, r#"{"model":"a\"b","x":1}"#),
        ] {
            let Ok(found) = member(body.as_bytes(), "model", |_| false) else { panic!("{body}") };
            let set = found.set(body.as_bytes(), "model", "a\"b");
            assert_eq!(std::str::from_utf8(&set), Ok(expected), "{body}");
            assert_eq!(model(expected), Ok(Some("a\"b".to_owned())), "{body}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"x\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(model(&nested(MAX_DEPTH - 1)), Ok(None));
        assert_eq!(model(&nested(MAX_DEPTH)), Err(JsonError::TooDeep));
        assert_eq!(model(&nested(100_000)), Err(JsonError::TooDeep));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map("(model|name|.{0,4})", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// As serde_json reads it, for whatever it writes.
        #[test]
        fn agrees_with_another_parser(value in any_json(), is_pretty in any::<bool>()) {
            let text = if is_pretty { format!("{value:#}") } else { value.to_string() };
            let found = model(&text);
            let looks_alike = |value: &Value| {
                value.as_object().is_some_and(|all| {
                    all.keys().any(|key| key != "model" && key.eq_ignore_ascii_case("model"))
                })
            };
            match (value.as_object(), value.get("model")) {
                _ if looks_alike(&value) => prop_assert_eq!(found, Err(JsonError::LookalikeMember)),
                (None, _) => prop_assert_eq!(found, Err(JsonError::NotAnObject)),
                (Some(_), None | Some(Value::Null)) => prop_assert_eq!(found, Ok(None)),
                (Some(_), Some(Value::String(text))) => prop_assert_eq!(found, Ok(Some(text.clone()))),
                (Some(_), Some(_)) => prop_assert_eq!(found, Err(JsonError::NotText)),
            }
        }

        /// Whatever passes is JSON to another parser too, and says the same there.
        #[test]
        fn lets_nothing_through_that_is_no_json(text in r#"[{}\[\]":,a-z\\u0-9eE.+\- ]{0,40}"#) {
            if let Ok(found) = model(&text) {
                let value: Value = serde_json::from_str(&text).expect("JSON");
                prop_assert_eq!(found.as_deref(), value["model"].as_str());
            }
        }
    }
}
