//! How far this machine's clock and another's are apart, by the `Date` of an HTTP answer (RFC 9110, section 6.6.1). Pure.

use std::fmt;

use jiff::fmt::rfc2822;

/// How far clocks may be apart, in seconds.
pub const TOLERATED: i64 = 10;

/// This clock less the other, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew(i64);

impl Skew {
    /// What can be said for sure of an answer's date and of the times, by this clock, right before and right after the
    /// exchange: however long that took, clocks that agree are not apart.
    #[must_use]
    pub fn measured(before: i64, date: i64, after: i64) -> Self {
        Self(before.saturating_sub(date).max(0) + after.saturating_sub(date).min(0))
    }

    /// As it was stored.
    #[must_use]
    pub fn of(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds; below zero: this clock is behind.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0
    }

    /// Whether it is too small to make a difference.
    #[must_use]
    pub fn is_tolerated(self) -> bool {
        self.0.unsigned_abs() <= TOLERATED.unsigned_abs()
    }
}

/// `60 s behind`, `60 s ahead of`.
impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s {}", self.0.unsigned_abs(), if self.0 < 0 { "behind" } else { "ahead of" })
    }
}

/// The time that an answer's `Date` names, in seconds since the epoch.
#[must_use]
pub fn date(text: &str) -> Option<i64> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(|time| time.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sure_is_told() {
        for (before, date, after, seconds) in [
            (100, 100, 100, 0),
            // The exchange took ten seconds, of which nobody knows when the date was written.
            (100, 105, 110, 0),
            (100, 100, 110, 0),
            (100, 110, 110, 0),
            (160, 100, 161, 60),
            (40, 100, 41, -59),
            (i64::MAX, -1, i64::MAX, i64::MAX),
        ] {
            assert_eq!(Skew::measured(before, date, after).seconds(), seconds, "{before} {date} {after}");
        }
    }

    #[test]
    fn ten_seconds_are_tolerated_both_ways() {
        for (seconds, tolerated) in [(0, true), (10, true), (-10, true), (11, false), (-11, false), (i64::MIN, false)] {
            assert_eq!(Skew::of(seconds).is_tolerated(), tolerated, "{seconds}");
        }
    }

    #[test]
    fn it_says_which_way() {
        assert_eq!(Skew::of(-60).to_string(), "60 s behind");
        assert_eq!(Skew::of(60).to_string(), "60 s ahead of");
    }

    #[test]
    fn dates() {
        assert_eq!(date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        for text in ["", "now", "784111777", "Sun, 06 Nov 1994"] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
