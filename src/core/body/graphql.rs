//! What a GraphQL document (spec of September 2025, §2) asks for: nothing but looking, or the mutations that it calls.
//!
//! Which of its operations is run, another member of the request says; here every one counts. A field is what it is whatever
//! its alias, and whichever fragment it is in. What has no place in a request, or what a server may read otherwise (a byte
//! order mark, a description, a control character), is an error.

use std::collections::{BTreeSet, HashMap, HashSet};

/// The longest document, in bytes.
pub const MAX_SIZE: usize = 256 * 1024;
/// How deep selections, values and types may lie in each other.
pub const MAX_DEPTH: usize = 64;

/// What a document asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked<'a> {
    /// One of its operations only looks.
    pub looks: bool,
    /// The fields at the top of its mutations: what they do.
    pub mutations: BTreeSet<&'a str>,
}

/// Why a document cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum GraphQlError {
    /// Longer than [`MAX_SIZE`].
    #[error("the GraphQL document is too long")]
    DocumentTooLong,
    /// More than [`MAX_DEPTH`].
    #[error("the GraphQL document is nested too deeply")]
    DocumentTooDeep,
    /// A character that belongs to nothing.
    #[error("the GraphQL document has a character that has no place in it")]
    InvalidCharacter,
    /// A number or a string that is none.
    #[error("the GraphQL document has a malformed number or string")]
    InvalidToken,
    /// Not the grammar of operations and fragments.
    #[error("the GraphQL document is no list of operations and fragments")]
    NotExecutable,
    /// No operation in it.
    #[error("the GraphQL document has no operation")]
    NoOperation,
    /// A fragment that is there twice, or is spread and not there.
    #[error("the GraphQL document has a fragment twice or spreads one that it does not have")]
    Fragments,
}

/// Reads a document.
pub fn read(text: &str) -> Result<Asked<'_>, GraphQlError> {
    if text.len() > MAX_SIZE {
        return Err(GraphQlError::DocumentTooLong);
    }
    let mut parser = Parser { lexer: Lexer { rest: text }, next: Token::End };
    parser.advance()?;
    parser.document()?.asked()
}

/// What stands at the top of a selection set. Inline fragments are looked through.
#[derive(Clone, Copy, Debug)]
enum Selection<'a> {
    Field(&'a str),
    Spread(&'a str),
}

/// The definitions of a document, as far as they count.
#[derive(Default)]
struct Document<'a> {
    looks: bool,
    has_mutation: bool,
    mutated: Vec<Selection<'a>>,
    fragments: HashMap<&'a str, Vec<Selection<'a>>>,
}

impl<'a> Document<'a> {
    /// Follows what is spread, each fragment once.
    fn asked(self) -> Result<Asked<'a>, GraphQlError> {
        if !self.looks && !self.has_mutation {
            return Err(GraphQlError::NoOperation);
        }
        let (mut mutations, mut seen, mut open) = (BTreeSet::new(), HashSet::new(), self.mutated);
        while let Some(selection) = open.pop() {
            match selection {
                Selection::Field(name) => drop(mutations.insert(name)),
                Selection::Spread(name) if !seen.insert(name) => {}
                Selection::Spread(name) => open.extend(self.fragments.get(name).ok_or(GraphQlError::Fragments)?),
            }
        }
        // What every object has, and does nothing.
        mutations.remove("__typename");
        Ok(Asked { looks: self.looks || mutations.is_empty(), mutations })
    }
}

/// A lexical token (§2.1.6). What strings and numbers say does not matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Mark(char),
    Spread,
    Name(&'a str),
    Number,
    Text,
    End,
}

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    fn token(&mut self) -> Result<Token<'a>, GraphQlError> {
        self.skip_ignored()?;
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        match first {
            '!' | '$' | '&' | '(' | ')' | ':' | '=' | '@' | '[' | ']' | '{' | '|' | '}' => {
                self.rest = &self.rest[1..];
                Ok(Token::Mark(first))
            }
            '.' => {
                self.rest = self.rest.strip_prefix("...").ok_or(GraphQlError::InvalidCharacter)?;
                Ok(Token::Spread)
            }
            '"' => self.text(),
            '-' | '0'..='9' => self.number(),
            _ if is_name_start(first) => Ok(Token::Name(self.take(is_name_part))),
            _ => Err(GraphQlError::InvalidCharacter),
        }
    }

    /// White space, line ends, commas and comments. A byte order mark is refused.
    fn skip_ignored(&mut self) -> Result<(), GraphQlError> {
        loop {
            self.take(|c| matches!(c, ' ' | '\t' | '\n' | '\r' | ','));
            if !self.rest.starts_with('#') {
                return Ok(());
            }
            // To some a control character ends it, to others it does not.
            let comment = self.take(|c| !matches!(c, '\n' | '\r'));
            if comment.contains(is_control) {
                return Err(GraphQlError::InvalidCharacter);
            }
        }
    }

    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn number(&mut self) -> Result<Token<'a>, GraphQlError> {
        self.rest = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let whole = self.digits()?;
        if whole.len() > 1 && whole.starts_with('0') {
            return Err(GraphQlError::InvalidToken);
        }
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            self.digits()?;
        }
        if let Some(rest) = self.rest.strip_prefix(['e', 'E']) {
            self.rest = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            self.digits()?;
        }
        let runs_on = self.rest.starts_with(|c: char| c == '.' || is_name_start(c));
        if runs_on { Err(GraphQlError::InvalidToken) } else { Ok(Token::Number) }
    }

    fn digits(&mut self) -> Result<&'a str, GraphQlError> {
        let digits = self.take(|c| c.is_ascii_digit());
        if digits.is_empty() { Err(GraphQlError::InvalidToken) } else { Ok(digits) }
    }

    fn text(&mut self) -> Result<Token<'a>, GraphQlError> {
        if let Some(rest) = self.rest.strip_prefix("\"\"\"") {
            self.rest = rest;
            return self.block();
        }
        self.rest = &self.rest[1..];
        loop {
            self.take(|c| !is_control(c) && !matches!(c, '"' | '\\'));
            match self.rest.chars().next() {
                Some('"') => {
                    self.rest = &self.rest[1..];
                    return Ok(Token::Text);
                }
                Some('\\') => self.escape()?,
                _ => return Err(GraphQlError::InvalidToken),
            }
        }
    }

    fn escape(&mut self) -> Result<(), GraphQlError> {
        let behind = &self.rest[1..];
        let Some(digits) = behind.strip_prefix('u') else {
            let rest = behind.strip_prefix(['"', '\\', '/', 'b', 'f', 'n', 'r', 't']);
            self.rest = rest.ok_or(GraphQlError::InvalidToken)?;
            return Ok(());
        };
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.rest = if let Some(open) = digits.strip_prefix('{') {
            let (code, rest) = open.split_once('}').ok_or(GraphQlError::InvalidToken)?;
            Some(rest).filter(|_| !code.is_empty() && is_hex(code)).ok_or(GraphQlError::InvalidToken)?
        } else {
            let (code, rest) = digits.split_at_checked(4).ok_or(GraphQlError::InvalidToken)?;
            Some(rest).filter(|_| is_hex(code)).ok_or(GraphQlError::InvalidToken)?
        };
        Ok(())
    }

    /// Behind `"""`: only `\"""` is an escape.
    fn block(&mut self) -> Result<Token<'a>, GraphQlError> {
        loop {
            self.take(|c| !matches!(c, '"' | '\\') && (!is_control(c) || matches!(c, '\n' | '\r')));
            if let Some(rest) = self.rest.strip_prefix("\"\"\"") {
                self.rest = rest;
                return Ok(Token::Text);
            }
            let rest = self.rest.strip_prefix("\\\"\"\"").or_else(|| self.rest.strip_prefix(['"', '\\']));
            self.rest = rest.ok_or(GraphQlError::InvalidToken)?;
        }
    }
}

fn is_name_start(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_name_part(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

/// A tab is none.
fn is_control(c: char) -> bool {
    c.is_control() && c != '\t'
}

/// Recursive descent over the grammar of executable documents, one token ahead.
struct Parser<'a> {
    lexer: Lexer<'a>,
    next: Token<'a>,
}

type Parsed<T> = Result<T, GraphQlError>;

impl<'a> Parser<'a> {
    fn advance(&mut self) -> Parsed<Token<'a>> {
        let next = self.lexer.token()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn expect(&mut self, mark: char) -> Parsed<()> {
        if self.take(mark)? { Ok(()) } else { Err(GraphQlError::NotExecutable) }
    }

    /// Whether this mark is next; then it is passed.
    fn take(&mut self, mark: char) -> Parsed<bool> {
        let is_next = self.next == Token::Mark(mark);
        if is_next {
            self.advance()?;
        }
        Ok(is_next)
    }

    fn name(&mut self) -> Parsed<&'a str> {
        match self.advance()? {
            Token::Name(name) => Ok(name),
            _ => Err(GraphQlError::NotExecutable),
        }
    }

    fn document(&mut self) -> Parsed<Document<'a>> {
        let mut document = Document::default();
        while self.next != Token::End {
            match self.next {
                Token::Mark('{') => {
                    document.looks = true;
                    self.selections(0, None)?;
                }
                Token::Name("query" | "subscription") => {
                    document.looks = true;
                    self.operation(None)?;
                }
                Token::Name("mutation") => {
                    document.has_mutation = true;
                    self.operation(Some(&mut document.mutated))?;
                }
                Token::Name("fragment") => self.fragment(&mut document.fragments)?,
                _ => return Err(GraphQlError::NotExecutable),
            }
        }
        Ok(document)
    }

    /// `mutation Name($a: T = 1 @d) @d { … }`.
    fn operation(&mut self, top: Option<&mut Vec<Selection<'a>>>) -> Parsed<()> {
        self.advance()?;
        if let Token::Name(_) = self.next {
            self.advance()?;
        }
        if self.take('(')? {
            self.variable()?;
            while !self.take(')')? {
                self.variable()?;
            }
        }
        self.directives(0)?;
        self.selections(0, top)
    }

    fn variable(&mut self) -> Parsed<()> {
        self.expect('$')?;
        self.name()?;
        self.expect(':')?;
        self.kind(0)?;
        if self.take('=')? {
            self.value(0)?;
        }
        self.directives(0)
    }

    /// A type: `[T!]!`.
    fn kind(&mut self, depth: usize) -> Parsed<()> {
        check_depth(depth)?;
        if self.take('[')? {
            self.kind(depth + 1)?;
            self.expect(']')?;
        } else {
            self.name()?;
        }
        self.take('!').map(drop)
    }

    fn fragment(&mut self, fragments: &mut HashMap<&'a str, Vec<Selection<'a>>>) -> Parsed<()> {
        self.advance()?;
        let name = self.name()?;
        if name == "on" || self.name()? != "on" {
            return Err(GraphQlError::NotExecutable);
        }
        self.name()?;
        self.directives(0)?;
        let mut top = Vec::new();
        self.selections(0, Some(&mut top))?;
        if fragments.insert(name, top).is_some() { Err(GraphQlError::Fragments) } else { Ok(()) }
    }

    /// `{ … }`, with what is at its top noted in `top`, where that counts.
    fn selections(&mut self, depth: usize, mut top: Option<&mut Vec<Selection<'a>>>) -> Parsed<()> {
        check_depth(depth)?;
        self.expect('{')?;
        self.selection(depth, top.as_deref_mut())?;
        while !self.take('}')? {
            self.selection(depth, top.as_deref_mut())?;
        }
        Ok(())
    }

    fn selection(&mut self, depth: usize, top: Option<&mut Vec<Selection<'a>>>) -> Parsed<()> {
        if self.next != Token::Spread {
            return self.field(depth, top);
        }
        self.advance()?;
        match self.next {
            Token::Name(name) if name != "on" => {
                self.advance()?;
                note(top, Selection::Spread(name));
                self.directives(depth)
            }
            _ => {
                // What it is on does not matter: all of it counts.
                if self.next == Token::Name("on") {
                    self.advance()?;
                    self.name()?;
                }
                self.directives(depth)?;
                self.selections(depth + 1, top)
            }
        }
    }

    /// `alias: name(a: 1) @d { … }`.
    fn field(&mut self, depth: usize, top: Option<&mut Vec<Selection<'a>>>) -> Parsed<()> {
        let mut name = self.name()?;
        if self.take(':')? {
            name = self.name()?;
        }
        note(top, Selection::Field(name));
        self.arguments(depth)?;
        self.directives(depth)?;
        if self.next == Token::Mark('{') { self.selections(depth + 1, None) } else { Ok(()) }
    }

    fn directives(&mut self, depth: usize) -> Parsed<()> {
        while self.take('@')? {
            self.name()?;
            self.arguments(depth)?;
        }
        Ok(())
    }

    fn arguments(&mut self, depth: usize) -> Parsed<()> {
        if !self.take('(')? {
            return Ok(());
        }
        self.pair(depth)?;
        while !self.take(')')? {
            self.pair(depth)?;
        }
        Ok(())
    }

    fn pair(&mut self, depth: usize) -> Parsed<()> {
        self.name()?;
        self.expect(':')?;
        self.value(depth)
    }

    fn value(&mut self, depth: usize) -> Parsed<()> {
        check_depth(depth)?;
        match self.advance()? {
            Token::Number | Token::Text | Token::Name(_) => {}
            Token::Mark('$') => drop(self.name()?),
            Token::Mark('[') => {
                while !self.take(']')? {
                    self.value(depth + 1)?;
                }
            }
            Token::Mark('{') => {
                while !self.take('}')? {
                    self.pair(depth + 1)?;
                }
            }
            Token::Mark(_) | Token::Spread | Token::End => return Err(GraphQlError::NotExecutable),
        }
        Ok(())
    }
}

fn note<'a>(top: Option<&mut Vec<Selection<'a>>>, selection: Selection<'a>) {
    if let Some(top) = top {
        top.push(selection);
    }
}

fn check_depth(depth: usize) -> Parsed<()> {
    if depth < MAX_DEPTH { Ok(()) } else { Err(GraphQlError::DocumentTooDeep) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a document asks for, in words: `read` where it looks, and its mutations.
    fn asked(text: &str) -> Result<String, GraphQlError> {
        let Asked { looks, mutations } = read(text)?;
        let words: Vec<_> = looks.then_some("read").into_iter().chain(mutations).collect();
        Ok(words.join(" "))
    }

    #[test]
    fn what_a_document_asks_for() {
        for (text, expected) in [
            ("{ version }", "read"),
            ("query { launchRun }", "read"),
            ("query A($a: [Int!]! = [1, 2] @x, $b: T = {c: \"d\"}) @live { a(b: $a) { c } }", "read"),
            ("subscription { logs { message } }", "read"),
            ("mutation { launchRun }", "launchRun"),
            ("mutation{launchRun}", "launchRun"),
            ("mutation { run: launchRun }", "launchRun"),
            (
                "mutation { version: launchRun(a: {b: [1.5e-3, -0, true, null, E, $v]}) @skip(if: $x) { id } }",
                "launchRun",
            ),
            ("mutation { a: deleteRun b: deleteRun, c: launchRun }", "deleteRun launchRun"),
            // In fragments, inline and named, in whatever order, through any number of them.
            ("mutation { ...F } fragment F on Mutation { x: deleteRun }", "deleteRun"),
            (
                "fragment F on Mutation { ...G } mutation { ...F @include(if: $a) } fragment G on Mutation { deleteRun }",
                "deleteRun",
            ),
            ("mutation { ... on Mutation { ... @include(if: true) { ... { x: deleteRun } } } }", "deleteRun"),
            ("mutation { ...F } fragment F on Mutation { ...F launchRun ... { ...F } }", "launchRun"),
            ("mutation { ...query } fragment query on Mutation { launchRun }", "launchRun"),
            // Every operation counts.
            ("query A { version } mutation B { deleteRun }", "read deleteRun"),
            ("mutation A { launchRun } mutation B { deleteRun }", "deleteRun launchRun"),
            ("{ version } { mutation }", "read"),
            // Names that look like words of the grammar.
            ("query mutation { query }", "read"),
            ("mutation query { on: mutation fragment }", "fragment mutation"),
            ("mutation mutation { true on }", "on true"),
            // What is no mutation though it looks like one, and the other way round.
            ("{ a(b: \"} mutation { deleteRun }\") }", "read"),
            ("{ a # } mutation { deleteRun }\n}", "read"),
            ("{ a(b: \"\"\"\n\"\" \\\"\"\" } mutation { deleteRun } \\\\ \"\"\") }", "read"),
            ("mutation { a(b: \"\\\"\", c: \"\\u0022\\u{22}\\\\\") deleteRun }", "a deleteRun"),
            ("mutation { a(b: \"\") c(d: \"\"\"\"\"\") deleteRun }", "a c deleteRun"),
            ("mutation {\r# deleteRun\rlaunchRun }", "launchRun"),
            (",,\t mutation,,{,launchRun,}", "launchRun"),
            ("mutation { __typename launchRun }", "launchRun"),
            ("mutation { __typename }", "read"),
            // Fields further down are none of its own.
            ("mutation { launchRun { deleteRun { wipeAssets } ...F } } fragment F on R { id }", "launchRun"),
        ] {
            assert_eq!(asked(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_may_be_read_otherwise_is_refused() {
        use GraphQlError::*;
        for (text, expected) in [
            ("", NoOperation),
            ("# { version }", NoOperation),
            ("fragment F on Query { version }", NoOperation),
            ("mutation { ...F }", Fragments),
            ("mutation { ...F } fragment F on M { a } fragment F on M { deleteRun }", Fragments),
            ("\u{feff}{ version }", InvalidCharacter),
            ("{ \u{feff}version }", InvalidCharacter),
            ("{ version\u{a0}}", InvalidCharacter),
            ("{ version\u{0} }", InvalidCharacter),
            ("{ version # \u{0}\n }", InvalidCharacter),
            ("{ version # \u{7}} mutation { deleteRun\n }", InvalidCharacter),
            ("{ a..b }", InvalidCharacter),
            ("{ a? }", InvalidCharacter),
            ("{ a; }", InvalidCharacter),
            ("{ é }", InvalidCharacter),
            ("{ a(b: \"\n\") }", InvalidToken),
            ("{ a(b: \"\r\") }", InvalidToken),
            ("{ a(b: \"x) }", InvalidToken),
            ("{ a(b: \"\\x41\") }", InvalidToken),
            ("{ a(b: \"\\u12\") }", InvalidToken),
            ("{ a(b: \"\\u{}\") }", InvalidToken),
            ("{ a(b: \"\\u{1\") }", InvalidToken),
            ("{ a(b: \"\"\" \u{0} \"\"\") }", InvalidToken),
            ("{ a(b: \"\"\" \"\") }", InvalidToken),
            ("{ a(b: 01) }", InvalidToken),
            ("{ a(b: 1.) }", InvalidToken),
            ("{ a(b: 1x) }", InvalidToken),
            ("{ a(b: 1.2.3) }", InvalidToken),
            ("{ a(b: -) }", InvalidToken),
            ("{ a(b: 1e) }", InvalidToken),
            ("{ }", NotExecutable),
            ("{ a() }", NotExecutable),
            ("{ a(b) }", NotExecutable),
            ("{ a { } }", NotExecutable),
            ("{ a", NotExecutable),
            ("{ a } }", NotExecutable),
            ("{ a: }", NotExecutable),
            ("{ a! }", NotExecutable),
            ("{ ... }", NotExecutable),
            ("{ ... on { a } }", NotExecutable),
            ("mutation", NotExecutable),
            ("mutation A B { a }", NotExecutable),
            ("mutation() { a }", NotExecutable),
            ("Mutation { deleteRun }", NotExecutable),
            ("fragment on on M { a } { b }", NotExecutable),
            ("fragment F($a: Int) on M { a } { b }", NotExecutable),
            ("\"described\" mutation { deleteRun }", NotExecutable),
            ("\"\"\"described\"\"\" { version }", NotExecutable),
            ("{ version } type A { a: Int }", NotExecutable),
            ("{ version } extend schema @a", NotExecutable),
            ("[{ version }]", NotExecutable),
        ] {
            assert_eq!(asked(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn size_and_depth_are_bounded() {
        let selections = |depth: usize| format!("{}a{}", "{a".repeat(depth), "}".repeat(depth));
        assert!(read(&selections(MAX_DEPTH)).is_ok());
        assert_eq!(read(&selections(MAX_DEPTH + 1)), Err(GraphQlError::DocumentTooDeep));
        for (open, close) in [("[", "]"), ("{a:", "}")] {
            let value = |depth: usize| format!("{{ a(b: {}1{}) }}", open.repeat(depth), close.repeat(depth));
            assert!(read(&value(MAX_DEPTH - 1)).is_ok(), "{open}");
            assert_eq!(read(&value(100_000 / open.len())), Err(GraphQlError::DocumentTooDeep), "{open}");
        }
        let inline = format!("{{{}", "...{".repeat(10_000));
        assert_eq!(read(&inline), Err(GraphQlError::DocumentTooDeep));
        let kind = format!("query($a: {}) {{ a }}", "[".repeat(10_000));
        assert_eq!(read(&kind), Err(GraphQlError::DocumentTooDeep));
        assert_eq!(read(&" ".repeat(MAX_SIZE + 1)), Err(GraphQlError::DocumentTooLong));
    }

    /// A field of a mutation, in every way to write it, and the fragments that it needs.
    fn written(field: &str, way: u8, index: usize) -> (String, String) {
        match way % 6 {
            0 => (field.to_owned(), String::new()),
            1 => (format!("alias{index}: {field}"), String::new()),
            2 => (format!("... {{ {field} }}"), String::new()),
            3 => (
                format!("... on Mutation @include(if: true) {{ version: {field}(a: \"}}\") {{ id }} }}"),
                String::new(),
            ),
            4 => (format!("...F{index}"), format!("fragment F{index} on Mutation {{ {field} }}")),
            _ => (
                format!("...F{index} @skip(if: $v)"),
                format!("fragment F{index} on M {{ ...G{index} }} fragment G{index} on M {{ a: {field} # }}\n }}"),
            ),
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}") {
            let _ = read(&text);
        }

        #[test]
        fn never_panics_on_what_looks_like_it(text in "(mutation|query|fragment|on|\\{|\\}|\\(|\\)|\\.\\.\\.|:|@|\\$|\"|\"\"\"|\\\\|#|\n|a|1| |é){0,40}") {
            let _ = read(&text);
        }

        /// However they are written and spaced, all mutations are found, and nothing else.
        #[test]
        fn no_mutation_hides(
            fields in prop::collection::vec(("[a-z][a-zA-Z0-9_]{0,8}", any::<u8>()), 1..6),
            space in prop::sample::select(vec![" ", "\n", ",", " # mutation { x }\n", "\r\n\t"]),
            first in any::<bool>(),
        ) {
            let written: Vec<_> = fields.iter().enumerate().map(|(i, (field, way))| written(field, *way, i)).collect();
            let selections: Vec<_> = written.iter().map(|(selection, _)| selection.as_str()).collect();
            let fragments: Vec<_> = written.iter().map(|(_, fragments)| fragments.as_str()).collect();
            let (selections, fragments) = (selections.join(space), fragments.join(space));
            let operation = format!("mutation Name{space}{{{space}{selections}{space}}}");
            let text = if first { format!("{operation}{space}{fragments}") } else { format!("{fragments}{space}{operation}") };
            let expected: BTreeSet<&str> = fields.iter().map(|(field, _)| field.as_str()).collect();
            prop_assert_eq!(read(&text), Ok(Asked { looks: false, mutations: expected }), "{}", text);
        }

        /// A string says nothing of what is asked for, whatever is in it.
        #[test]
        fn strings_hide_nothing_and_add_nothing(inside in "[^\"\\\\\\p{C}]{0,30}", is_block in any::<bool>()) {
            let quote = if is_block { "\"\"\"" } else { "\"" };
            let text = format!("mutation {{ a(b: {quote}{inside}{quote}) deleteRun }}");
            let expected = BTreeSet::from(["a", "deleteRun"]);
            prop_assert_eq!(read(&text), Ok(Asked { looks: false, mutations: expected }), "{}", text);
        }
    }
}
