//! A circuit breaker: a dead Keycloak costs one request per interval, however many callers want something of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// After how many failures in a row no more requests are sent.
const THRESHOLD: u32 = 3;
/// The first pause; each failed probe doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: how late a Keycloak that is back is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The longest that a server's `Retry-After` is believed.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);

/// Counts failures of one server.
#[derive(Debug)]
pub(super) struct Breaker {
    state: Mutex<State>,
    is_down: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    pause: Duration,
    paused_until: Option<Instant>,
    is_probed: bool,
    reason: String,
    patient_until: Option<Instant>,
}

/// Nothing is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// The server did not answer lately.
    Down {
        /// When the next request is let through.
        retry_after: Duration,
        /// What went wrong the last time.
        reason: String,
    },
    /// The server asked for patience.
    Patience {
        /// For how much longer.
        retry_after: Duration,
    },
}

impl Breaker {
    pub fn new() -> Self {
        Self { state: Mutex::default(), is_down: watch::Sender::new(false) }
    }

    /// Whether the server is taken for dead, and each change of that.
    pub fn is_down(&self) -> watch::Receiver<bool> {
        self.is_down.subscribe()
    }

    /// Whether a request would be sent: asked before waiting for a place in the queue of requests.
    pub fn check(&self) -> Result<(), Closed> {
        self.state().check(Instant::now())
    }

    /// Asks to send a request. While the server is down, one caller per interval is let through.
    pub fn admit(&self) -> Result<(), Closed> {
        let (mut state, now) = (self.state(), Instant::now());
        state.check(now)?;
        if state.paused_until.is_some() {
            // This caller is the probe. Should it never report back, the next interval has another one.
            state.paused_until = Some(now + state.pause);
            state.is_probed = true;
        }
        Ok(())
    }

    /// The server answered.
    pub fn succeeded(&self) {
        let mut state = self.state();
        let patient_until = state.patient_until;
        *state = State { patient_until, ..State::default() };
        drop(state);
        self.tell(false);
    }

    /// The server answered that it wants no more for this long. It is not dead, so what is in flight goes on.
    pub fn asked_for_patience(&self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST_PATIENCE);
        let mut state = self.state();
        state.patient_until = state.patient_until.max(Some(until));
    }

    /// The server did not answer.
    pub fn failed(&self, reason: &str) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        reason.clone_into(&mut state.reason);
        if state.failures < THRESHOLD {
            return;
        }
        // What was in flight when the server died says nothing new: only a probe that fails makes the pause longer.
        if state.paused_until.is_none() || std::mem::take(&mut state.is_probed) {
            state.pause = state.pause.saturating_mul(2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            state.paused_until = Some(Instant::now() + state.pause);
        }
        drop(state);
        self.tell(true);
    }

    fn tell(&self, is_down: bool) {
        self.is_down.send_if_modified(|told| std::mem::replace(told, is_down) != is_down);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn check(&self, now: Instant) -> Result<(), Closed> {
        let left = |until: Option<Instant>| until.and_then(|until| until.checked_duration_since(now));
        if let Some(retry_after) = left(self.paused_until).filter(|left| !left.is_zero()) {
            return Err(Closed::Down { retry_after, reason: self.reason.clone() });
        }
        match left(self.patient_until).filter(|left| !left.is_zero()) {
            Some(retry_after) => Err(Closed::Patience { retry_after }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn reason(closed: Result<(), Closed>) -> Option<String> {
        match closed {
            Err(Closed::Down { reason, .. }) => Some(reason),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_server_costs_one_request_per_interval() {
        let breaker = Breaker::new();
        for _ in 0..THRESHOLD {
            assert_eq!(breaker.admit(), Ok(()));
            breaker.failed("connection refused");
        }
        assert_eq!(reason(breaker.check()).as_deref(), Some("connection refused"));
        assert_eq!(reason(breaker.admit()).as_deref(), Some("connection refused"));
        let mut sent = 0;
        for _ in 0..600 {
            advance(Duration::from_millis(100)).await;
            if breaker.admit().is_ok() {
                sent += 1;
                breaker.failed("connection refused");
            }
        }
        assert!((4..=8).contains(&sent), "{sent} requests in a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn one_answer_closes_it() {
        let breaker = Breaker::new();
        let mut is_down = breaker.is_down();
        (0..10).for_each(|_| breaker.failed("timeout"));
        assert!(*is_down.borrow_and_update());
        advance(FIRST_PAUSE).await;
        assert!(breaker.check().is_ok(), "asking is no probe");
        assert!(breaker.admit().is_ok());
        assert!(breaker.admit().is_err(), "one probe at a time");
        breaker.succeeded();
        assert!(breaker.admit().is_ok());
        assert!(is_down.has_changed().is_ok_and(|changed| changed) && !*is_down.borrow_and_update());
        breaker.succeeded();
        assert!(is_down.has_changed().is_ok_and(|changed| !changed), "told once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_that_was_in_flight_makes_no_long_pause() {
        let breaker = Breaker::new();
        (0..64).for_each(|_| breaker.failed("reset"));
        advance(FIRST_PAUSE).await;
        assert_eq!(breaker.admit(), Ok(()));
        breaker.failed("reset");
        advance(FIRST_PAUSE).await;
        assert!(breaker.admit().is_err(), "a failed probe doubles it");
        advance(FIRST_PAUSE).await;
        assert_eq!(breaker.admit(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends_by_itself_and_not_by_another_answer() {
        let breaker = Breaker::new();
        breaker.asked_for_patience(Duration::from_secs(5));
        breaker.asked_for_patience(Duration::from_secs(1));
        breaker.succeeded();
        assert_eq!(breaker.admit(), Err(Closed::Patience { retry_after: Duration::from_secs(5) }));
        assert!(!*breaker.is_down().borrow());
        advance(Duration::from_secs(5)).await;
        assert_eq!(breaker.admit(), Ok(()));
        breaker.asked_for_patience(Duration::from_secs(86_400));
        advance(LONGEST_PATIENCE).await;
        assert_eq!(breaker.admit(), Ok(()), "no server stops us for a day");
    }
}
