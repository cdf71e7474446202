//! When to look at an object again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::runtime::controller::Action;

/// The first pause after a failure.
const FIRST: Duration = Duration::from_millis(500);
/// The longest.
const LONGEST: Duration = Duration::from_secs(60);

/// Counts failures in a row, object by object.
#[derive(Default)]
pub struct Pace {
    failures: Mutex<HashMap<String, u32>>,
}

impl Pace {
    /// The object is as it should be; `again` is when it must be looked at at the latest, if there is such a time.
    pub fn settled(&self, key: &str, again: Option<Duration>) -> Action {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        again.map_or_else(Action::await_change, Action::requeue)
    }

    /// The object failed once more.
    pub fn failed(&self, key: &str) -> Action {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.to_owned()).or_default();
        *count = count.saturating_add(1);
        Action::requeue(spread(FIRST.saturating_mul(1 << (*count - 1).min(16)).min(LONGEST), key, *count))
    }
}

/// Up to a quarter less, different for each object and attempt: objects that failed together do not return together.
fn spread(pause: Duration, key: &str, attempt: u32) -> Duration {
    let hash = key.bytes().fold(attempt.wrapping_mul(0x9e37_79b9), |hash, byte| {
        hash.rotate_left(5) ^ u32::from(byte).wrapping_mul(0x0100_0193)
    });
    pause - pause.mul_f64(0.25 * f64::from(hash % 1000) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_success_forgets() {
        let pace = Pace::default();
        let first = pace.failed("a");
        for _ in 0..40 {
            pace.failed("a");
        }
        assert_ne!(pace.failed("a"), first);
        pace.settled("a", None);
        assert_eq!(pace.failed("a"), first);
    }

    #[test]
    fn spread_stays_within_a_quarter() {
        for attempt in 0..100 {
            let spread = spread(LONGEST, "vision/iris", attempt);
            assert!(spread <= LONGEST && spread >= LONGEST.mul_f64(0.75));
        }
    }
}
