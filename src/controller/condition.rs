//! Conditions: one per concern, and `Ready` over all of them.

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

use crate::{api::condition::Condition, core::graph::Problem};

/// The summary: whether the object does what it says.
pub const READY: &str = "Ready";
/// The object is valid and everything that it names is there.
pub const ACCEPTED: &str = "Accepted";
/// Keycloak holds what it should.
pub const SYNCED: &str = "Synced";

/// How one concern stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    True,
    /// Not so.
    False,
    /// Not known, for now.
    Unknown,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// How one concern stands, with the reason for machines and the sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Name of the condition.
    pub concern: &'static str,
    /// How it stands.
    pub state: State,
    /// CamelCase.
    pub reason: String,
    /// What is so, and what to do about it.
    pub message: String,
    /// Whether `Ready` depends on it.
    pub blocking: bool,
}

impl Verdict {
    /// As it should be.
    pub fn good(concern: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { concern, state: State::True, reason: reason.into(), message: message.into(), blocking: true }
    }

    /// Not as it should be.
    pub fn bad(concern: &'static str, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self { state: State::False, ..Self::good(concern, reason, message) }
    }

    /// What is wrong with an object's own words: the first problem is the reason, all of them are the message.
    pub fn problems(concern: &'static str, problems: &[Problem]) -> Self {
        let reason = problems.first().map_or("Invalid", |problem| problem.reason.into());
        let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        Self::bad(concern, reason, messages.join("; "))
    }

    /// Not tried, because something before it failed.
    pub fn waiting(concern: &'static str, message: impl Into<String>) -> Self {
        Self { state: State::Unknown, ..Self::good(concern, "Waiting", message) }
    }

    /// How a concern stood when its condition was written.
    pub fn of_condition(concern: &'static str, conditions: &[Condition]) -> Option<Self> {
        let condition = conditions.iter().find(|condition| condition.type_ == concern)?;
        let state = match condition.status.as_str() {
            "True" => State::True,
            "False" => State::False,
            _ => State::Unknown,
        };
        let (reason, message) = (condition.reason.to_string(), condition.message.to_string());
        Some(Self { concern, state, reason, message, blocking: true })
    }

    /// Worth a condition, but `Ready` does not depend on it.
    pub fn aside(self) -> Self {
        Self { blocking: false, ..self }
    }
}

/// Kubernetes bounds a condition's message at 32 KiB; a person reads less.
const MESSAGE_MAX: usize = 1024;

/// The conditions that these verdicts make, `Ready` first: true, with this
/// message, when no blocking one is otherwise; else the first that is says why.
/// A condition that stands as before keeps the time of its last change.
pub fn conditions(
    before: &[Condition],
    generation: Option<i64>,
    verdicts: &[Verdict],
    ready: &str,
    now: Timestamp,
) -> Vec<Condition> {
    let blocking = |state: State| verdicts.iter().find(|verdict| verdict.blocking && verdict.state == state);
    let ready = match blocking(State::False).or_else(|| blocking(State::Unknown)) {
        Some(verdict) => Verdict { concern: READY, state: State::False, ..verdict.clone() },
        None => Verdict::good(READY, "Ready", ready),
    };
    std::iter::once(&ready).chain(verdicts).map(|verdict| condition(before, generation, verdict, now)).collect()
}

fn condition(before: &[Condition], generation: Option<i64>, verdict: &Verdict, now: Timestamp) -> Condition {
    let same = before.iter().find(|old| old.type_ == verdict.concern && old.status == verdict.state.as_str());
    Condition {
        type_: verdict.concern.into(),
        status: verdict.state.as_str().into(),
        reason: verdict.reason.as_str().into(),
        message: verdict.message.chars().take(MESSAGE_MAX).collect::<String>().into(),
        observed_generation: generation,
        last_transition_time: same.map_or(Time(now), |old| old.last_transition_time.clone()),
    }
}

/// Whether `Ready` is true.
pub fn is_ready(conditions: &[Condition]) -> bool {
    is_true(conditions, READY)
}

/// Whether one condition is true.
pub fn is_true(conditions: &[Condition], concern: &str) -> bool {
    conditions.iter().any(|condition| condition.type_ == concern && condition.status == "True")
}

/// The message of `Ready`.
pub fn ready(conditions: &[Condition]) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == READY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn ready_is_the_first_thing_that_is_wrong() {
        let verdicts = [
            Verdict::good(ACCEPTED, "Valid", "fine"),
            Verdict::waiting("Published", "for Keycloak"),
            Verdict::bad(SYNCED, "Unreachable", "no way"),
        ];
        let made = conditions(&[], Some(3), &verdicts, "good", at(1));
        assert_eq!(
            (made[0].status.as_str(), made[0].reason.as_str(), made[0].message.as_str()),
            ("False", "Unreachable", "no way")
        );
        assert!(!is_ready(&made));
        assert!(is_ready(&conditions(&[], Some(3), &verdicts[..1], "good", at(1))));
        assert!(!is_ready(&conditions(&[], None, &verdicts[..2], "good", at(1))), "unknown is not ready");
        assert!(!is_ready(&[]));
        let aside = [verdicts[0].clone(), verdicts[2].clone().aside()];
        assert!(is_ready(&conditions(&[], None, &aside, "good", at(1))));
    }

    #[test]
    fn a_verdict_is_read_back_from_its_condition() {
        let verdicts = [
            Verdict::good(ACCEPTED, "Valid", "a"),
            Verdict::bad(SYNCED, "Unreachable", "b"),
            Verdict::waiting("Published", "c"),
        ];
        let made = conditions(&[], Some(1), &verdicts, "good", at(1));
        for verdict in verdicts {
            assert_eq!(Verdict::of_condition(verdict.concern, &made), Some(verdict));
        }
        assert_eq!(Verdict::of_condition("Drift", &made), None);
    }

    #[test]
    fn time_moves_only_with_the_status() {
        let good = [Verdict::good(ACCEPTED, "Valid", "a")];
        let first = conditions(&[], Some(1), &good, "good", at(1));
        let reworded = conditions(&first, Some(2), &[Verdict::good(ACCEPTED, "Valid", "b")], "good", at(2));
        assert!(reworded.iter().all(|condition| condition.last_transition_time.0 == at(1)));
        let broken = conditions(&reworded, Some(2), &[Verdict::bad(ACCEPTED, "Invalid", "c")], "good", at(3));
        assert!(broken.iter().all(|condition| condition.last_transition_time.0 == at(3)));
    }
}
