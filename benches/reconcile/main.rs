//! `make bench-reconcile`: the operator beside the raw Admin API, in one run.
//!
//! For each size: the objects are made while no operator runs; the raw calls are timed on one realm (a client, its
//! service account, a role mapping, and the two statuses that the operator writes); then the operator starts and is
//! timed on another realm until every identity is ready. Then what a sweep and a restart cost, and one new identity.

mod cluster;
mod keycloak;
mod operator;
mod report;

use std::time::{Duration, Instant};

use cluster::Cluster;
use keycloak::Keycloak;
use operator::Operator;
use report::{Converged, Figures, Report};

/// Callers per endpoint.
const CALLERS: usize = 100;
/// Identities of a raw run before anything is measured: whoever went first would pay for Keycloak's compiling itself.
const WARM_UP: usize = 500;
/// Requests in flight, of the raw run and of the operator alike.
const IN_FLIGHT: usize = 8;

/// One size's objects: where they are and how many.
#[derive(Clone)]
pub struct Size {
    /// Identities, each with a grant.
    pub identities: usize,
    /// Endpoints that they share.
    pub endpoints: usize,
    /// Realm, and prefix of the namespaces.
    pub name: String,
}

impl Size {
    fn new(prefix: &str, identities: usize) -> Self {
        let name = format!("{prefix}-{:x}", std::process::id());
        Self { identities, endpoints: identities.div_ceil(CALLERS), name }
    }
}

#[tokio::main]
async fn main() {
    keywire_provider();
    let mut arguments = std::env::args().skip(1);
    let (binary, out) = (arguments.next().expect("the operator"), arguments.next().expect("the report"));
    let sizes: Vec<usize> = arguments.map(|size| size.parse().expect("a number")).collect();
    let cluster = Cluster::new().await;
    let keycloak = Keycloak::from_env();
    let mut report = Report::new();
    warm_up(&keycloak).await;
    for (index, identities) in sizes.iter().copied().enumerate() {
        if index > 0 {
            clear(&binary, &cluster).await;
        }
        let figures = measure(&binary, &cluster, &keycloak, identities).await;
        figures.print();
        report.add(figures);
    }
    report.write(&out);
}

async fn warm_up(keycloak: &Keycloak) {
    println!("warming Keycloak up");
    let realm = keycloak.raw_realm(&Size::new("warm", WARM_UP)).await;
    keycloak::warm_up(&realm, WARM_UP, IN_FLIGHT).await;
    keycloak.drop_realm(&realm).await;
}

/// Takes away what the last size made: the next one is to be measured alone.
async fn clear(binary: &str, cluster: &Cluster) {
    println!("removing the objects of the last size");
    let begun = Instant::now();
    let operator = Operator::start(binary, "1h");
    cluster.remove_all().await;
    operator.stop().await;
    println!("  removed in {:.1} s", begun.elapsed().as_secs_f64());
}

fn keywire_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

async fn measure(binary: &str, cluster: &Cluster, keycloak: &Keycloak, identities: usize) -> Figures {
    let size = Size::new(&format!("bench-{identities}"), identities);
    println!("{identities} identities, {} endpoints: making the objects", size.endpoints);
    cluster.make_endpoints(&size).await;
    // The endpoints and their realm are there before the clock starts, as they are for the raw calls.
    let first = Operator::start(binary, "1h");
    cluster.wait_endpoints_ready(&size).await;
    let empty = first.memory();
    first.stop().await;
    cluster.make_identities(&size).await;

    let raw = raw(cluster, keycloak, &size).await;
    let (ours, operator) = ours(binary, cluster, keycloak, &size).await;
    let new_identity = cluster.time_new_identity(keycloak, &size).await;
    let memory = operator.memory();
    operator.stop().await;

    let before = cluster.versions(&size).await;
    let restarted = Instant::now();
    let operator = Operator::start(binary, "30s");
    operator.wait_reconciled(size.identities).await;
    let restart = restarted.elapsed();
    let converged = converged(keycloak, &operator).await;
    let writes = cluster.changed_since(&size, &before).await;
    let changes = operator.changes().await;
    let memory_after = operator.memory();
    operator.stop().await;
    Figures { size, raw, ours, new_identity, empty, memory, memory_after, restart, converged, writes, changes }
}

async fn raw(cluster: &Cluster, keycloak: &Keycloak, size: &Size) -> Duration {
    let realm = keycloak.raw_realm(size).await;
    let begun = Instant::now();
    keycloak::raw_run(&realm, cluster, size, IN_FLIGHT).await;
    let taken = begun.elapsed();
    println!("  raw calls: {:.1} s", taken.as_secs_f64());
    keycloak.drop_realm(&realm).await;
    cluster.clear_statuses(size).await;
    taken
}

async fn ours(binary: &str, cluster: &Cluster, keycloak: &Keycloak, size: &Size) -> (Duration, Operator) {
    let before = keycloak.requests().await;
    let begun = Instant::now();
    let operator = Operator::start(binary, "1h");
    operator.wait_reconciled(size.identities).await;
    let taken = cluster.wait_all_ready(size, begun).await;
    let requests = keycloak.requests().await - before;
    println!("  operator: {:.1} s, {requests} requests", taken.as_secs_f64());
    (taken, operator)
}

/// What Keycloak is asked between two sweeps' ends.
async fn converged(keycloak: &Keycloak, operator: &Operator) -> Converged {
    // The first sweep comes soon after a start; the clock begins when it is over.
    let first = operator.wait_sweeps(1).await;
    let (before, feed_before) = (keycloak.requests().await, keycloak.feed_requests().await);
    let sweeps = operator.wait_sweeps(first + 2).await - first;
    let feed = keycloak.feed_requests().await - feed_before;
    Converged { sweeps, feed, others: keycloak.requests().await - before - feed }
}
