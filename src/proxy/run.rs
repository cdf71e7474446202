//! Putting it together, and taking it apart again.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    runtime::Builder,
    sync::{mpsc, oneshot},
};

use super::{
    admin::Admin,
    app_probes::AppProbes,
    args::Args,
    auditlog::AuditLog,
    certificate::{self, GuardTls, Pair, PairError},
    clock::Clock,
    config::{self, ConfigError},
    control::Half,
    documents::{ApplyError, stream::StreamSource},
    egress::{
        credential::{self, Credentials},
        state::{EgressError, EgressState},
    },
    guard::state::GuardState,
    handles::Handles,
    http::{collect::Memory, serve::Drain},
    listen::Listeners,
    metrics::Metrics,
    signin::state::Places,
    worker::{Accepted, Port, Shared, Worker},
};
use crate::core::{
    credential::CREDENTIAL_FILE,
    policy::{
        compiled::CompiledPolicy,
        document::{EGRESS_FILE, GUARD_FILE},
    },
};

/// How often callers' tokens that have ended are looked for.
const TIDIED: Duration = Duration::from_secs(10);

/// Why the proxy did not start.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum StartError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A thread or runtime could not be made.
    #[error("a thread could not be started: {0}")]
    Thread(io::Error),
    /// A port of the command line cannot be had.
    #[error("port {port:?} cannot be bound: {error}")]
    Bind {
        /// Which.
        port: Port,
        /// Why.
        error: io::Error,
    },
    /// The audit log cannot be written.
    #[error("the audit log {path:?} cannot be opened: {error}")]
    Audit {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// TLS could not be configured.
    #[error("TLS could not be configured: {0}")]
    Tls(#[from] rustls::Error),
    /// The admin port cannot be had.
    #[error("the admin address {address} cannot be bound: {error}")]
    Admin {
        /// Which.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

/// A proxy that runs.
pub struct Running {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    control: Option<JoinHandle<()>>,
    workers: Vec<JoinHandle<()>>,
    admin: SocketAddr,
    guard: Vec<SocketAddr>,
    egress: Vec<SocketAddr>,
}

/// The addresses that were had.
struct Bound {
    admin: SocketAddr,
    guard: Vec<SocketAddr>,
    egress: Vec<SocketAddr>,
}

/// Starts everything. The sockets of the command line are bound when it returns.
pub fn start(args: &Args, clock: Clock) -> Result<Running, StartError> {
    let args = &config::settle(args)?;
    let shared = shared(args, clock)?;
    let (senders, workers) = start_workers(args, &shared)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
    let (stop, stopped) = oneshot::channel();
    let (report, reported) = std::sync::mpsc::channel();
    let task = control(args.clone(), Arc::clone(&shared), senders, report, stopped);
    let control = thread::Builder::new().name("control".to_owned()).spawn(move || runtime.block_on(task));
    let control = control.map_err(StartError::Thread)?;
    // The control thread reports in any case; if it died instead, nothing is bound.
    let lost = |_| StartError::Thread(io::Error::other("the control thread ended"));
    let Bound { admin, guard, egress } = reported.recv().map_err(lost)??;
    Ok(Running { shared, stop: Some(stop), control: Some(control), workers, admin, guard, egress })
}

fn shared(args: &Args, clock: Clock) -> Result<Arc<Shared>, StartError> {
    let metrics = Arc::new(Metrics::default());
    let open = |path: &PathBuf| {
        let lost = metrics.audit_lost.clone();
        AuditLog::open(path.clone(), lost).map_err(|error| StartError::Audit { path: path.clone(), error })
    };
    let audit_log = args.audit_file.as_ref().map(open).transpose()?;
    let (handles, tokens) = (Arc::<Handles>::default(), args.tokens.clone());
    let places = Places { secrets: args.sign_in.clone(), tokens: tokens.clone() };
    let guard =
        GuardState::new(args.guard_identity.clone(), places, clock.clone(), Arc::clone(&metrics), Arc::clone(&handles));
    let identity = args.egress_identity.clone();
    let credentials = Credentials::new(identity.clone(), args.egress_credential_files.clone());
    let egress = EgressState::new(identity, tokens, credentials, clock, Arc::clone(&metrics), handles);
    let tls = args.guard_tls.as_ref().map(|_| GuardTls::new().map(Arc::new)).transpose()?;
    Ok(Arc::new(Shared {
        audit_log,
        guard,
        tls,
        egress,
        metrics,
        drain: Drain::default(),
        audit: args.audit,
        bodies: Memory::new(args.body_memory << 20),
        upstream_timeout: Duration::from_secs(args.upstream_timeout),
        drain_timeout: Duration::from_secs(args.drain),
    }))
}

type Workers = (Vec<mpsc::UnboundedSender<Accepted>>, Vec<JoinHandle<()>>);

fn start_workers(args: &Args, shared: &Arc<Shared>) -> Result<Workers, StartError> {
    let count = match usize::from(args.workers) {
        // Honours a container's CPU limit.
        0 => thread::available_parallelism().map_or(1, |cpus| cpus.get().min(4)),
        given => given,
    };
    let start = |index| {
        let (sender, receiver) = mpsc::unbounded_channel();
        Worker::start(index, Arc::clone(shared), receiver).map(|thread| (sender, thread))
    };
    let started = (0..count).map(start).collect::<io::Result<Vec<_>>>().map_err(StartError::Thread)?;
    Ok(started.into_iter().unzip())
}

async fn bind(args: &Args, shared: &Arc<Shared>, listeners: &Arc<Listeners>) -> Result<Bound, StartError> {
    let bind = |port| listeners.bind(port).map_err(|error| StartError::Bind { port, error });
    let guard = args.guard_port.iter().map(|pair| bind(Port::Guard(pair.listen))).collect::<Result<_, _>>()?;
    let egress = args.egress_port.iter().map(|port| bind(Port::Egress(*port))).collect::<Result<_, _>>()?;
    if let (Some(directory), Some(tls)) = (&args.guard_tls, &shared.tls) {
        tokio::spawn(certificate::follow(Pair::new(directory), Arc::clone(tls), Arc::clone(&shared.metrics)));
    }
    tokio::spawn(tidy(Arc::clone(&shared.guard)));
    let source = |directory: &Path| {
        let (directory, tokens) = (directory.to_owned(), args.tokens.clone());
        args.stream.clone().map(|url| StreamSource { url, directory, tokens })
    };
    if let Some(directory) = &args.guard {
        let (consumer, stream) = (Arc::clone(&shared.guard), source(directory));
        Half { consumer, directory, file: GUARD_FILE, stream, port: Port::Guard }.start(listeners, &shared.metrics);
    }
    if let Some(directory) = &args.egress {
        let (consumer, stream) = (Arc::clone(&shared.egress), source(directory));
        Half { consumer, directory, file: EGRESS_FILE, stream, port: Port::Egress }.start(listeners, &shared.metrics);
    }
    if let Some(directory) = &args.egress_credential {
        let consumer = Arc::clone(shared.egress.credentials());
        tokio::spawn(credential::prove(Arc::clone(&consumer), Arc::clone(&shared.egress)));
        // The stream's CA lies beside the egress half's document.
        let stream = args.egress.as_deref().and_then(source);
        Half { consumer, directory, file: CREDENTIAL_FILE, stream, port: Port::Egress }
            .start(listeners, &shared.metrics);
    }
    let (mut has_guard, mut has_egress) = (args.guard.is_some(), args.egress.is_some());
    if let Some(path) = &args.config {
        (has_guard, has_egress) = config::start(path.clone(), shared, listeners)?.present();
    }
    let probes = AppProbes::new(&args.app_probe);
    let admin = Admin { shared: Arc::clone(shared), guard: has_guard, egress: has_egress, probes };
    let address = args.admin;
    let admin = admin.start(address).await.map_err(|error| StartError::Admin { address, error })?;
    Ok(Bound { admin, guard, egress })
}

/// Forgets callers' tokens as they end, also where nobody calls any more.
async fn tidy(guard: Arc<GuardState>) {
    let mut ticks = tokio::time::interval(TIDIED);
    loop {
        ticks.tick().await;
        guard.handles().tidy(guard.clock().now());
    }
}

/// The control thread: binds, reports, and runs its tasks until told to stop.
async fn control(
    args: Args,
    shared: Arc<Shared>,
    workers: Vec<mpsc::UnboundedSender<Accepted>>,
    report: std::sync::mpsc::Sender<Result<Bound, StartError>>,
    stopped: oneshot::Receiver<()>,
) {
    let listeners = Listeners::new(Arc::clone(&shared), args.bind, workers);
    let bound = bind(&args, &shared, &listeners).await;
    let failed = bound.is_err();
    let abandoned = report.send(bound).is_err();
    if !failed && !abandoned {
        // A dropped sender means stop, too.
        let _ = stopped.await;
    }
    listeners.close();
}

impl Running {
    /// The admin port.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The guard's ports of the command line, in their order.
    pub fn guard(&self) -> &[SocketAddr] {
        &self.guard
    }

    /// The egress ports of the command line, in their order.
    pub fn egress(&self) -> &[SocketAddr] {
        &self.egress
    }

    /// Opens the audit log anew: it was moved away.
    pub fn reopen_audit_log(&self) {
        if let Some(log) = &self.shared.audit_log {
            log.reopen();
        }
    }

    /// Takes no more connections, lets the requests in flight finish within the
    /// drain's time, and ends all threads.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.drain.begin();
        drop(self.stop.take());
        for thread in self.control.take().into_iter().chain(self.workers.drain(..)) {
            // A thread that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Why `--check` is not content.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Read(String, io::Error),
    /// It is not a document that would be put in force.
    #[error("{0}: {1}")]
    Document(String, ApplyError),
    /// The certificate could not be served with.
    #[error("{0}: {1}")]
    Certificate(String, PairError),
}

/// Checks the documents that the flags name, as starting would.
pub fn check(args: &Args) -> Result<(), CheckError> {
    let read = |directory: &Path, name: &str| {
        let path = directory.join(name);
        let shown = path.display().to_string();
        fs::read(&path).map(|text| (shown.clone(), text)).map_err(|error| CheckError::Read(shown, error))
    };
    let args = &config::settle(args)?;
    if let Some(directory) = &args.guard {
        let (shown, text) = read(directory, GUARD_FILE)?;
        check_guard(&text).map_err(|error| CheckError::Document(shown, error))?;
    }
    if let Some(directory) = &args.guard_tls {
        let checked = Pair::new(directory).check();
        checked.map_err(|error| CheckError::Certificate(directory.display().to_string(), error))?;
    }
    if let Some(directory) = &args.egress {
        let (shown, text) = read(directory, EGRESS_FILE)?;
        check_egress(&text).map_err(|error| CheckError::Document(shown, error))?;
    }
    Ok(())
}

fn check_guard(text: &[u8]) -> Result<(), ApplyError> {
    CompiledPolicy::compile(serde_json::from_slice(text)?)?;
    Ok(())
}

fn check_egress(text: &[u8]) -> Result<(), ApplyError> {
    EgressState::check(&serde_json::from_slice(text)?).map_err(|error: EgressError| error.into())
}
