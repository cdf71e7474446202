//! Waiting for what comes true in its own time.

use std::time::{Duration, Instant};

use tokio::time::sleep;

/// How long a change may take to show. Generous: the machine may be busy, and no test is about speed.
pub const PATIENCE: Duration = Duration::from_secs(240);
/// Between two probes.
const PAUSE: Duration = Duration::from_millis(200);

/// Probes until it holds; when that takes too long, fails with what was seen last.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match probe().await {
            Ok(found) => return found,
            Err(seen) if started.elapsed() > PATIENCE => panic!("not within {PATIENCE:?}: {what}; seen last: {seen}"),
            Err(_) => sleep(PAUSE).await,
        }
    }
}
