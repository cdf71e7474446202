//! What a session's cookie holds, and how long that counts. Pure: the time is an argument.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// One browser's session. Never shown: it holds tokens.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session<'a> {
    /// Keycloak's session (`sid`).
    #[serde(rename = "s", borrow)]
    pub id: Cow<'a, str>,
    /// Whose it is (`sub`).
    #[serde(rename = "p", borrow)]
    pub subject: Cow<'a, str>,
    /// When the browser signed in, in seconds since the epoch.
    #[serde(rename = "b")]
    pub began: i64,
    /// When it was used last, as far as the cookie tells.
    #[serde(rename = "u")]
    pub used: i64,
    /// The access token.
    #[serde(rename = "a", borrow)]
    pub access: Cow<'a, str>,
    /// When that ends.
    #[serde(rename = "e")]
    pub expires_at: i64,
    /// The refresh token; empty: there is none.
    #[serde(rename = "r", borrow)]
    pub refresh: Cow<'a, str>,
}

/// What one browser was sent away with, to sign in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt<'a> {
    /// Comes back in the redirect's query.
    #[serde(rename = "s", borrow)]
    pub state: Cow<'a, str>,
    /// Comes back in the ID token.
    #[serde(rename = "n", borrow)]
    pub nonce: Cow<'a, str>,
    /// The verifier of PKCE.
    #[serde(rename = "v", borrow)]
    pub verifier: Cow<'a, str>,
    /// Where the browser wanted to go.
    #[serde(rename = "t", borrow)]
    pub target: Cow<'a, str>,
    /// When, in seconds since the epoch.
    #[serde(rename = "b")]
    pub began: i64,
}

/// How long somebody may take to sign in, in seconds. Keycloak's own login page takes half an hour.
pub const ATTEMPT: i64 = 30 * 60;
/// How long before its end a token is renewed, in seconds.
pub const AHEAD: i64 = 30;
/// How often the cookie learns that it was used, in seconds, at most.
const NOTED: i64 = 60;

/// How long sessions last, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// At most.
    pub absolute: i64,
    /// Without a request.
    pub idle: i64,
}

/// What is to be done with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its token is used as it is.
    Good,
    /// The same, and the cookie is written anew: it was used.
    Noted,
    /// Its token has ended, or soon will: with another one it goes on.
    Due,
    /// It is over.
    Over,
}

impl Session<'_> {
    /// How it stands.
    pub fn state(&self, lifetimes: Lifetimes, now: i64) -> State {
        let is_over =
            now >= self.began.saturating_add(lifetimes.absolute) || now >= self.used.saturating_add(lifetimes.idle);
        // What was made in the future was made by another clock: it may be off as far as those of tokens may.
        if is_over || self.began.saturating_sub(now) > crate::core::skew::TOLERATED {
            return State::Over;
        }
        if now >= self.expires_at.saturating_sub(AHEAD) {
            return if self.refresh.is_empty() && now >= self.expires_at { State::Over } else { State::Due };
        }
        let noted = NOTED.min(lifetimes.idle / 4);
        if now.saturating_sub(self.used) >= noted { State::Noted } else { State::Good }
    }

    /// How long the cookie is kept by the browser, in seconds.
    pub fn left(&self, lifetimes: Lifetimes, now: i64) -> i64 {
        let absolute = self.began.saturating_add(lifetimes.absolute).saturating_sub(now);
        absolute.min(lifetimes.idle).max(0)
    }

    /// The same, with nothing borrowed.
    pub fn into_owned(self) -> Session<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        let Session { id, subject, began, used, access, expires_at, refresh } = self;
        Session {
            id: own(id),
            subject: own(subject),
            began,
            used,
            access: own(access),
            expires_at,
            refresh: own(refresh),
        }
    }
}

impl Attempt<'_> {
    /// Whether it may still be answered.
    pub fn is_current(&self, now: i64) -> bool {
        (-crate::core::skew::TOLERATED..ATTEMPT).contains(&now.saturating_sub(self.began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(began: i64, used: i64, expires_at: i64, refresh: &'static str) -> Session<'static> {
        Session {
            id: "s".into(),
            subject: "p".into(),
            began,
            used,
            access: "a".into(),
            expires_at,
            refresh: refresh.into(),
        }
    }

    #[test]
    fn a_session_ends_by_age_by_rest_and_with_its_tokens() {
        let lifetimes = Lifetimes { absolute: 1000, idle: 400 };
        for (session, now, expected) in [
            (session(0, 0, 300, "r"), 10, State::Good),
            (session(0, 0, 300, "r"), 59, State::Good),
            (session(0, 0, 300, "r"), 60, State::Noted),
            (session(0, 0, 300, "r"), 269, State::Noted),
            (session(0, 0, 300, "r"), 270, State::Due),
            (session(0, 0, 300, "r"), 399, State::Due),
            (session(0, 0, 300, ""), 299, State::Due),
            (session(0, 0, 300, ""), 300, State::Over),
            (session(0, 0, 3000, "r"), 400, State::Over),
            (session(0, 999, 3000, "r"), 999, State::Good),
            (session(0, 999, 3000, "r"), 1000, State::Over),
            (session(100, 100, 3000, "r"), 0, State::Over),
            (session(i64::MAX, i64::MAX, i64::MAX, "r"), 0, State::Over),
            (session(i64::MIN, i64::MIN, i64::MIN, "r"), i64::MAX, State::Over),
        ] {
            assert_eq!(session.state(lifetimes, now), expected, "{} {} at {now}", session.began, session.used);
        }
        assert_eq!(session(0, 0, 0, "").left(lifetimes, 700), 300);
        assert_eq!(session(0, 0, 0, "").left(lifetimes, 100), 400);
        assert_eq!(session(0, 0, 0, "").left(lifetimes, 2000), 0);
    }

    #[test]
    fn an_attempt_has_its_time() {
        let attempt =
            Attempt { state: "".into(), nonce: "".into(), verifier: "".into(), target: "/".into(), began: 1000 };
        assert!(attempt.is_current(1000) && attempt.is_current(999 + ATTEMPT));
        assert!(!attempt.is_current(1000 + ATTEMPT) && !attempt.is_current(0));
    }
}
