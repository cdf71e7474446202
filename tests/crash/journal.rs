//! What one tenant's writes are, in order, and the point among them at which its operator dies.

use std::{
    collections::HashMap,
    future::{Future, pending},
    sync::{Arc, Mutex, MutexGuard},
};

/// On which side of a write the operator dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The write is not carried out.
    Before,
    /// It is, and its answer is lost.
    After,
}

/// A point at which the operator dies: on one side of the write of this number, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Death {
    pub write: usize,
    pub side: Side,
}

/// One tenant's writes to Kubernetes and Keycloak alike.
///
/// Reads are not counted: they change nothing, so a death before one leaves the very world that a death before the next
/// write leaves.
#[derive(Default)]
pub struct Journal {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    writes: Vec<String>,
    death: Option<Death>,
    /// From here on nothing of this tenant is written, and no answer comes any more.
    is_dead: bool,
    in_flight: usize,
}

impl Journal {
    /// Begins anew, with a death to come or none.
    pub fn begin(&self, death: Option<Death>) {
        let mut state = self.state();
        assert_eq!(state.in_flight, 0, "an operator that is gone still writes");
        *state = State { death, ..State::default() };
    }

    /// Lets a write through and its answer back, unless the operator is dead by then: whoever waits for it then waits
    /// for ever.
    pub async fn pass<T: Send + 'static>(
        self: Arc<Self>,
        write: String,
        forward: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let Some(number) = self.enter(write) else { return pending().await };
        // A task of its own: a write that has begun is carried out although nobody waits for it any more.
        let carried_out = tokio::spawn(async move {
            let answer = forward.await;
            if self.leave(number) { None } else { Some(answer) }
        });
        match carried_out.await.expect("a write is forwarded") {
            Some(answer) => answer,
            None => pending().await,
        }
    }

    /// The write's number; none if it is not to be carried out.
    fn enter(&self, write: String) -> Option<usize> {
        let mut state = self.state();
        let number = state.writes.len();
        state.is_dead |= state.death == Some(Death { write: number, side: Side::Before });
        if state.is_dead {
            return None;
        }
        state.writes.push(write);
        state.in_flight += 1;
        Some(number)
    }

    /// Whether the answer is lost.
    fn leave(&self, number: usize) -> bool {
        let mut state = self.state();
        state.in_flight -= 1;
        state.is_dead |= state.death == Some(Death { write: number, side: Side::After });
        state.is_dead
    }

    /// Whether the operator died, and everything that it had begun has come to its end.
    pub fn is_dead(&self) -> bool {
        let state = self.state();
        state.is_dead && state.in_flight == 0
    }

    /// Whether nothing is on its way.
    pub fn is_idle(&self) -> bool {
        self.state().in_flight == 0
    }

    /// The writes since the beginning.
    pub fn writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with it")
    }
}

/// Whose write is whose, by a name that stands in its path.
#[derive(Default)]
pub struct Journals {
    by_name: Mutex<HashMap<String, Arc<Journal>>>,
    /// Writes that are nobody's.
    strays: Mutex<Vec<String>>,
    /// How often a path was read.
    reads: Mutex<HashMap<String, usize>>,
}

impl Journals {
    /// From now on writes to what is so called, or is in the namespace that is so called, are noted here.
    pub fn put(&self, name: &str, journal: &Arc<Journal>) {
        self.by_name.lock().expect("no thread panics with it").insert(name.to_owned(), Arc::clone(journal));
    }

    /// Whose a write to this path is.
    pub fn of(&self, path: &str) -> Option<Arc<Journal>> {
        let by_name = self.by_name.lock().expect("no thread panics with it");
        let found = path.split('/').find_map(|part| by_name.get(part)).cloned();
        if found.is_none() {
            self.strays.lock().expect("no thread panics with it").push(path.to_owned());
        }
        found
    }

    /// Notes that a path was read.
    pub fn read(&self, path: &str) {
        *self.reads.lock().expect("no thread panics with it").entry(path.to_owned()).or_default() += 1;
    }

    /// How often a path was read so far.
    pub fn reads(&self, path: &str) -> usize {
        self.reads.lock().expect("no thread panics with it").get(path).copied().unwrap_or_default()
    }

    /// Writes that belong to no tenant: a test that lets them pass unseen would prove less than it says.
    pub fn strays(&self) -> Vec<String> {
        self.strays.lock().expect("no thread panics with it").clone()
    }
}
