//! Whether this replica still hears from the API server.
//!
//! A stream says to its proxy: you know the newest there is. A replica that is cut off
//! from the API server must not go on saying so; another one may be better off.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::Client;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How often the API server is asked for a sign of life.
const ASK: Duration = Duration::from_secs(10);
/// How long one answer counts: an API server may restart without ending a stream.
const COUNTS: Duration = Duration::from_secs(60);

/// The last sign of life.
#[derive(Debug)]
pub struct Contact {
    last: Mutex<Instant>,
}

impl Default for Contact {
    fn default() -> Self {
        Self { last: Mutex::new(Instant::now()) }
    }
}

impl Contact {
    /// Asks for signs of life, for ever.
    pub async fn keep(&self, client: Client) {
        let mut ticks = interval(ASK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match timeout(ASK, client.apiserver_version()).await {
                Ok(Ok(_)) => self.heard(Instant::now()),
                Ok(Err(error)) => tracing::warn!(%error, "the API server does not answer"),
                Err(_) => tracing::warn!("the API server does not answer in time"),
            }
        }
    }

    /// Whether streams may say that they are up to date.
    pub fn holds(&self, now: Instant) -> bool {
        now.saturating_duration_since(*self.last.lock().unwrap_or_else(PoisonError::into_inner)) < COUNTS
    }

    fn heard(&self, now: Instant) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_answer_counts_no_longer() {
        let contact = Contact::default();
        let start = Instant::now();
        contact.heard(start);
        assert!(contact.holds(start + COUNTS / 2));
        assert!(!contact.holds(start + COUNTS));
        contact.heard(start + COUNTS);
        assert!(contact.holds(start + COUNTS + COUNTS / 2));
    }
}
