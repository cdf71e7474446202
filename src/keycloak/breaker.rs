//! A circuit breaker: a dead Keycloak costs one request per interval, however many callers want something of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// After how many failures in a row no more requests are sent.
const THRESHOLD: u32 = 3;
/// The first pause; each failed probe doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: how late a Keycloak that is back is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Counts failures of one server.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    pause: Duration,
    paused_until: Option<Instant>,
    reason: String,
}

/// Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Paused {
    /// When the next request is let through.
    pub retry_after: Duration,
    /// What went wrong the last time.
    pub reason: String,
}

impl Breaker {
    /// Asks to send a request. While the server is down, one caller per interval is let through.
    pub fn admit(&self) -> Result<(), Paused> {
        let mut state = self.state();
        let Some(until) = state.paused_until else { return Ok(()) };
        let now = Instant::now();
        if now < until {
            return Err(Paused { retry_after: until - now, reason: state.reason.clone() });
        }
        // This caller is the probe. Should it never report back, the next interval has another one.
        state.paused_until = Some(now + state.pause);
        Ok(())
    }

    /// The server answered.
    pub fn succeeded(&self) {
        *self.state() = State::default();
    }

    /// The server did not answer.
    pub fn failed(&self, reason: &str) {
        let mut state = self.state();
        state.failures = state.failures.saturating_add(1);
        reason.clone_into(&mut state.reason);
        if state.failures >= THRESHOLD {
            let doubled = state.pause.saturating_mul(2);
            state.pause = doubled.clamp(FIRST_PAUSE, LONGEST_PAUSE);
            state.paused_until = Some(Instant::now() + state.pause);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_dead_server_costs_one_request_per_interval() {
        let breaker = Breaker::default();
        for _ in 0..THRESHOLD {
            assert_eq!(breaker.admit(), Ok(()));
            breaker.failed("connection refused");
        }
        let paused = breaker.admit().err();
        assert_eq!(paused.map(|paused| paused.reason).as_deref(), Some("connection refused"));
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
        let breaker = Breaker::default();
        (0..10).for_each(|_| breaker.failed("timeout"));
        advance(LONGEST_PAUSE).await;
        assert!(breaker.admit().is_ok());
        assert!(breaker.admit().is_err(), "one probe at a time");
        breaker.succeeded();
        assert!(breaker.admit().is_ok());
    }
}
