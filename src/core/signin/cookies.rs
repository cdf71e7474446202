//! Cookies: ours found, put together, and kept from the application (RFC 6265). Pure.
//!
//! A browser does not say who set a cookie. With https the names begin so that only this host, over https, can have
//! (`__Host-`); without it nobody can be sure, which is why that is for development. A name that is there twice is nobody's.

use std::borrow::Cow;

/// The longest value of one cookie, in bytes: browsers keep 4096 of name, value and attributes.
pub const MAX_VALUE: usize = 3800;
/// The most pieces of one value.
pub const MAX_PIECES: usize = 4;
/// The most attempts to sign in at one time: tabs that were opened together.
pub const MAX_ATTEMPTS: usize = 5;

/// The names of our cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Names {
    is_secure: bool,
}

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use<'a> {
    /// A session, by piece.
    Session(usize),
    /// An attempt to sign in, by its name.
    Attempt(&'a str),
    /// What Keycloak wants to see at the end of a session.
    Farewell,
}

const SESSION: &str = "keywire-session";
const ATTEMPT: &str = "keywire-attempt-";
const FAREWELL: &str = "keywire-farewell";
const HOST: &str = "__Host-";
const SECURE: &str = "__Secure-";

impl Names {
    /// Those of an application that browsers reach by https, or not.
    pub fn new(is_secure: bool) -> Self {
        Self { is_secure }
    }

    fn name(self, of: Use<'_>) -> String {
        let host = if self.is_secure { HOST } else { "" };
        match of {
            Use::Session(0) => format!("{host}{SESSION}"),
            Use::Session(piece) => format!("{host}{SESSION}-{piece}"),
            Use::Attempt(name) => format!("{host}{ATTEMPT}{name}"),
            // It goes to one path alone, which `__Host-` does not allow.
            Use::Farewell => format!("{}{FAREWELL}", if self.is_secure { SECURE } else { "" }),
        }
    }

    /// A `Set-Cookie`. `seconds`: how long it is kept; 0: it goes.
    pub fn set(self, of: Use<'_>, value: &str, seconds: i64) -> String {
        let path = if of == Use::Farewell { "/.keywire/sign-out" } else { "/" };
        let secure = if self.is_secure { "; Secure" } else { "" };
        format!("{}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}", self.name(of))
    }

    /// The `Set-Cookie`s of a session; `None`: too long for any browser. `had`: how many pieces there were before.
    pub fn session(self, value: &str, seconds: i64, had: usize) -> Option<Vec<String>> {
        let pieces = pieces(value)?;
        let set = pieces.iter().enumerate().map(|(at, piece)| self.set(Use::Session(at), piece, seconds));
        let gone = (pieces.len()..had.min(MAX_PIECES)).map(|at| self.set(Use::Session(at), "", 0));
        Some(set.chain(gone).collect())
    }
}

/// A value in pieces that browsers keep.
fn pieces(value: &str) -> Option<Vec<&str>> {
    let mut pieces = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at_checked(rest.len().min(MAX_VALUE))?;
        pieces.push(piece);
        rest = more;
    }
    (pieces.len() <= MAX_PIECES).then_some(pieces)
}

/// What a request's cookies say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found<'a> {
    /// The session's value, put together; `None`: there is none, or it is there twice.
    pub session: Option<Cow<'a, str>>,
    /// How many pieces of it there are.
    pub pieces: usize,
    /// The attempts, by name and value.
    pub attempts: Vec<(&'a str, &'a str)>,
    /// The farewell's value.
    pub farewell: Option<&'a str>,
    /// Ours are among them.
    pub has_ours: bool,
}

/// Whether a cookie of this name is ours, by whatever prefix: the application neither gets nor sets it.
pub fn is_ours(name: &str) -> bool {
    let bare = name.strip_prefix(HOST).or_else(|| name.strip_prefix(SECURE)).unwrap_or(name);
    bare.starts_with("keywire-")
}

fn pairs(header: &str) -> impl Iterator<Item = (&str, &str)> {
    let parts = header.split(';').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').map_or((part, ""), |(name, value)| (name.trim_end(), value.trim_start())))
}

impl Names {
    /// Reads a `Cookie` field.
    pub fn find(self, header: &str) -> Found<'_> {
        let mut found = Found::default();
        let mut session: [Option<&str>; MAX_PIECES] = [None; MAX_PIECES];
        let (mut is_twice, mut farewells) = (false, 0);
        for (name, value) in pairs(header) {
            if !is_ours(name) {
                continue;
            }
            found.has_ours = true;
            match self.of(name) {
                Some(Use::Session(at)) => {
                    is_twice |= session.get(at).is_none_or(Option::is_some);
                    if let Some(place) = session.get_mut(at) {
                        *place = Some(value);
                    }
                }
                Some(Use::Attempt(attempt)) => found.attempts.push((attempt, value)),
                Some(Use::Farewell) => {
                    farewells += 1;
                    found.farewell = Some(value);
                }
                // Of the other scheme, or nobody's.
                None => {}
            }
        }
        found.pieces = session.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        let whole: Vec<&str> = session.iter().take(found.pieces).map_while(|piece| *piece).collect();
        if !is_twice && !whole.is_empty() && whole.len() == found.pieces {
            found.session = Some(match whole.as_slice() {
                [one] => Cow::Borrowed(*one),
                more => Cow::Owned(more.concat()),
            });
        }
        found.farewell = found.farewell.filter(|_| farewells == 1);
        let is_single =
            |(name, _): &(&str, &str), all: &[(&str, &str)]| all.iter().filter(|(other, _)| other == name).count() == 1;
        let all = found.attempts.clone();
        found.attempts.retain(|attempt| is_single(attempt, &all));
        found
    }

    fn of(self, name: &str) -> Option<Use<'_>> {
        let (host, secure) = (name.strip_prefix(HOST), name.strip_prefix(SECURE));
        let bare = if self.is_secure { host.or(secure)? } else { name };
        if bare == FAREWELL {
            return (!self.is_secure || secure.is_some()).then_some(Use::Farewell);
        }
        if self.is_secure && host.is_none() {
            return None;
        }
        if let Some(attempt) = bare.strip_prefix(ATTEMPT) {
            // It comes back in a field of ours.
            let is_plain = attempt.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
            return (is_plain && (1..=32).contains(&attempt.len())).then_some(Use::Attempt(attempt));
        }
        match bare.strip_prefix(SESSION)? {
            "" => Some(Use::Session(0)),
            piece => match piece.strip_prefix('-')?.parse() {
                Ok(piece @ 1..MAX_PIECES) => Some(Use::Session(piece)),
                // One that is there, and that no value of ours has.
                Ok(_) | Err(_) => Some(Use::Session(MAX_PIECES)),
            },
        }
    }
}

/// A `Cookie` field without ours; `None`: nothing is left.
pub fn without_ours(header: &str) -> Option<String> {
    let kept: Vec<&str> = header
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty() && !is_ours(part.split('=').next().unwrap_or_default().trim_end()))
        .collect();
    (!kept.is_empty()).then(|| kept.join("; "))
}

/// Whether a `Set-Cookie` of the application's would set one of ours.
pub fn sets_ours(set_cookie: &str) -> bool {
    is_ours(set_cookie.split(['=', ';']).next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECURE_NAMES: Names = Names { is_secure: true };

    fn session(header: &str) -> Option<String> {
        SECURE_NAMES.find(header).session.map(Cow::into_owned)
    }

    #[test]
    fn a_session_is_put_together_or_is_none() {
        for (header, expected) in [
            ("__Host-keywire-session=abc", Some("abc")),
            ("a=b; __Host-keywire-session=abc; c=d", Some("abc")),
            ("__Host-keywire-session-1=def; __Host-keywire-session=abc", Some("abcdef")),
            // Another host of the same site may set these.
            ("keywire-session=abc", None),
            ("__Secure-keywire-session=abc", None),
            ("__Host-keywire-session=abc; __Host-keywire-session=abc", None),
            ("__Host-keywire-session-1=def", None),
            ("__Host-keywire-session=abc; __Host-keywire-session-2=def", None),
            ("__Host-keywire-session=abc; __Host-keywire-session-9=def", None),
            ("__Host-keywire-session=abc; __Host-keywire-session-x=def", None),
            ("__HOST-keywire-session=abc", None),
            ("", None),
            (";;=;", None),
        ] {
            assert_eq!(session(header).as_deref(), expected, "{header}");
        }
        assert_eq!(Names::new(false).find("keywire-session=abc").session.as_deref(), Some("abc"));
    }

    #[test]
    fn attempts_and_farewells_are_told_apart() {
        let header = "__Host-keywire-attempt-a=1; __Host-keywire-attempt-b=2; __Host-keywire-attempt-b=3; \
                      __Secure-keywire-farewell=x; keywire-attempt-c=4";
        let found = SECURE_NAMES.find(header);
        assert_eq!((found.attempts, found.farewell), (vec![("a", "1")], Some("x")));
        let twice = "__Secure-keywire-farewell=x; __Secure-keywire-farewell=y";
        assert_eq!(SECURE_NAMES.find(twice).farewell, None);
        assert_eq!(SECURE_NAMES.find("__Host-keywire-farewell=x").farewell, None);
    }

    #[test]
    fn the_application_sees_its_own_alone() {
        for (header, expected) in [
            ("a=b; __Host-keywire-session=abc; c=d", Some("a=b; c=d")),
            ("__Host-keywire-session=abc", None),
            ("keywire-session=abc;a=b", Some("a=b")),
            ("__Secure-keywire-farewell =x; a", Some("a")),
            ("", None),
        ] {
            assert_eq!(without_ours(header).as_deref(), expected, "{header}");
        }
        for (set, expected) in [
            ("__Host-keywire-session=x; Path=/", true),
            ("keywire-x", true),
            (" keywire-a =b", true),
            ("a=keywire-session", false),
        ] {
            assert_eq!(sets_ours(set), expected, "{set}");
        }
    }

    #[test]
    fn what_a_cookie_says_of_itself() {
        let set = SECURE_NAMES.set(Use::Attempt("x"), "v", 60);
        assert_eq!(set, "__Host-keywire-attempt-x=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let set = Names::new(false).set(Use::Farewell, "v", 60);
        assert_eq!(set, "keywire-farewell=v; Path=/.keywire/sign-out; Max-Age=60; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn what_is_too_long_is_not_set() {
        let longest = MAX_VALUE * MAX_PIECES;
        let set = SECURE_NAMES.session(&"a".repeat(longest), 60, 0).expect("pieces");
        assert!(set.iter().all(|set| set.len() <= 4096) && set.len() == MAX_PIECES);
        assert_eq!(SECURE_NAMES.session(&"a".repeat(longest + 1), 60, 0), None);
        // What the longer one before had goes.
        let set = SECURE_NAMES.session("a", 60, 3).expect("pieces");
        assert!(set.len() == 3 && set[1].starts_with("__Host-keywire-session-1=;") && set[2].contains("Max-Age=0"));
    }

    proptest! {
        #[test]
        fn what_is_set_is_found(value in "[A-Za-z0-9_-]{1,9000}", others in "[a-z]{1,5}=[a-z]{0,5}") {
            let set = SECURE_NAMES.session(&value, 60, 0).expect("pieces");
            let sent: Vec<_> = set.iter().map(|set| set.split(';').next().expect("a pair").to_owned()).collect();
            let header = format!("{others}; {}", sent.join("; "));
            prop_assert_eq!(session(&header), Some(value));
            prop_assert_eq!(without_ours(&header), Some(others));
        }

        #[test]
        fn whatever_comes_is_read(header in "\\PC{0,200}") {
            let found = SECURE_NAMES.find(&header);
            prop_assert!(found.pieces <= MAX_PIECES);
            let _ = without_ours(&header);
        }
    }
}
