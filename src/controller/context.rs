//! What every reconcile may use.

use std::sync::Arc;

use kube::{Client, runtime::events::Recorder};
use tokio::sync::watch;

use crate::admission::certificates::CaBundle;

use super::{
    app::AppSecrets,
    documents::Published,
    drift::Feeds,
    identity::Credentials,
    isolation::Isolation,
    ledger::Ledger,
    metrics::Metrics,
    pace::Pace,
    servers::Servers,
    shut_out::ShutOut,
    watch::{Caches, rounds::Progress},
};

/// Shared by all controllers.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// This cluster's name: part of every id in Keycloak.
    pub cluster: String,
    /// The operator's own namespace.
    pub namespace: String,
    /// What the watches hold.
    pub caches: Arc<Caches>,
    /// Logins at Keycloak.
    pub servers: Servers,
    /// Events for people.
    pub events: Recorder,
    /// CA of the policy stream, PEM; `None` until it is made.
    pub stream_ca: watch::Receiver<Option<CaBundle>>,
    /// What Keycloak was last made to hold.
    pub ledger: Ledger,
    /// The documents that the proxies have.
    pub published: Published,
    /// How the admin events of each realm are followed.
    pub feeds: Feeds,
    /// People whose tokens count no more.
    pub shut_out: ShutOut,
    /// The credentials that identities keep.
    pub credentials: Credentials,
    /// What seals the sessions of applications.
    pub app_secrets: AppSecrets,
    /// Whether the ways around the guards are closed.
    pub isolation: Isolation,
    /// When to look again.
    pub pace: Pace,
    /// How many passes have ended.
    pub progress: Progress,
    /// Counters.
    pub metrics: Metrics,
}
