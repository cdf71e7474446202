//! A worker thread: its connections, and all that they share without a lock.

use std::{
    cell::{Cell, RefCell, RefMut},
    io,
    net::{SocketAddr, TcpStream as StdStream},
    rc::Rc,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use http::HeaderValue;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    runtime::{Builder, LocalOptions},
    sync::{OwnedSemaphorePermit, mpsc},
    task::spawn_local,
    time::timeout,
};

use super::{
    auditlog::AuditLog,
    certificate::GuardTls,
    egress::{
        serve::EgressConnection,
        state::{EgressState, EgressView, TargetState},
    },
    guard::{audit::Auditor, identity::Caller, recognise::LastToken, serve::GuardConnection, state::GuardState},
    http::{
        arrive::{Arrived, arrive},
        collect::Memory,
        connect::Origin,
        flow::Flow,
        h2,
        links::Links,
        pool::Pool,
        serve::{Drain, Handler, serve},
    },
    metrics::Metrics,
    tokens::cache::TokenCache,
};
use crate::core::policy::document::Audit;

/// Every so many requests the times of one are measured.
const SAMPLED: u32 = 64;

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Port {
    /// Calls from outside.
    Guard(u16),
    /// Calls from the pod's own application.
    Egress(u16),
}

/// A connection on its way from the control thread to a worker.
#[derive(Debug)]
pub struct Accepted {
    /// The socket, non-blocking.
    pub stream: StdStream,
    /// Who called.
    pub peer: SocketAddr,
    /// Which port was called.
    pub port: Port,
    /// Its place among all that may be open at once.
    pub permit: OwnedSemaphorePermit,
}

/// What all threads share.
pub struct Shared {
    /// The inbound half.
    pub guard: Arc<GuardState>,
    /// TLS on the guard's ports; none: they speak plain HTTP.
    pub tls: Option<Arc<GuardTls>>,
    /// The outbound half.
    pub egress: Arc<EgressState>,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// Tells everybody to finish.
    pub drain: Drain,
    /// Which decisions are recorded.
    pub audit: Audit,
    /// The file that they are recorded in.
    pub audit_log: Option<AuditLog>,
    /// The memory for request bodies that are read as a whole.
    pub bodies: Memory,
    /// How long an upstream may take to begin its answer.
    pub upstream_timeout: Duration,
    /// How long connections may take to finish once the drain has begun.
    pub drain_timeout: Duration,
}

/// One thread's belongings.
pub struct Worker {
    shared: Arc<Shared>,
    tokens: RefCell<TokenCache<Caller>>,
    loopback: RefCell<Vec<(u16, Rc<Pool>)>>,
    loopback_links: RefCell<Vec<(u16, Rc<Links>)>>,
    targets: RefCell<Vec<(u64, Rc<Pool>)>>,
    target_links: RefCell<Vec<(u64, Rc<Links>)>>,
    open: Cell<usize>,
    audit: Auditor,
    seen: Cell<u32>,
}

impl Worker {
    /// Starts a worker thread. It ends when `accepted` is closed and its
    /// connections have finished, or have had their time.
    pub fn start(
        index: usize,
        shared: Arc<Shared>,
        accepted: mpsc::UnboundedReceiver<Accepted>,
    ) -> io::Result<JoinHandle<()>> {
        let mut builder = Builder::new_current_thread();
        builder.enable_io().enable_time();
        thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            match builder.build_local(LocalOptions::default()) {
                Ok(runtime) => runtime.block_on(Self::run(shared, accepted)),
                Err(error) => tracing::error!(%error, "a worker could not start"),
            }
        })
    }

    async fn run(shared: Arc<Shared>, mut accepted: mpsc::UnboundedReceiver<Accepted>) {
        let audit = Auditor::new(shared.audit, shared.audit_log.as_ref().map(AuditLog::lines));
        let worker = Rc::new(Self {
            audit,
            seen: Cell::new(0),
            shared,
            tokens: RefCell::default(),
            loopback: RefCell::default(),
            loopback_links: RefCell::default(),
            targets: RefCell::default(),
            target_links: RefCell::default(),
            open: Cell::new(0),
        });
        let (finished, mut all_finished) = mpsc::unbounded_channel();
        while let Some(connection) = accepted.recv().await {
            worker.begin(connection, finished.clone());
        }
        drop(finished);
        // Closed once the last connection has dropped its sender.
        let _ = timeout(worker.shared.drain_timeout, all_finished.recv()).await;
        if worker.open.get() > 0 {
            tracing::warn!(connections = worker.open.get(), "connections were cut off at the end of the drain");
        }
    }

    fn begin(self: &Rc<Self>, accepted: Accepted, finished: mpsc::UnboundedSender<()>) {
        let Accepted { stream, peer, port, permit } = accepted;
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        let worker = Rc::clone(self);
        self.open.set(self.open.get() + 1);
        self.shared.metrics.connections.inc();
        spawn_local(async move {
            worker.converse(stream, peer, port).await;
            worker.open.set(worker.open.get() - 1);
            worker.shared.metrics.connections.dec();
            drop((permit, finished));
        });
    }

    async fn converse(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr, port: Port) {
        let drain = &self.shared.drain;
        if let (Port::Guard(_), Some(tls)) = (port, &self.shared.tls) {
            let Some((stream, is_http2)) = Box::pin(tls.accept(stream, drain)).await else { return };
            return Box::pin(self.serve(stream, is_http2, peer, port)).await;
        }
        match arrive(stream, drain).await {
            None => {}
            Some(Arrived::Http1(stream)) => self.serve(stream, false, peer, port).await,
            // On the heap: who speaks HTTP/1.1 need not carry their size.
            Some(Arrived::Rewound(stream)) => Box::pin(self.serve(stream, false, peer, port)).await,
            Some(Arrived::Http2(stream)) => Box::pin(self.serve(stream, true, peer, port)).await,
        }
    }

    async fn serve<S>(self: &Rc<Self>, stream: S, is_http2: bool, peer: SocketAddr, port: Port)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let flow = Flow::new();
        match port {
            Port::Guard(listen) => {
                let Some(handler) = self.guard_connection(&flow, peer, listen) else { return };
                self.speak(stream, is_http2, flow, handler).await;
            }
            Port::Egress(listen) => {
                let handler = self.egress_connection(&flow, listen);
                self.speak(stream, is_http2, flow, handler).await;
            }
        }
    }

    fn guard_connection(
        self: &Rc<Self>,
        flow: &Rc<Flow>,
        peer: SocketAddr,
        listen: u16,
    ) -> Option<Rc<GuardConnection>> {
        let (worker, guard, flow) = (Rc::clone(self), Arc::clone(&self.shared.guard), Rc::clone(flow));
        let peer = HeaderValue::from_str(&peer.ip().to_canonical().to_string()).ok()?;
        Some(Rc::new(GuardConnection { worker, guard, flow, listen, peer, last: LastToken::default() }))
    }

    fn egress_connection(self: &Rc<Self>, flow: &Rc<Flow>, listen: u16) -> Rc<EgressConnection> {
        let (worker, egress, flow) = (Rc::clone(self), Arc::clone(&self.shared.egress), Rc::clone(flow));
        Rc::new(EgressConnection { worker, egress, flow, listen })
    }

    async fn speak<S>(&self, stream: S, is_http2: bool, flow: Rc<Flow>, handler: Rc<impl Handler + 'static>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let drain = &self.shared.drain;
        match is_http2 {
            false => serve(stream, flow, handler, drain).await,
            true => Box::pin(h2::serve(stream, handler, drain)).await,
        }
    }

    /// Tokens verified on this thread. Never held over an await.
    pub fn tokens(&self) -> RefMut<'_, TokenCache<Caller>> {
        self.tokens.borrow_mut()
    }

    /// The audit log.
    pub fn audit(&self) -> &Auditor {
        &self.audit
    }

    /// Whether this request is one of those whose times are measured.
    pub fn samples(&self) -> bool {
        let seen = self.seen.get();
        self.seen.set(seen.wrapping_add(1));
        seen.is_multiple_of(SAMPLED)
    }

    /// The memory for request bodies that are read as a whole.
    pub fn bodies(&self) -> &Memory {
        &self.shared.bodies
    }

    /// How long an upstream may take to begin its answer.
    pub fn upstream_timeout(&self) -> Duration {
        self.shared.upstream_timeout
    }

    /// Connections to the application's port.
    pub fn loopback_pool(&self, port: u16) -> Rc<Pool> {
        kept(&mut self.loopback.borrow_mut(), port, || Pool::new(Origin::loopback(port)))
    }

    /// The same for calls of gRPC.
    pub fn loopback_links(&self, port: u16) -> Rc<Links> {
        kept(&mut self.loopback_links.borrow_mut(), port, || Links::new(Origin::loopback(port)))
    }

    /// Connections to a target.
    pub fn target_pool(&self, target: &TargetState) -> Rc<Pool> {
        let mut targets = self.targets.borrow_mut();
        self.forget_targets(&mut targets, target);
        kept(&mut targets, target.id(), || Pool::new(target.resource().origin().clone()))
    }

    /// The same for calls of gRPC.
    pub fn target_links(&self, target: &TargetState) -> Rc<Links> {
        let mut targets = self.target_links.borrow_mut();
        self.forget_targets(&mut targets, target);
        kept(&mut targets, target.id(), || Links::new(target.resource().origin().clone()))
    }

    /// Where `wanted` is new there is a new document: what is kept for targets that are no more need not stay.
    fn forget_targets<P>(&self, all: &mut Vec<(u64, Rc<P>)>, wanted: &TargetState) {
        if all.iter().any(|(id, _)| *id == wanted.id()) {
            return;
        }
        let view = self.shared.egress.view();
        if let EgressView::Active { targets: current, .. } = &**view {
            all.retain(|(id, _)| current.iter().any(|state| state.id() == *id));
        }
    }
}

fn kept<K: Copy + PartialEq, P>(all: &mut Vec<(K, Rc<P>)>, key: K, make: impl FnOnce() -> Rc<P>) -> Rc<P> {
    if let Some((_, known)) = all.iter().find(|(known, _)| *known == key) {
        return Rc::clone(known);
    }
    let made = make();
    all.push((key, Rc::clone(&made)));
    made
}
