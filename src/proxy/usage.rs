//! What each client uses at the moment, counted by all workers together and without a lock: a client's [`Usage`] is looked up
//! once for each token that is verified.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use crate::core::policy::limits::CompiledLimits;

/// One client's.
#[derive(Debug, Default)]
pub struct Usage {
    /// Until when its calls so far are paid for, in nanoseconds of [`Clock::nanos`](super::clock::Clock::nanos).
    paid: AtomicU64,
    /// Calls in progress.
    open: AtomicU32,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Over {
    /// Too fast; in how many nanoseconds it may come again.
    RateLimited(u64),
    /// Too many in progress.
    TooManyRequestsAtOnce,
}

/// A call in progress: given back when it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Usage>);

impl Usage {
    /// Counts a call, if the limits let it be one more. `now` is in nanoseconds.
    pub fn enter(self: &Arc<Self>, limits: &CompiledLimits, now: u64) -> Result<Place, Over> {
        // Counted first, so that two at once never both take the last place.
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let place = Place(Arc::clone(self));
        if limits.concurrent.is_some_and(|most| before >= most) {
            return Err(Over::TooManyRequestsAtOnce);
        }
        let mut paid = self.paid.load(Ordering::Relaxed);
        loop {
            let then = limits.next(paid, now).map_err(Over::RateLimited)?;
            match self.paid.compare_exchange_weak(paid, then, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(place),
                Err(newer) => paid = newer,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Every client's.
#[derive(Debug, Default)]
pub struct Usages(Mutex<HashMap<Box<str>, Arc<Usage>>>);

impl Usages {
    /// A client's. Only for clients with grants: they are what bounds the number.
    pub fn of(&self, client: &str) -> Arc<Usage> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(client) {
            return Arc::clone(known);
        }
        Arc::clone(all.entry(client.into()).or_default())
    }

    /// Forgets the clients that have no grant any more, once nobody holds what they use.
    pub fn retain(&self, is_granted: impl Fn(&str) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|client, usage| is_granted(client) || Arc::strong_count(usage) > 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::policy::document::Limits;

    fn limits(rate: Option<u32>, concurrent: Option<u32>) -> CompiledLimits {
        let limits = Limits { requests_per_second: rate, burst: None, concurrent };
        let Ok(limits) = CompiledLimits::compile(limits) else { panic!("compiles") };
        limits
    }

    #[test]
    fn places_come_back() {
        let (usage, two) = (Usages::default().of("c"), limits(None, Some(2)));
        let first = usage.enter(&two, 0);
        let second = usage.enter(&two, 0);
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(usage.enter(&two, 0).err(), Some(Over::TooManyRequestsAtOnce));
        assert_eq!(usage.enter(&two, 0).err(), Some(Over::TooManyRequestsAtOnce), "a refusal takes no place");
        drop(first);
        assert!(usage.enter(&two, 0).is_ok());
    }

    #[test]
    fn threads_share_one_rate() {
        let (usage, hundred) = (Usages::default().of("c"), limits(Some(100), None));
        let entered = std::thread::scope(|scope| {
            let count = || (0..200).filter(|_| usage.enter(&hundred, 5).is_ok()).count();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(count)).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).sum::<usize>()
        });
        assert_eq!(entered, 100);
        assert_eq!(usage.open.load(Ordering::Relaxed), 0);
        assert!(matches!(usage.enter(&hundred, 5), Err(Over::RateLimited(10_000_000))));
    }

    #[test]
    fn who_lost_its_grants_is_forgotten() {
        let usages = Usages::default();
        let (_held, _) = (usages.of("held"), usages.of("gone"));
        usages.retain(|_| false);
        let left = usages.0.lock().map(|all| all.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
        assert_eq!(left, ["held".into()]);
    }
}
