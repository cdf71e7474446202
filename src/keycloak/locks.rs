//! One writer per client: parallel writes to one client have left Keycloak with a mixture of both.

use tokio::sync::{Mutex, MutexGuard};

use crate::core::fingerprint;

/// How many clients can be written at once. Two clients that share a lock only wait for each other.
const LOCKS: usize = 256;

/// A fixed set of locks, picked by the client's id: nothing to clean up when clients come and go.
#[derive(Debug)]
pub(super) struct ClientLocks {
    locks: Vec<Mutex<()>>,
}

impl ClientLocks {
    pub fn new() -> Self {
        Self { locks: (0..LOCKS).map(|_| Mutex::new(())).collect() }
    }

    /// Waits until no one else writes to this client. Never hold two of these at once.
    pub async fn lock(&self, realm: &str, client: &str) -> Option<MutexGuard<'_, ()>> {
        let hash = fingerprint::number(&(realm, client));
        let index = usize::try_from(hash % LOCKS as u64).unwrap_or_default();
        match self.locks.get(index) {
            Some(lock) => Some(lock.lock().await),
            None => None,
        }
    }
}
