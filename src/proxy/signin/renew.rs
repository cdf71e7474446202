//! Tokens renewed: one request to Keycloak, however many of a browser's requests wait for it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{sync::watch, task::spawn_local};

use super::endpoint::{TokenEndpoint, TokenError, Tokens};
use crate::proxy::{
    clock::Clock,
    tokens::fingerprint::{Fingerprint, Fingerprints},
};

/// How long an answer is kept for requests that still come with the cookie of before, in nanoseconds: those that were on
/// their way. Keycloak may take a refresh token only once.
const KEPT: u64 = 60_000_000_000;
/// How long a failure is: a browser's requests come in dozens.
const FAILED: u64 = 1_000_000_000;
/// The most answers that are kept.
const MOST: usize = 10_000;

type Outcome = Result<Arc<Tokens>, TokenError>;

/// Renewals that are under way, and those that were lately.
#[derive(Default)]
pub struct Renewals {
    fingerprints: Fingerprints,
    flights: Mutex<HashMap<Fingerprint, Flight>>,
}

#[derive(Clone)]
struct Flight {
    outcome: watch::Receiver<Option<(Outcome, u64)>>,
}

impl Flight {
    fn is_current(&self, now: u64) -> bool {
        match &*self.outcome.borrow() {
            // Whoever asked has gone without an answer: its thread ended.
            None => self.outcome.has_changed().is_ok(),
            Some((_, until)) => now < *until,
        }
    }
}

impl Renewals {
    /// The tokens that follow those with this refresh token.
    pub async fn renew(&self, endpoint: &Arc<TokenEndpoint>, refresh: &str, clock: &Clock) -> Outcome {
        let mut flight = self.flight(endpoint, refresh, clock);
        match flight.outcome.wait_for(Option::is_some).await {
            Ok(said) => said.as_ref().map_or(Err(TokenError::Unavailable), |(outcome, _)| outcome.clone()),
            Err(_) => Err(TokenError::Unavailable),
        }
    }

    fn flight(&self, endpoint: &Arc<TokenEndpoint>, refresh: &str, clock: &Clock) -> Flight {
        let (token, now) = (self.fingerprints.of(refresh), clock.nanos());
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&token).filter(|flight| flight.is_current(now)) {
            return flight.clone();
        }
        if flights.len() >= MOST {
            flights.retain(|_, flight| flight.is_current(now));
            if flights.len() >= MOST {
                flights.clear();
            }
        }
        let (sender, outcome) = watch::channel(None);
        let (endpoint, refresh, clock) = (Arc::clone(endpoint), refresh.to_owned(), clock.clone());
        // A task of its own: a browser that goes away must not take the answer with it.
        spawn_local(async move {
            let outcome = endpoint.refresh(&refresh).await.map(Arc::new);
            let kept = if outcome.is_ok() { KEPT } else { FAILED };
            sender.send_replace(Some((outcome, clock.nanos().saturating_add(kept))));
        });
        let flight = Flight { outcome };
        flights.insert(token, flight.clone());
        flight
    }
}
