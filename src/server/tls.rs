//! A TLS listener that serves one axum router over HTTP/1.1 and HTTP/2.

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{BoxError, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{Certificates, Error, Shutdown};

/// A client that has not finished its handshake by then is dropped.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A client that has not sent its request's head by then is dropped.
const HEAD: Duration = Duration::from_secs(10);
/// How long requests in flight may take once shutdown has begun.
const DRAIN: Duration = Duration::from_secs(20);
/// A pause after a failed accept (no file descriptors left), so as not to spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// HTTP/2 keep-alive: clients that vanished without a word are found.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Buffers of one connection: thousands of idle streams must stay cheap.
const BUFFER: usize = 16 * 1024;

/// A router served over TLS.
pub struct TlsServer {
    router: Router,
    acceptor: TlsAcceptor,
    http: Arc<Builder<TokioExecutor>>,
    connections: Arc<Semaphore>,
}

/// Listens on `address`.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })
}

impl TlsServer {
    /// Serves `router` with whatever certificate is current, on at most `connections` at one time.
    pub fn new(router: Router, certificates: Arc<Certificates>, connections: usize) -> Result<Self, Error> {
        let acceptor = TlsAcceptor::from(Arc::new(certificates.server_config()?));
        Ok(Self { router, acceptor, http: Arc::new(http()), connections: Arc::new(Semaphore::new(connections)) })
    }

    /// Accepts until shutdown, then lets requests in flight finish.
    pub async fn serve(self, listener: TcpListener, mut shutdown: Shutdown) {
        let graceful = GracefulShutdown::new();
        loop {
            let (stream, permit) = tokio::select! {
                accepted = self.accept(&listener) => accepted,
                () = shutdown.begun() => break,
            };
            tokio::spawn(self.connection(stream, permit, &graceful));
        }
        drop(listener);
        if timeout(DRAIN, graceful.shutdown()).await.is_err() {
            tracing::warn!("connections were still open at the end of the drain: cut");
        }
    }

    async fn accept(&self, listener: &TcpListener) -> (TcpStream, Option<OwnedSemaphorePermit>) {
        // The semaphore is never closed: an error cannot come, and would only mean no limit.
        let permit = Arc::clone(&self.connections).acquire_owned().await.ok();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return (stream, permit),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// What a connection does, from its first byte to its last. Streams stay for an hour, thousands of them: what they need
    /// only to begin with is on the heap until then, and they are as large as they have to be.
    fn connection(
        &self,
        stream: TcpStream,
        permit: Option<OwnedSemaphorePermit>,
        graceful: &GracefulShutdown,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (acceptor, http, watcher) = (self.acceptor.clone(), Arc::clone(&self.http), graceful.watcher());
        let service = TowerToHyperService::new(self.router.clone());
        async move {
            let _permit = permit;
            // Small answers must not wait for acknowledgements; a failure costs only speed.
            stream.set_nodelay(true).ok();
            match Box::pin(timeout(HANDSHAKE, acceptor.accept(stream))).await {
                Ok(Ok(tls)) => {
                    if let Err(error) = converse(&http, tls, service, watcher).await {
                        tracing::debug!(%error, "connection ended");
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake timed out"),
            }
        }
    }
}

type Conversation = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

fn converse(
    http: &Builder<TokioExecutor>,
    tls: TlsStream<TcpStream>,
    service: TowerToHyperService<Router>,
    watcher: Watcher,
) -> Conversation {
    Box::pin(watcher.watch(http.serve_connection(TokioIo::new(tls), service).into_owned()))
}

fn http() -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(BUFFER);
    http.http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .max_concurrent_streams(128)
        .max_header_list_size(BUFFER as u32)
        .max_send_buf_size(BUFFER);
    http
}

#[cfg(test)]
mod tests;
