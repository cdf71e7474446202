//! Asking the issuer whether a token still counts (RFC 7662), for endpoints that cannot wait until it ends.
//!
//! Asked only of tokens that were verified here: nobody makes us ask with what he invented. An answer is believed for
//! [`FRESH`], by all workers; for one token one request is under way at a time. No answer is no.

use std::{
    collections::HashMap,
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use http::StatusCode;
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::form_urlencoded;

use super::fingerprint::{Fingerprint, Fingerprints};
use crate::{
    core::policy::document::Introspection,
    proxy::{
        clock::Clock,
        http::{
            connect::OriginError,
            fetch::{Fetched, Resource},
        },
    },
};

/// How long an answer is believed, in nanoseconds: 5 s.
pub const FRESH: u64 = 5_000_000_000;
/// How long it is believed that nobody answers, in nanoseconds: 1 s.
const FAILED: u64 = 1_000_000_000;
/// The most tokens whose answers are kept.
const CAPACITY: usize = 8192;
/// The assertion's name in the tokens directory.
const ASSERTION_FILE: &str = "keycloak";
/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What the issuer says of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Active,
    /// It does not, or not any more.
    Inactive,
    /// Nobody said.
    Unknown,
}

/// One policy's way to ask.
#[derive(Debug)]
pub struct Introspector {
    document: Introspection,
    resource: Resource,
    clock: Clock,
    /// Where the projected tokens are.
    tokens: PathBuf,
    fingerprints: Fingerprints,
    flights: Mutex<HashMap<Fingerprint, Arc<Flight>>>,
}

/// One question, and its answer with the time until which it is believed, of [`Clock::nanos`].
#[derive(Debug, Default)]
struct Flight(OnceCell<(Verdict, u64)>);

/// RFC 7662 §2.2.
#[derive(Deserialize)]
struct Answer {
    active: bool,
}

impl Introspector {
    /// Asks where `document` says, as whom the file `keycloak` in `tokens` says.
    pub fn new(document: Introspection, tokens: PathBuf, clock: Clock) -> Result<Self, OriginError> {
        let resource = Resource::new(&document.url, document.ca.as_deref())?;
        let (fingerprints, flights) = <(Fingerprints, Mutex<_>)>::default();
        Ok(Self { document, resource, clock, tokens, fingerprints, flights })
    }

    /// What the policy says of it.
    pub fn document(&self) -> &Introspection {
        &self.document
    }

    /// What is known of a token without asking.
    pub fn known(&self, token: &str) -> Option<Verdict> {
        let token = self.fingerprints.of(token);
        let flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        let (verdict, until) = *flights.get(&token)?.0.get()?;
        (self.clock.nanos() < until).then_some(verdict)
    }

    /// Asks, or waits for who asks already.
    pub async fn ask(&self, token: &str) -> Verdict {
        let flight = self.flight(self.fingerprints.of(token));
        flight.0.get_or_init(|| self.fetch(token)).await.0
    }

    fn flight(&self, token: Fingerprint) -> Arc<Flight> {
        let now = self.clock.nanos();
        let is_current = |flight: &Arc<Flight>| flight.0.get().is_none_or(|(_, until)| now < *until);
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(&token).filter(|flight| is_current(flight)) {
            return Arc::clone(flight);
        }
        if flights.len() >= CAPACITY {
            flights.retain(|_, flight| is_current(flight));
            if flights.len() >= CAPACITY {
                flights.clear();
            }
        }
        let flight = Arc::<Flight>::default();
        flights.insert(token, Arc::clone(&flight));
        flight
    }

    async fn fetch(&self, token: &str) -> (Verdict, u64) {
        // The time before the question: what was revoked while it was under way counts from then.
        let asked = self.clock.nanos();
        let verdict = self.question(token).await;
        match verdict {
            Verdict::Active | Verdict::Inactive => (verdict, asked.saturating_add(FRESH)),
            Verdict::Unknown => (verdict, self.clock.nanos().saturating_add(FAILED)),
        }
    }

    async fn question(&self, token: &str) -> Verdict {
        // Read anew each time: the kubelet rotates it.
        let Ok(assertion) = fs::read_to_string(self.tokens.join(ASSERTION_FILE)) else {
            tracing::warn!("the token for introspection cannot be read");
            return Verdict::Unknown;
        };
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("token", token)
            .append_pair("token_type_hint", "access_token")
            .append_pair("client_assertion_type", ASSERTION_TYPE)
            .append_pair("client_assertion", assertion.trim())
            .finish();
        match self.resource.post_form(form).await {
            Ok(Fetched { status: StatusCode::OK, body, .. }) => read(&body),
            Ok(Fetched { status, .. }) => {
                tracing::warn!(%status, "the issuer does not answer to introspection");
                Verdict::Unknown
            }
            Err(error) => {
                tracing::warn!(%error, "the issuer does not answer to introspection");
                Verdict::Unknown
            }
        }
    }
}

fn read(body: &[u8]) -> Verdict {
    match serde_json::from_slice(body) {
        Ok(Answer { active: true }) => Verdict::Active,
        Ok(Answer { active: false }) => Verdict::Inactive,
        Err(_) => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_one() {
        for (body, verdict) in [
            (r#"{"active":true,"sub":"s"}"#, Verdict::Active),
            (r#"{"active":false}"#, Verdict::Inactive),
            (r#"{"active":"true"}"#, Verdict::Unknown),
            (r#"{"active":true,"active":false}"#, Verdict::Unknown),
            (r#"{}"#, Verdict::Unknown),
            ("<html>", Verdict::Unknown),
        ] {
            assert_eq!(read(body.as_bytes()), verdict, "{body}");
        }
    }
}
