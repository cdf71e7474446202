//! The token of one target: one flight at a time, renewed ahead, and used until
//! it expires while Keycloak is down.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use prometheus_client::metrics::{counter::Counter, family::Family};
use tokio::sync::Mutex;

use super::grant::{GrantError, Issued, TokenRequest};
use crate::proxy::{clock::Clock, metrics::NamedLabels};

/// How long a "no" is remembered, so that a busy caller does not ask Keycloak
/// at each call, and a new grant still works at once.
const REMEMBERED: Duration = Duration::from_secs(1);
/// A token is not used in its last seconds: it might expire on the way.
const MARGIN: i64 = 5;

/// A token in use.
#[derive(Debug)]
pub struct Held {
    /// The `Authorization` value.
    pub authorization: HeaderValue,
    /// Differs for each token of the slot.
    pub serial: u64,
    renew_at: i64,
    expires_at: i64,
}

/// The place for one target's token. Shared by all workers.
#[derive(Debug)]
pub struct Slot {
    request: TokenRequest,
    name: String,
    clock: Clock,
    fetches: Family<NamedLabels, Counter>,
    held: ArcSwapOption<Held>,
    flight: Mutex<Flight>,
    renewing: AtomicBool,
    serial: AtomicU64,
}

#[derive(Debug, Default)]
struct Flight {
    failed: Option<(Instant, GrantError)>,
    /// When a token was last replaced because an upstream did not like it.
    replaced: Option<Instant>,
}

impl Slot {
    /// An empty slot. `name` names the endpoint in metrics and logs.
    pub fn new(request: TokenRequest, name: String, clock: Clock, fetches: Family<NamedLabels, Counter>) -> Arc<Self> {
        Arc::new(Self {
            request,
            name,
            clock,
            fetches,
            held: ArcSwapOption::empty(),
            flight: Mutex::default(),
            renewing: AtomicBool::new(false),
            serial: AtomicU64::new(1),
        })
    }

    /// A token that is good now. Waits only when there is none.
    pub async fn get(self: &Arc<Self>) -> Result<Arc<Held>, GrantError> {
        if let Some(held) = self.usable() {
            if self.clock.now() >= held.renew_at && !self.renewing.swap(true, Ordering::AcqRel) {
                tokio::spawn(Arc::clone(self).renew());
            }
            return Ok(held);
        }
        let mut flight = self.flight.lock().await;
        match self.usable() {
            // Whoever held the lock before has fetched one.
            Some(held) => Ok(held),
            None => self.fetch(&mut flight).await,
        }
    }

    /// For how long a token is used from now on, in seconds.
    pub fn lasts(&self, held: &Held) -> i64 {
        held.expires_at.saturating_sub(self.clock.now())
    }

    /// A token other than `rejected`, which an upstream did not take. `None`:
    /// one was replaced for that reason a moment ago, and it did not help.
    pub async fn replace(&self, rejected: &Held) -> Option<Arc<Held>> {
        let mut flight = self.flight.lock().await;
        if let Some(held) = self.usable().filter(|held| held.serial != rejected.serial) {
            return Some(held);
        }
        if flight.replaced.is_some_and(|at| at.elapsed() < REMEMBERED) {
            return None;
        }
        flight.replaced = Some(Instant::now());
        self.fetch(&mut flight).await.ok()
    }

    /// Fetches a token whatever is held: to see that the credential of the moment works.
    pub async fn renew_now(&self) {
        let mut flight = self.flight.lock().await;
        flight.failed = None;
        // A failure is remembered and counted there; the old token serves until it expires.
        let _ = self.fetch(&mut flight).await;
    }

    fn usable(&self) -> Option<Arc<Held>> {
        let held = self.held.load_full()?;
        (self.clock.now() < held.expires_at).then_some(held)
    }

    async fn renew(self: Arc<Self>) {
        let mut flight = self.flight.lock().await;
        if self.usable().is_none_or(|held| self.clock.now() >= held.renew_at) {
            // A failure is remembered and counted there; the old token serves until it expires.
            let _ = self.fetch(&mut flight).await;
        }
        self.renewing.store(false, Ordering::Release);
    }

    /// The lock is held over the whole exchange: one flight.
    async fn fetch(&self, flight: &mut Flight) -> Result<Arc<Held>, GrantError> {
        if let Some((_, error)) = flight.failed.filter(|(at, _)| at.elapsed() < REMEMBERED) {
            return Err(error);
        }
        match self.request.ask().await {
            Ok(issued) => {
                self.count("issued");
                flight.failed = None;
                let held = Arc::new(self.hold(issued));
                self.held.store(Some(Arc::clone(&held)));
                Ok(held)
            }
            Err(error) => {
                self.count(error.into());
                tracing::warn!(endpoint = self.name, %error, "no token was had");
                flight.failed = Some((Instant::now(), error));
                if error == GrantError::NotGranted {
                    // Keycloak was asked and said no: what is held must not outlive that.
                    self.held.store(None);
                }
                Err(error)
            }
        }
    }

    fn hold(&self, issued: Issued) -> Held {
        let Issued { authorization, lifetime } = issued;
        let now = self.clock.now();
        Held {
            authorization,
            serial: self.serial.fetch_add(1, Ordering::Relaxed),
            renew_at: now.saturating_add(lifetime - lifetime / 5),
            expires_at: now.saturating_add((lifetime - MARGIN).max(1)),
        }
    }

    fn count(&self, result: &'static str) {
        self.fetches.get_or_create(&NamedLabels { name: self.name.clone(), result }).inc();
    }
}
