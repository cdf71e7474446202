//! What time it is, so that a test can say.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// A source of the time of day.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's.
    #[default]
    System,
    /// Whatever was set, in seconds since the epoch.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// Nanoseconds since some moment in the life of this process; they never go back.
    pub fn nanos(&self) -> u64 {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        match self {
            Self::System => u64::try_from(BEGAN.get_or_init(Instant::now).elapsed().as_nanos()).unwrap_or(u64::MAX),
            Self::Manual(seconds) => {
                u64::try_from(seconds.load(Ordering::Relaxed)).unwrap_or_default().saturating_mul(1_000_000_000)
            }
        }
    }

    /// Seconds since the epoch. A clock before it counts as far ahead, so that
    /// every token has expired.
    pub fn now(&self) -> i64 {
        match self {
            Self::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|since| i64::try_from(since.as_secs()).ok())
                .unwrap_or(i64::MAX),
            Self::Manual(seconds) => seconds.load(Ordering::Relaxed),
        }
    }
}
