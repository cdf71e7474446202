//! The operator dies at every point, and nothing of it is seen afterwards.
//!
//! The real process is started with a proxy before the API server and one before Keycloak. They note each write of a
//! tenant in its order: Kubernetes (but for Leases and Events) and Keycloak alike. A run without a death tells how many
//! there are. Then, for each of them, the operator dies before it, or after it and before its answer, and one with an
//! empty memory takes over. What is there in the end is what is there without a death; the next start writes nothing;
//! what carries our mark belongs to an object; and what was there before the death (ids, keys, secrets) is the same.
//!
//! Reads are no points of their own: one that dies at a read has written as much as one that dies before its next write,
//! and takes as little along.
//!
//! `make crash` starts an API server of its own for it.

mod certificates;
mod cluster;
mod eventually;
mod journal;
mod keycloak;
mod kubernetes;
mod normal;
mod objects;
mod operator;
mod plan;
mod proxy;
mod remembered;
mod rounds;
mod stage;
mod tenant;

use std::sync::Arc;

use journal::Journal;
use stage::{Stage, on_stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn death_at_any_point_is_not_seen_afterwards() {
    on_stage(async |stage| {
        give_the_lease_back(&stage).await;
        certificates::die(&stage).await;
        plan::die(&stage).await;
        let strays = stage.journals.strays();
        assert!(strays.is_empty(), "writes that no tenant accounts for: {strays:?}");
    })
    .await;
}

/// Not a death: one that is asked to end leaves nothing that the next one has to wait for.
async fn give_the_lease_back(stage: &Stage) {
    let (namespace, journal) = ("crash-lease", Arc::<Journal>::default());
    [namespace, "keywire"].into_iter().for_each(|name| stage.journals.put(name, &journal));
    journal.begin(None);
    stage.cluster.apply_namespace(namespace).await;
    let operator = stage.operators.start(namespace).await;
    assert!(stage.operators.leader(namespace).await.is_some(), "the operator holds the Lease");
    operator.go();
    assert_eq!(stage.operators.leader(namespace).await, None, "the Lease of an operator that has ended");
}
