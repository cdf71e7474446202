//! Readiness: a list of things that must happen once before traffic may come.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Whether a process may get traffic: it may once nothing is pending.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    pending: Arc<Mutex<BTreeSet<&'static str>>>,
}

/// One thing that has not happened yet. Dropping it without [`Pending::done`] (a task
/// that died) leaves the process not ready.
#[derive(Debug)]
#[must_use = "the process stays not ready until `done` is called"]
pub struct Pending {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Adds something that must happen first.
    pub fn pending(&self, name: &'static str) -> Pending {
        self.lock().insert(name);
        Pending { name, readiness: self.clone() }
    }

    /// Names of what has not happened yet; empty when ready.
    pub fn missing(&self) -> Vec<&'static str> {
        self.lock().iter().copied().collect()
    }

    // A set of names is whole even where a holder of the lock panicked.
    fn lock(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pending {
    /// It has happened.
    pub fn done(self) {
        self.readiness.lock().remove(self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_done_counts() {
        let readiness = Readiness::default();
        let (caches, listener) = (readiness.pending("caches"), readiness.pending("listener"));
        assert_eq!(readiness.missing(), ["caches", "listener"]);
        caches.done();
        drop(listener);
        assert_eq!(readiness.missing(), ["listener"], "a task that died leaves the process not ready");
    }
}
