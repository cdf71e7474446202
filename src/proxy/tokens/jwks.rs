//! An issuer's keys: fetched, refreshed ahead, and once more when a token names
//! a key that is not there yet (but not as often as an attacker likes).

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{
    keys::{KeyError, KeySet},
    refresh::Bucket,
    verify::MAX_KEY_AGE,
};
use crate::{
    core::{policy::document::TrustedIssuer, skew::Skew},
    proxy::{
        clock::Clock,
        http::{
            connect::OriginError,
            fetch::{FetchError, Fetched, Resource},
        },
    },
};

/// How long after a fetch the next is made.
const REFRESH: Duration = Duration::from_secs(300);
/// The waits after failures: doubled from the first up to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(15));
/// How many fetches tokens with unknown keys may cause at once…
const UNKNOWN_KEY_BURST: u32 = 3;
/// …and how often one more.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(10);
/// How long a request waits for the keys that it caused to be fetched.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why keys were not had.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum JwksError {
    /// The URL or its CA cannot be used.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// No answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// An answer other than 200.
    #[error("the key set was answered with status {0}")]
    Status(StatusCode),
    /// An answer that is no key set.
    #[error(transparent)]
    Keys(#[from] KeyError),
}

/// A trusted issuer while it is in force.
#[derive(Debug)]
pub struct Issuer {
    document: TrustedIssuer,
    /// Seconds since the epoch; `i64::MIN`: never.
    fetched_at: AtomicI64,
    /// This clock less the issuer's, in seconds; `i64::MIN`: unknown.
    skew: AtomicI64,
    asked: Notify,
    attempts: watch::Sender<u64>,
}

impl Issuer {
    /// An issuer whose keys have not been fetched.
    pub fn new(document: TrustedIssuer) -> Arc<Self> {
        Arc::new(Self {
            document,
            fetched_at: AtomicI64::new(i64::MIN),
            skew: AtomicI64::new(i64::MIN),
            asked: Notify::new(),
            attempts: watch::Sender::new(0),
        })
    }

    /// What the policy says of it.
    pub fn document(&self) -> &TrustedIssuer {
        &self.document
    }

    /// The `iss` of its tokens.
    pub fn name(&self) -> &str {
        &self.document.issuer
    }

    /// Whether its keys may still be used.
    pub fn keys_fresh(&self, now: i64) -> bool {
        self.key_age(now).is_some_and(|age| age <= MAX_KEY_AGE)
    }

    /// Seconds since its keys were last fetched; `None`: never.
    pub fn key_age(&self, now: i64) -> Option<i64> {
        match self.fetched_at.load(Ordering::Relaxed) {
            i64::MIN => None,
            at => Some(now.saturating_sub(at).max(0)),
        }
    }

    /// How far this clock was from the issuer's when its keys were fetched last; `None`: nobody knows.
    pub fn skew(&self) -> Option<Skew> {
        match self.skew.load(Ordering::Relaxed) {
            i64::MIN => None,
            seconds => Some(Skew::of(seconds)),
        }
    }

    /// The skew, where it makes good tokens look bad.
    pub fn harmful_skew(&self) -> Option<Skew> {
        self.skew().filter(|skew| !skew.is_tolerated())
    }

    /// Says it once, and once more when it was well in between.
    fn note_skew(&self, skew: Skew) {
        let was_harmful = self.harmful_skew().is_some();
        self.skew.store(skew.seconds(), Ordering::Relaxed);
        match (was_harmful, skew.is_tolerated()) {
            (false, false) => tracing::warn!(
                issuer = self.name(),
                seconds = skew.seconds(),
                "this node's clock is {skew} the issuer's: tokens seem expired, or not valid yet; check NTP"
            ),
            (true, true) => tracing::info!(issuer = self.name(), "this node's clock and the issuer's agree again"),
            (true, false) | (false, true) => {}
        }
    }

    /// Asks for a fetch, and waits until one was made or refused.
    pub async fn refresh(&self) {
        let mut attempts = self.attempts.subscribe();
        self.asked.notify_one();
        // In vain is as good as done: the caller looks at the keys either way.
        let _ = timeout(PATIENCE, attempts.changed()).await;
    }

    /// Fetches for ever, and hands each key set to `publish`. One flight at a
    /// time, since it is one task.
    pub async fn keep(self: Arc<Self>, clock: Clock, mut publish: impl FnMut(Result<KeySet, JwksError>)) {
        let mut bucket = Bucket::new(UNKNOWN_KEY_BURST, UNKNOWN_KEY_INTERVAL, Instant::now());
        let mut backoff = BACKOFF.0;
        loop {
            let fetched = self.fetch(&clock).await;
            let wait = if fetched.is_ok() {
                self.fetched_at.store(clock.now(), Ordering::Relaxed);
                backoff = BACKOFF.0;
                REFRESH
            } else {
                let longer = (backoff * 2).min(BACKOFF.1);
                std::mem::replace(&mut backoff, longer)
            };
            publish(fetched);
            self.attempts.send_modify(|attempts| *attempts += 1);
            self.wait(wait, &mut bucket).await;
        }
    }

    /// Waits for the next time, or until somebody asks and may.
    async fn wait(&self, wait: Duration, bucket: &mut Bucket) {
        let mut due = std::pin::pin!(sleep(wait));
        loop {
            tokio::select! {
                () = &mut due => return,
                () = self.asked.notified() => {
                    if bucket.take(Instant::now()) {
                        return;
                    }
                    self.attempts.send_modify(|attempts| *attempts += 1);
                }
            }
        }
    }

    async fn fetch(&self, clock: &Clock) -> Result<KeySet, JwksError> {
        let resource = Resource::new(&self.document.jwks_url, self.document.ca.as_deref())?;
        let before = clock.now();
        let Fetched { status, body, date } = resource.get().await?;
        if let Some(date) = date {
            self.note_skew(Skew::measured(before, date, clock.now()));
        }
        match status {
            StatusCode::OK => Ok(KeySet::parse(&body)?),
            status => Err(JwksError::Status(status)),
        }
    }
}
