//! The part `model` of a `multipart/form-data` body (RFC 7578), read as strictly as `json` reads a member.
//!
//! Parsers of forms disagree more than those of JSON: about white space behind a boundary, line ends, quoting, `name*`,
//! what stands before the first part. Only the form that every client library writes is read.

use std::borrow::Cow;

/// The longest boundary, in bytes (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;
/// The longest head of a part, in bytes.
const MAX_HEAD: usize = 4096;
/// The most parts.
const MAX_PARTS: usize = 256;

/// Why a form cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FormError {
    /// The content type has no boundary, two, or one of other characters.
    #[error("the Content-Type of the form has no plain boundary")]
    InvalidBoundary,
    /// Not parts between boundaries, or something before or behind them.
    #[error("the body is no plain multipart/form-data")]
    NotAForm,
    /// A part's head is not one plain `Content-Disposition: form-data; name="…"` and fields beside it.
    #[error("a part of the form has a head with more than one reading")]
    InvalidPart,
    /// More than the guard looks at.
    #[error("the form has too many parts")]
    TooManyParts,
    /// The part is there twice.
    #[error("the form has a part twice that may be there once")]
    DuplicatePart,
    /// A name that some parsers take for the part's, or a file of that name.
    #[error("the form has a part whose name some servers read as that of one that counts")]
    LookalikePart,
    /// The part is no text.
    #[error("the form has a part that must be text and is none")]
    PartNotText,
    /// A part that may say something else than the one that counts.
    #[error("the form has a part that may name another model; name the one in \"model\" alone")]
    RivalPart,
}

/// A form, ready to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form<'a> {
    boundary: &'a str,
}

impl<'a> Form<'a> {
    /// From a content type; `None`: it is none of a form.
    pub fn of(content_type: &'a str) -> Option<Result<Self, FormError>> {
        let (kind, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        kind.trim().eq_ignore_ascii_case("multipart/form-data").then(|| Self::with(parameters))
    }

    /// The boundary is the only parameter: a second one, or `boundary*`, has two readings.
    fn with(parameters: &'a str) -> Result<Self, FormError> {
        let (name, value) = parameters.trim().split_once('=').ok_or(FormError::InvalidBoundary)?;
        let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let boundary = quoted.unwrap_or(value);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
        // Unquoted, only a token's characters (RFC 9110 §5.6.6).
        let is_token = quoted.is_some() || !boundary.bytes().any(|byte| b"(),/:=?".contains(&byte));
        let fits = (1..=MAX_BOUNDARY).contains(&boundary.len()) && boundary.bytes().all(plain) && is_token;
        if fits && name.eq_ignore_ascii_case("boundary") {
            Ok(Self { boundary })
        } else {
            Err(FormError::InvalidBoundary)
        }
    }

    /// The text of the part `name`; `None`: no such part. `name` is ASCII. A part whose name `is_rival` may not be
    /// there.
    pub fn part<'b>(
        self,
        body: &'b [u8],
        name: &str,
        is_rival: fn(&str) -> bool,
    ) -> Result<Option<Cow<'b, str>>, FormError> {
        let mut found = None;
        for (index, part) in self.parts(body).enumerate() {
            if index == MAX_PARTS {
                return Err(FormError::TooManyParts);
            }
            let Part { name: own, is_file, content } = part?;
            let letters: String = own.chars().filter(char::is_ascii_alphanumeric).collect();
            if own == name && !is_file {
                let text = std::str::from_utf8(content).map_err(|_| FormError::PartNotText)?;
                if found.replace(Cow::Borrowed(text)).is_some() {
                    return Err(FormError::DuplicatePart);
                }
            } else if letters.eq_ignore_ascii_case(name) {
                return Err(FormError::LookalikePart);
            } else if is_rival(own) {
                return Err(FormError::RivalPart);
            }
        }
        Ok(found)
    }

    /// The body with a part more, before the others. `name` and `text` hold no line end.
    #[must_use]
    pub fn with_part(self, body: &[u8], name: &str, text: &str) -> Vec<u8> {
        let part = format!("--{}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n", self.boundary);
        [part.as_bytes(), body].concat()
    }

    fn parts(self, body: &[u8]) -> Parts<'_> {
        let first = format!("--{}", self.boundary);
        match body.strip_prefix(first.as_bytes()) {
            Some(rest) => Parts { rest, delimiter: format!("\r\n{first}"), state: State::BehindBoundary },
            None => Parts { rest: body, delimiter: String::new(), state: State::Lost },
        }
    }
}

struct Part<'a> {
    name: &'a str,
    is_file: bool,
    content: &'a [u8],
}

struct Parts<'a> {
    rest: &'a [u8],
    delimiter: String,
    state: State,
}

enum State {
    BehindBoundary,
    Ended,
    Lost,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, FormError>;

    fn next(&mut self) -> Option<Self::Item> {
        match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => None,
            State::Lost => Some(Err(FormError::NotAForm)),
            State::BehindBoundary => self.part().transpose(),
        }
    }
}

impl<'a> Parts<'a> {
    fn part(&mut self) -> Result<Option<Part<'a>>, FormError> {
        if matches!(self.rest, b"--" | b"--\r\n") {
            return Ok(None);
        }
        let rest = self.rest.strip_prefix(b"\r\n").ok_or(FormError::NotAForm)?;
        let end = find(&rest[..rest.len().min(MAX_HEAD)], b"\r\n\r\n").ok_or(FormError::InvalidPart)?;
        let (name, is_file) = head(&rest[..end])?;
        let content = &rest[end + 4..];
        // By RFC 2046 §5.1.1, and to Go, such a part ends right here, and what follows is another one; to others it is content.
        if content.starts_with(&self.delimiter.as_bytes()[2..]) {
            return Err(FormError::NotAForm);
        }
        let end = find(content, self.delimiter.as_bytes()).ok_or(FormError::NotAForm)?;
        self.rest = &content[end + self.delimiter.len()..];
        self.state = State::BehindBoundary;
        Ok(Some(Part { name, is_file, content: &content[..end] }))
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    // Byte by byte through what cannot begin one; the body of a form is mostly one large file.
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// The name in a part's head, and whether it is a file.
fn head(head: &[u8]) -> Result<(&str, bool), FormError> {
    let head = std::str::from_utf8(head).map_err(|_| FormError::InvalidPart)?;
    let mut found = None;
    for line in head.split("\r\n") {
        if line.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(FormError::InvalidPart);
        }
        let (field, value) = line.split_once(':').ok_or(FormError::InvalidPart)?;
        match field.to_ascii_lowercase().as_str() {
            "content-disposition" if found.is_none() => found = Some(disposition(value.trim())?),
            "content-type" | "content-length" => {}
            // Encodings that browsers no longer write and some parsers still undo; folding; a second disposition.
            _ => return Err(FormError::InvalidPart),
        }
    }
    found.ok_or(FormError::InvalidPart)
}

/// `form-data; name="…"`, with `filename` beside it.
fn disposition(value: &str) -> Result<(&str, bool), FormError> {
    let mut rest = value.strip_prefix("form-data").ok_or(FormError::InvalidPart)?;
    let (mut name, mut is_file) = (None, false);
    while !rest.is_empty() {
        let parameter = rest.trim_start_matches(' ').strip_prefix(';').ok_or(FormError::InvalidPart)?;
        let (key, quoted) = parameter.trim_start_matches(' ').split_once('=').ok_or(FormError::InvalidPart)?;
        let (text, behind) = match quoted.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or(FormError::InvalidPart)?,
            None => quoted.split_at(quoted.find(';').unwrap_or(quoted.len())),
        };
        match key {
            // An escape in a name is undone by some.
            "name" if name.is_none() && !text.contains(['\\', '%']) => name = Some(text),
            "filename" | "filename*" => is_file = true,
            _ => return Err(FormError::InvalidPart),
        }
        rest = behind;
    }
    Ok((name.ok_or(FormError::InvalidPart)?, is_file))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=b";

    fn model(body: &str) -> Result<Option<String>, FormError> {
        let Some(Ok(form)) = Form::of(TYPE) else { panic!("a form") };
        let part = form.part(body.as_bytes(), "model", |name| name.eq_ignore_ascii_case("rival"))?;
        Ok(part.map(Cow::into_owned))
    }

    /// A form of parts, each a head and a content.
    fn form(parts: &[(&str, &str)]) -> String {
        let parts: String = parts.iter().map(|(head, content)| format!("--b\r\n{head}\r\n\r\n{content}\r\n")).collect();
        format!("{parts}--b--\r\n")
    }

    const MODEL: &str = "Content-Disposition: form-data; name=\"model\"";
    const FILE: &str = "Content-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav";

    #[test]
    fn the_part_is_found_wherever_it_is() {
        for (body, expected) in [
            (form(&[(MODEL, "m")]), Some("m")),
            (form(&[(FILE, "RIFF\r\n--other\r\n\r\n"), (MODEL, "m")]), Some("m")),
            (form(&[(MODEL, ""), (FILE, "")]), Some("")),
            (form(&[(FILE, "x")]), None),
            (form(&[("content-disposition: form-data;name=model", "m")]), Some("m")),
            (form(&[(MODEL, "m")]).trim_end().to_owned(), Some("m")),
        ] {
            assert_eq!(model(&body), Ok(expected.map(str::to_owned)), "{body}");
        }
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        use FormError::*;
        let named = |name: &str| format!("Content-Disposition: form-data; name={name}");
        let head = |head: &str| form(&[(head, "m")]);
        for (body, error) in [
            (form(&[(MODEL, "a"), (MODEL, "b")]), DuplicatePart),
            (form(&[(MODEL, "a"), (&named("\"Model\""), "b")]), LookalikePart),
            (form(&[(MODEL, "a"), (&named("\"model[]\""), "b")]), LookalikePart),
            (form(&[(MODEL, "a"), (&named("\" model\""), "b")]), LookalikePart),
            (head(&format!("{MODEL}; filename=\"m\"")), LookalikePart),
            (form(&[(MODEL, "a"), (&named("\"rival\""), "b")]), RivalPart),
            (form(&[(MODEL, "a"), (&named("\"RIVAL\""), "b")]), RivalPart),
            (head(&named("\"mo\\del\"")), InvalidPart),
            (head(&named("\"mode%6c\"")), InvalidPart),
            (head(&format!("{MODEL}; name=\"file\"")), InvalidPart),
            (head(&format!("{MODEL}; name*=utf-8''file")), InvalidPart),
            (head(&format!("{MODEL}\r\n{}", named("\"file\""))), InvalidPart),
            (head(&format!("{MODEL}\r\nContent-Transfer-Encoding: base64")), InvalidPart),
            (head("Content-Disposition: form-data;\r\n name=\"model\""), InvalidPart),
            (head("Content-Disposition: form-data;\n name=\"model\""), InvalidPart),
            (head("Content-Disposition: attachment; name=\"model\""), InvalidPart),
            (head("Content-Type: text/plain"), InvalidPart),
            (head(&format!("{MODEL} x")), InvalidPart),
            (String::new(), NotAForm),
            // A head without a body, behind which some see the part that others take for a file's content.
            (format!("--b\r\n{FILE}\r\n\r\n{}", form(&[(MODEL, "m")])), NotAForm),
            (format!("preamble\r\n{}", form(&[(MODEL, "m")])), NotAForm),
            (format!("\r\n{}", form(&[(MODEL, "m")])), NotAForm),
            (format!("{}epilogue", form(&[(MODEL, "m")])), NotAForm),
            (form(&[(MODEL, "m")]).replace("--b\r\n", "--b \r\n"), NotAForm),
            (form(&[(MODEL, "m")]).replace("\r\n", "\n"), NotAForm),
            (form(&[(MODEL, "m")]).replace("--b--", "--b"), InvalidPart),
            ("--b\r\n".to_owned() + MODEL + "\r\n\r\nm", NotAForm),
            (form(&[(MODEL, "m")]).replace("m\r\n", "m\n"), NotAForm),
        ] {
            assert_eq!(model(&body), Err(error), "{body:?}");
        }
        let many = vec![(FILE, "x"); MAX_PARTS + 1];
        assert_eq!(model(&form(&many)), Err(TooManyParts));
    }

    #[test]
    fn a_boundary_is_plain_and_alone() {
        let boundary = |kind| Form::of(kind).map(|form| form.map(|form| form.boundary));
        for (kind, expected) in [
            (TYPE, Some(Ok("b"))),
            ("Multipart/Form-Data;BOUNDARY=\"a b\"", Some(Err(FormError::InvalidBoundary))),
            ("multipart/form-data; boundary=\"a:b\"", Some(Ok("a:b"))),
            ("multipart/form-data; boundary=a:b", Some(Err(FormError::InvalidBoundary))),
            ("multipart/form-data; boundary=----WebKitFormBoundaryx", Some(Ok("----WebKitFormBoundaryx"))),
            ("multipart/form-data", Some(Err(FormError::InvalidBoundary))),
            ("multipart/form-data; boundary=", Some(Err(FormError::InvalidBoundary))),
            ("multipart/form-data; boundary=a; boundary=b", Some(Err(FormError::InvalidBoundary))),
            ("multipart/form-data; charset=utf-8; boundary=a", Some(Err(FormError::InvalidBoundary))),
            ("multipart/form-data; boundary*=a", Some(Err(FormError::InvalidBoundary))),
            ("multipart/form-data, application/json", None),
            ("multipart/mixed; boundary=a", None),
            ("application/json", None),
        ] {
            assert_eq!(boundary(kind), expected, "{kind}");
        }
        let long = format!("multipart/form-data; boundary={}", "b".repeat(MAX_BOUNDARY + 1));
        assert_eq!(boundary(&long), Some(Err(FormError::InvalidBoundary)));
    }

    #[test]
    fn a_part_is_put_before_the_others() {
        let Some(Ok(form_)) = Form::of(TYPE) else { panic!("a form") };
        let body = form(&[(FILE, "x")]);
        let with = form_.with_part(body.as_bytes(), "model", "m");
        assert_eq!(String::from_utf8_lossy(&with), form(&[(MODEL, "m"), (FILE, "x")]));
    }

    proptest! {
        /// Whatever the contents are, what is written in its plain form is read.
        #[test]
        fn what_was_written_is_read(name in "[ -~]{0,12}", file in "[\\r\\n\\-a-c]{0,40}") {
            prop_assume!(!format!("\r\n{file}\r\n").contains("\r\n--b"));
            let body = form(&[(FILE, &file), (MODEL, &name)]);
            prop_assert_eq!(model(&body), Ok(Some(name)));
        }

        #[test]
        fn never_panics(body in "(--b|\\r|\\n|-|[a-c]|Content-Disposition: form-data; name=\"model\"){0,24}") {
            let _ = model(&body);
        }
    }
}
