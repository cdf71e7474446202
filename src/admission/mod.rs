//! Admission: puts the sidecar into the pods that an endpoint or an identity selects.
//!
//! `select` and `mutate` are pure; `watch` holds what they ask of the cluster;
//! `certificates` makes and renews what the API server trusts the webhook by.

mod args;
pub mod certificates;
#[cfg(test)]
mod fixtures;
mod metrics;
mod mutate;
mod probes;
mod refusal;
mod review;
mod running;
mod select;
mod server;
mod sidecar;
mod told;
mod watch;
mod wiring;

use std::{pin::pin, sync::Arc};

use futures::{
    FutureExt,
    future::{self, Either},
};
use kube::Client;
use prometheus_client::registry::Registry;

pub use args::Args;
pub use mutate::{INJECTED, InjectError, Injection, inject};
pub use refusal::Refusal;
pub use review::{ReviewError, review};
pub use running::{RunningPod, ServedPods};
pub use select::{Catalog, SelectedIdentity, Selection, Served, select};
pub use sidecar::InjectSettings;
pub use told::{TOLD, Told};
pub use wiring::{ADMIN_PORT, SIDECAR};

use self::{
    certificates::TLS_SECRET,
    metrics::Metrics,
    server::{Webhook, router},
    watch::Caches,
};
use crate::server::{Certificates, Error, Readiness, Shutdown, TlsServer, bind, follow_secret, serve_admin};

/// Connections at one time. API servers keep a few open each.
const CONNECTIONS: usize = 1024;

/// Runs the webhook until it is told to end.
pub async fn run(args: Args, client: Client) -> Result<(), Error> {
    let shutdown = Shutdown::on_signal()?;
    let (readiness, mut registry) = (Readiness::default(), Registry::default());
    let listening = readiness.pending("listener");
    let (caches, certificates) = (Arc::new(Caches::default()), Arc::new(Certificates::default()));
    let webhook = Webhook {
        caches: Arc::clone(&caches),
        settings: args.settings(),
        metrics: Metrics::new(&mut registry),
        readiness: readiness.clone(),
    };
    let tls = TlsServer::new(router(webhook), Arc::clone(&certificates), CONNECTIONS)?;
    let certificate = readiness.pending("certificate");
    let background = future::join(
        caches.run(client.clone(), &readiness),
        follow_secret(client, args.namespace, TLS_SECRET, certificates, certificate),
    );
    let (listener, admin) = (bind(args.listen).await?, bind(args.admin).await?);
    listening.done();
    tracing::info!(listen = %args.listen, admin = %args.admin, image = args.proxy_image, "webhook listens");
    let serving = future::try_join(
        tls.serve(listener, shutdown.clone()).map(Ok),
        serve_admin(admin, readiness, Arc::new(registry), shutdown),
    );
    // The background never ends by itself; it goes on while requests in flight finish.
    match future::select(pin!(serving), pin!(background)).await {
        Either::Left((result, _)) => result.map(drop),
        Either::Right(_) => Ok(()),
    }
}
