//! Opening connections: TCP, TLS where the URL says so, then HTTP/1.1 or HTTP/2.

use std::{io, rc::Rc, sync::Arc, time::Duration};

use http::uri::Scheme;
use hyper::client::conn::{
    http1::{self, SendRequest},
    http2,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::spawn_local,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Url;

use super::{
    body::RequestBody,
    links::Load,
    local::Local,
    messages::CallBody,
    scan::MAX_HEAD,
    tls::{self, TlsError},
};

/// How much of an upstream's answer is buffered, at most, in bytes. hyper's own measure is six times that, which streams
/// fill.
const MAX_BUFFER: usize = 64 * 1024;
/// How long a connection may take to open, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How much of one answer may wait to be read, in bytes.
const STREAM_WINDOW: u32 = 128 << 10;
/// The same of all answers of a connection: no bound, so that a caller who does not read holds up nobody else's. Each
/// stream has its own.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// How much of one call may wait to be sent, in bytes.
const SEND_BUFFER: usize = 64 << 10;
/// How often a silent HTTP/2 upstream is asked whether it is there, and how long its answer may take.
const PING: Duration = Duration::from_secs(20);

/// Where to connect to.
#[derive(Clone, Debug)]
pub struct Origin {
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// A connection, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Why a URL is no place to connect to.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum OriginError {
    /// Neither http nor https, no host, or with a user name or fragment.
    #[error("{0:?} is no plain http:// or https:// URL")]
    InvalidUrl(String),
    /// TLS could not be configured.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Why no connection was had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ConnectError {
    /// Nobody listens, or the host is unreachable.
    #[error("the connection was refused")]
    Refused,
    /// Not within [`CONNECT_TIMEOUT`].
    #[error("the connection took too long to open")]
    Timeout,
    /// The host name does not resolve.
    #[error("the host name does not resolve")]
    UnknownHost,
    /// The certificate is not trusted, or the peer speaks no TLS.
    #[error("the TLS handshake failed")]
    Tls,
}

impl Origin {
    /// The application in the same pod.
    pub fn loopback(port: u16) -> Self {
        Self { host: "127.0.0.1".to_owned(), port, tls: None }
    }

    /// What HTTP/2 says of the connection.
    pub fn scheme(&self) -> Scheme {
        if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP }
    }

    fn is_loopback(&self) -> bool {
        self.host == "127.0.0.1"
    }

    /// The host of `url`, trusting `ca` (PEM) for https; `None`: the system's.
    pub fn of(url: &Url, ca: Option<&str>) -> Result<Self, OriginError> {
        let invalid = || OriginError::InvalidUrl(url.to_string());
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        let (Some(host), Some(port), true) = (url.host_str(), url.port_or_known_default(), plain) else {
            return Err(invalid());
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match url.scheme() {
            "http" => None,
            "https" => {
                let name = ServerName::try_from(host.clone()).map_err(|_| invalid())?;
                Some((tls::client(ca)?, name))
            }
            _ => return Err(invalid()),
        };
        Ok(Self { host, port, tls })
    }

    /// Opens a connection. Its driver runs as a task of its own until the
    /// returned handle is dropped.
    pub async fn open(&self) -> Result<SendRequest<RequestBody>, ConnectError> {
        timeout(CONNECT_TIMEOUT, self.connect()).await.map_err(|_| ConnectError::Timeout)?
    }

    /// The same for one request that may end HTTP/1.1 on its connection.
    pub async fn open_upgradable(&self) -> Result<SendRequest<RequestBody>, ConnectError> {
        let opening = async {
            let stream = self.stream(&[]).await?;
            let handshake = http1::Builder::new().max_buf_size(MAX_BUFFER).handshake(TokioIo::new(stream)).await;
            let (sender, connection) = handshake.map_err(|_| ConnectError::Refused)?;
            tokio::spawn(async { drop(connection.with_upgrades().await) });
            Ok(sender)
        };
        timeout(CONNECT_TIMEOUT, opening).await.map_err(|_| ConnectError::Timeout)?
    }

    /// Opens a connection of HTTP/2, whose server is known to speak it. It is driven on this thread.
    pub(super) async fn open_http2(&self, load: Rc<Load>) -> Result<http2::SendRequest<CallBody>, ConnectError> {
        let opening = async {
            let stream = self.stream(&[b"h2"]).await?;
            let handshake = http2::Builder::new(Local::default())
                .timer(TokioTimer::new())
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_send_buf_size(SEND_BUFFER)
                .max_header_list_size(MAX_HEAD as u32)
                // Not within the pod, where nothing gets lost: servers of gRPC end a call that is pinged often.
                .keep_alive_interval(if self.is_loopback() { None } else { Some(PING) })
                .keep_alive_timeout(PING)
                .handshake(TokioIo::new(stream))
                .await;
            let (sender, connection) = handshake.map_err(|_| ConnectError::Refused)?;
            spawn_local(load.follow(connection, http2::Connection::current_max_send_streams));
            Ok(sender)
        };
        timeout(CONNECT_TIMEOUT, opening).await.map_err(|_| ConnectError::Timeout)?
    }

    async fn connect(&self) -> Result<SendRequest<RequestBody>, ConnectError> {
        let stream = self.tcp().await?;
        match &self.tls {
            None => handshake(stream).await,
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                let stream = connector.connect(name.clone(), stream).await.map_err(|_| ConnectError::Tls)?;
                handshake(stream).await
            }
        }
    }

    async fn tcp(&self) -> Result<TcpStream, ConnectError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| refine(&error))?;
        // Small requests must not wait for more; where it cannot be set, they do.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// A connection on which `protocols` are offered, where it is one of TLS.
    async fn stream(&self, protocols: &[&[u8]]) -> Result<Box<dyn Stream>, ConnectError> {
        let stream = self.tcp().await?;
        let Some((config, name)) = &self.tls else { return Ok(Box::new(stream)) };
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector.connect(name.clone(), stream).await.map_err(|_| ConnectError::Tls)?;
        Ok(Box::new(stream))
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<RequestBody>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = http1::Builder::new().max_buf_size(MAX_BUFFER).handshake(TokioIo::new(stream)).await;
    let (sender, connection) = handshake.map_err(|_| ConnectError::Refused)?;
    // Its errors reach whoever waits for the answer.
    tokio::spawn(async { drop(connection.await) });
    Ok(sender)
}

fn refine(error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::TimedOut => ConnectError::Timeout,
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::ConnectionReset => ConnectError::Refused,
        _ => ConnectError::UnknownHost,
    }
}
