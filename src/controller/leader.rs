//! One replica at a time reconciles: whoever holds the Lease.

use kube::Client;
use kube_lease_manager::{LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;

/// The Lease in the operator's namespace.
const LEASE: &str = "keywire-controller";
/// Seconds that a dead leader's Lease outlives it.
const DURATION: u64 = 15;
/// Seconds before that at which the leader renews.
const GRACE: u64 = 5;

/// Competes for the Lease. The channel says whether we hold it; the competition
/// ends, and the Lease is released, when the channel is dropped.
pub async fn compete(
    client: Client,
    namespace: &str,
) -> Result<(watch::Receiver<bool>, impl Future<Output = ()>), LeaseManagerError> {
    let manager = LeaseManagerBuilder::new(client, LEASE)
        .with_namespace(namespace)
        .with_duration(DURATION)
        .with_grace(GRACE)
        .build()
        .await?;
    let (held, task) = manager.watch().await;
    Ok((held, async move {
        // Its result is the manager, given back for another round that there is none of.
        let _ = task.await;
    }))
}
