//! Waiting for what comes true in its own time.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// How long a change may take to show. Generous: the machine may be busy, and no test is about speed.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How long a pod may take to be ready.
pub const POD_PATIENCE: Duration = Duration::from_secs(120);
/// Between two probes.
const PAUSE: Duration = Duration::from_millis(200);

/// Probes until it holds; when that takes longer than `limit`, fails with what was seen last.
pub fn eventually<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match probe() {
            Ok(found) => return found,
            Err(seen) if started.elapsed() > limit => panic!("not within {limit:?}: {what}; seen last: {seen}"),
            Err(_) => sleep(PAUSE),
        }
    }
}
