//! How fast, and how much at once, Keycloak is asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// How much of the rate may be used at once after a quiet time.
const BURST: Duration = Duration::from_millis(100);

/// A rate and a number of requests in flight, shared by everything that talks to one server.
#[derive(Debug)]
pub(super) struct Limiter {
    in_flight: Arc<Semaphore>,
    interval: Duration,
    next: Mutex<Option<Instant>>,
}

/// A place among the requests in flight; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Limiter {
    /// At most `requests_per_second` (0: no limit) and `concurrent` (at least 1) in flight.
    pub fn new(requests_per_second: u32, concurrent: usize) -> Self {
        let interval = Duration::from_secs(1).checked_div(requests_per_second).unwrap_or_default();
        Self { in_flight: Arc::new(Semaphore::new(concurrent.max(1))), interval, next: Mutex::new(None) }
    }

    /// Waits for a place. Before [`rate`](Self::rate), so that a slot of the rate is not lost while waiting.
    pub async fn place(&self) -> Place {
        // The semaphore is never closed; if it were, requests would go on at the rate alone.
        Place { _permit: Arc::clone(&self.in_flight).acquire_owned().await.ok() }
    }

    /// Waits until the rate admits one more request.
    pub async fn rate(&self, _: &Place) {
        sleep_until(self.reserve()).await;
    }

    fn reserve(&self) -> Instant {
        let now = Instant::now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let slot = next.unwrap_or(earliest).max(earliest);
        *next = Some(slot + self.interval);
        slot.max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_rate_holds_after_the_burst() {
        let limiter = Limiter::new(100, 8);
        let start = Instant::now();
        for _ in 0..210 {
            limiter.rate(&limiter.place().await).await;
        }
        let taken = start.elapsed();
        assert!((Duration::from_millis(1900)..=Duration::from_millis(2100)).contains(&taken), "{taken:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_allowed_at_once() {
        let limiter = Limiter::new(0, 2);
        let (_first, second) = (limiter.place().await, limiter.place().await);
        let third = tokio::time::timeout(Duration::from_secs(1), limiter.place()).await;
        assert!(third.is_err());
        drop(second);
        limiter.place().await;
    }
}
