//! `keywire-operator controller`: compete for the Lease, then watch and reconcile.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use futures::{
    FutureExt,
    future::{self, BoxFuture},
};
use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};
use prometheus_client::registry::Registry;
use tokio::sync::{oneshot, watch};

use super::{
    app::{self, AppSecrets},
    context::Context,
    credentials_secret,
    documents::Published,
    drift::{self, Feeds, Intervals},
    endpoint, grant,
    identity::{self, Credentials},
    isolation::{self, Isolation},
    leader,
    ledger::Ledger,
    metrics::Metrics,
    pace::Pace,
    realm, run as kinds, server,
    servers::Servers,
    shut_out::ShutOut,
    trust,
    watch::{Receivers, Watches, queues, rounds, rounds::Progress},
};
use crate::{
    admission::certificates::{CaBundle, CertificateKeeper, Custody, ExternalCertificates},
    server::{Readiness, Shutdown, bind, serve_admin},
};

/// The flags of `keywire-operator controller`.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where probes and metrics are served (plain HTTP).
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub admin: SocketAddr,
    /// The operator's own namespace.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: String,
    /// This cluster's name: part of every id in Keycloak, so never change it.
    #[arg(long, env = "KEYWIRE_CLUSTER_NAME", default_value = "default", value_parser = cluster_name)]
    pub cluster_name: String,
    /// Who keeps the certificates of webhook and policy stream.
    #[arg(long, value_enum, default_value_t)]
    pub certificates: Custody,
    /// How often the admin events of each realm are read: a change that somebody makes in Keycloak is undone about this
    /// much later.
    #[arg(long, default_value = "3s", value_parser = duration)]
    pub feed_interval: Duration,
    /// How often each realm is compared as a whole, for what no admin event told of. Give or take a tenth.
    #[arg(long, default_value = "10m", value_parser = duration)]
    pub sweep_interval: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    parsed
        .filter(|duration| *duration >= Duration::from_secs(1))
        .ok_or_else(|| format!("{text:?} is no duration of at least a second; write 3s, 10m or 1h"))
}

fn cluster_name(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = !text.is_empty()
        && text.len() <= 40
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if is_label {
        Ok(text.to_owned())
    } else {
        Err("use 1 to 40 lower-case letters, digits and inner dashes".to_owned())
    }
}

/// Why the controller ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener or signal could not be had.
    #[error(transparent)]
    Server(#[from] crate::server::Error),
    /// The Lease could not be competed for.
    #[error("cannot compete for the leader's Lease: {0}")]
    Lease(#[from] kube_lease_manager::LeaseManagerError),
    /// Another replica has the Lease.
    #[error("the leader's Lease was lost; starting again as a follower")]
    LeaseLost,
}

/// Runs until it is told to end, or until the Lease is lost.
pub async fn run(args: Args, client: Client) -> Result<(), Error> {
    let shutdown = Shutdown::on_signal()?;
    let (readiness, mut registry) = (Readiness::default(), Registry::default());
    let metrics = Metrics::register(&mut registry);
    let admin = bind(args.admin).await?;
    let admin = serve_admin(admin, readiness.clone(), Arc::new(registry), shutdown.clone());
    let (held, competition) = leader::compete(client.clone(), &args.namespace).await?;
    let mut competition = pin!(competition);
    let result = tokio::select! {
        result = admin => result.map_err(Error::from),
        result = leading(&args, client, metrics, held) => result,
        () = &mut competition => return Err(Error::LeaseLost),
        () = shutdown.into_begun() => Ok(()),
    };
    // What the leader did has ended above, and with it the channel: the next leader need not wait for the Lease to run out.
    if tokio::time::timeout(GIVE_BACK, competition).await.is_err() {
        tracing::warn!("the leader's Lease could not be given back; it runs out by itself");
    }
    result
}

/// How long the API server may take to be told that the Lease is free.
const GIVE_BACK: Duration = Duration::from_secs(3);

/// Waits for the Lease, then leads for as long as it is held.
async fn leading(args: &Args, client: Client, metrics: Metrics, mut held: watch::Receiver<bool>) -> Result<(), Error> {
    // A follower is ready: it waits as it should.
    let _ = held.wait_for(|held| *held).await;
    tracing::info!("this replica leads");
    metrics.leads();
    tokio::select! {
        result = lead(args, client, metrics) => result,
        _ = held.wait_for(|held| !*held) => Err(Error::LeaseLost),
    }
}

/// What proxies have to trust, and whatever keeps it.
fn certificates(args: &Args, client: &Client) -> (watch::Receiver<Option<CaBundle>>, BoxFuture<'static, ()>) {
    match args.certificates {
        Custody::Own => {
            let keeper = CertificateKeeper::new(client.clone(), &args.namespace);
            (keeper.bundle(), keeper.run().boxed())
        }
        Custody::External => {
            let others = ExternalCertificates::new(client.clone(), &args.namespace);
            (others.bundle(), others.run().boxed())
        }
    }
}

/// Everything that only the leader does.
async fn lead(args: &Args, client: Client, metrics: Metrics) -> Result<(), Error> {
    let (mut stream_ca, keeping) = certificates(args, &client);
    let watches = Watches::new(&client);
    let (queues, receivers) = queues();
    let (servers, mut turned) = Servers::new();
    let (isolation, to_be_tried) = Isolation::new();
    let ctx = Arc::new(Context {
        caches: watches.caches(),
        client: client.clone(),
        cluster: args.cluster_name.clone(),
        namespace: args.namespace.clone(),
        servers,
        events: Recorder::new(client, Reporter::from("keywire")),
        stream_ca: stream_ca.clone(),
        ledger: Ledger::default(),
        published: Published::default(),
        feeds: Feeds::default(),
        shut_out: ShutOut::default(),
        credentials: Credentials::default(),
        app_secrets: AppSecrets::default(),
        isolation,
        pace: Pace::default(),
        progress: Progress::default(),
        metrics,
    });
    let (listed, all_listed) = oneshot::channel();
    let (documents_listed, all_documents_listed) = oneshot::channel();
    let watching = watches.run(queues.clone(), listed);
    let watching = future::join(watching, ctx.published.watch(&ctx.client, &queues, documents_listed));
    let reconciling = async {
        // With half a view, a grant that was not listed yet would look like one that was taken back.
        let _ = all_listed.await;
        let _ = all_documents_listed.await;
        let _ = stream_ca.wait_for(Option::is_some).await;
        tracing::info!("every kind is listed; reconciling");
        // First those that the others wait for: ten thousand objects need not first be told that they have to wait.
        first_look(&ctx).await;
        queues.open();
        let caches = ctx.caches.clone();
        let republish = async {
            while stream_ca.changed().await.is_ok() {
                queues.all_documents(&caches);
            }
            future::pending::<()>().await;
        };
        let intervals = Intervals { feed: args.feed_interval, sweep: args.sweep_interval };
        let recheck = async {
            while let Some(server) = turned.recv().await {
                queues.server(&server);
            }
        };
        tokio::join!(
            reconcile_all(&ctx, receivers),
            republish,
            recheck,
            rounds::go(&ctx.caches, &queues, &ctx.progress),
            trust::follow(&ctx, &queues),
            drift::watch(&ctx, &queues, intervals),
            isolation::watch(&ctx, &queues, to_be_tried),
            credentials_secret::watch(&ctx, &queues),
        )
    };
    tokio::select! {
        () = keeping => Ok(()),
        _ = watching => Ok(()),
        _ = reconciling => Ok(()),
    }
}

/// How long the others wait for the servers and realms.
const FIRST_LOOK: Duration = Duration::from_secs(10);

/// One pass over each server, then over each realm. What fails is tried again by the loops.
async fn first_look(ctx: &Arc<Context>) {
    let servers = ctx.caches.servers.state().into_iter().map(|found| server::reconcile(found, ctx.clone()));
    let _ = tokio::time::timeout(FIRST_LOOK, future::join_all(servers)).await;
    let realms = ctx.caches.realms.state().into_iter().map(|found| realm::reconcile(found, ctx.clone()));
    let _ = tokio::time::timeout(FIRST_LOOK, future::join_all(realms)).await;
}

/// One loop per kind.
async fn reconcile_all(ctx: &Arc<Context>, queues: Receivers) {
    let Receivers { servers, realms, endpoints, apps, identities, grants } = queues;
    let caches = &ctx.caches;
    future::join_all([
        kinds::run("KeycloakServer", ctx.clone(), caches.servers.clone(), servers, server::reconcile).boxed(),
        kinds::run("Realm", ctx.clone(), caches.realms.clone(), realms, realm::reconcile).boxed(),
        kinds::run("ModelEndpoint", ctx.clone(), caches.endpoints.clone(), endpoints, endpoint::reconcile).boxed(),
        kinds::run("WebApp", ctx.clone(), caches.apps.clone(), apps, app::reconcile).boxed(),
        kinds::run("WorkloadIdentity", ctx.clone(), caches.identities.clone(), identities, identity::reconcile).boxed(),
        kinds::run("AccessGrant", ctx.clone(), caches.grants.clone(), grants, grant::reconcile).boxed(),
    ])
    .await;
}
