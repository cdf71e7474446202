//! Sockets: bound once, their connections dealt out to the workers in turn.
//!
//! One thread accepts for all workers. `SO_REUSEPORT` would do without it, but
//! would also let any process of the same user take a share of the guard's port.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::sleep,
};

use super::worker::{Accepted, Port, Shared};

/// The most connections open at once, both halves together.
const MAX_CONNECTIONS: usize = 10_000;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long to wait after a failed bind or accept (no descriptors left, say).
const PAUSE: Duration = Duration::from_millis(500);

/// Every socket of the data path.
pub struct Listeners {
    shared: Arc<Shared>,
    guard_address: IpAddr,
    workers: Mutex<Vec<mpsc::UnboundedSender<Accepted>>>,
    next: AtomicUsize,
    permits: Arc<Semaphore>,
    bound: Mutex<HashMap<Port, Bound>>,
}

struct Bound {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Listeners {
    /// No socket yet. The guard listens on `guard_address`, the egress half on
    /// loopback only.
    pub fn new(shared: Arc<Shared>, guard_address: IpAddr, workers: Vec<mpsc::UnboundedSender<Accepted>>) -> Arc<Self> {
        Arc::new(Self {
            shared,
            guard_address,
            workers: Mutex::new(workers),
            next: AtomicUsize::new(0),
            permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            bound: Mutex::default(),
        })
    }

    /// Binds a port, if it is not bound already.
    pub fn bind(self: &Arc<Self>, port: Port) -> io::Result<SocketAddr> {
        let mut bound = self.bound.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bound) = bound.get(&port) {
            return Ok(bound.address);
        }
        let listener = match port {
            Port::Guard(number) => listen(SocketAddr::new(self.guard_address, number))
                // No IPv6 on this node.
                .or_else(|error| match self.guard_address {
                    IpAddr::V6(any) if any.is_unspecified() && error.kind() != io::ErrorKind::AddrInUse => {
                        listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), number))
                    }
                    IpAddr::V4(_) | IpAddr::V6(_) => Err(error),
                })?,
            Port::Egress(number) => listen(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), number))?,
        };
        let address = listener.local_addr()?;
        tracing::info!(%address, ?port, "listening");
        let task = tokio::spawn(Arc::clone(self).accept(listener, port));
        bound.insert(port, Bound { address, task });
        Ok(address)
    }

    /// Binds ports that a document names. One that cannot be had is said loudly
    /// and tried again with the next document.
    pub fn bind_all(self: &Arc<Self>, ports: impl IntoIterator<Item = Port>) {
        for port in ports {
            if let Err(error) = self.bind(port) {
                tracing::error!(?port, %error, "a port named in the policy cannot be bound");
            }
        }
    }

    /// Closes every socket and tells the workers that no connection will follow.
    pub fn close(&self) {
        for (_, bound) in self.bound.lock().unwrap_or_else(PoisonError::into_inner).drain() {
            bound.task.abort();
        }
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, port: Port) {
        loop {
            let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    if let Err(error) = self.deal(stream, peer, port, permit) {
                        tracing::debug!(%error, "a connection was lost before it began");
                    }
                }
                Err(error) => {
                    tracing::warn!(?port, %error, "no connection can be accepted");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    fn deal(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        port: Port,
        permit: tokio::sync::OwnedSemaphorePermit,
    ) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let accepted = Accepted { stream: stream.into_std()?, peer, port, permit };
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if workers.is_empty() || self.shared.drain.begun() {
            return Ok(());
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % workers.len();
        // A worker that is gone has ended with the process's drain.
        let _ = workers[turn].send(accepted);
        Ok(())
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted sidecar must not wait for its old connections to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
