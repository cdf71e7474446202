//! Opening connections: TCP, TLS where the URL says so, then HTTP/1.1.

use std::{io, sync::Arc, time::Duration};

use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use url::Url;

use super::{
    body::RequestBody,
    tls::{self, TlsError},
};

/// How long a connection may take to open, TLS included.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where to connect to.
#[derive(Clone, Debug)]
pub struct Origin {
    host: String,
    port: u16,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

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

    async fn connect(&self) -> Result<SendRequest<RequestBody>, ConnectError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| refine(&error))?;
        // Small requests must not wait for more; where it cannot be set, they do.
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => handshake(stream).await,
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                let stream = connector.connect(name.clone(), stream).await.map_err(|_| ConnectError::Tls)?;
                handshake(stream).await
            }
        }
    }
}

async fn handshake<S>(stream: S) -> Result<SendRequest<RequestBody>, ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| ConnectError::Refused)?;
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
