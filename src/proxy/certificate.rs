//! TLS on the guard's ports: a certificate and its key in two files, followed while they change.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    select,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    http::{flow::HEAD_TIMEOUT, serve::Drain},
    metrics::{HalfLabels, Metrics},
};
use crate::server::{CertificateError, Certificates};

/// The certificate's file, as a Secret of Kubernetes has it.
const CERTIFICATE: &str = "tls.crt";
/// Its key's.
const KEY: &str = "tls.key";
/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// TLS as the guard serves it.
pub struct GuardTls {
    certificates: Arc<Certificates>,
    acceptor: TlsAcceptor,
}

/// Why a pair was not taken. Never holds a part of the key.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum PairError {
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}")]
    Unreadable(&'static str, io::Error),
    /// They are no pair.
    #[error(transparent)]
    #[strum(transparent)]
    Certificate(#[from] CertificateError),
}

/// Two files of one pair, and what they were when they were last read.
pub struct Pair {
    directory: PathBuf,
    seen: Option<[Stamp; 2]>,
}

/// What tells two versions of a file apart: inode, size, modification time.
type Stamp = Option<(u64, u64, i64, i64)>;

impl GuardTls {
    /// Without a certificate yet: no handshake succeeds.
    pub fn new() -> Result<Self, rustls::Error> {
        let certificates = Arc::<Certificates>::default();
        let acceptor = TlsAcceptor::from(Arc::new(Arc::clone(&certificates).server_config()?));
        Ok(Self { certificates, acceptor })
    }

    /// What keeps it from serving, if anything.
    pub fn missing(&self) -> Option<String> {
        (!self.certificates.is_there()).then(|| "guard TLS certificate".to_owned())
    }

    /// Shakes hands with a client; `None`: it did not, or not in time. True: it speaks HTTP/2.
    pub async fn accept(&self, stream: TcpStream, drain: &Drain) -> Option<(TlsStream<TcpStream>, bool)> {
        let stream = select! {
            accepted = timeout(HEAD_TIMEOUT, self.acceptor.accept(stream)) => accepted.ok()?.ok()?,
            () = drain.wait() => return None,
        };
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Some((stream, is_http2))
    }
}

impl Pair {
    /// The pair in `directory`. It need not be there yet.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), seen: None }
    }

    /// Takes the pair if it is new since the last time. `None`: it is not.
    pub fn offer(&mut self, certificates: &Certificates) -> Option<Result<(), PairError>> {
        let stamps = [CERTIFICATE, KEY].map(|name| stamp(&self.directory.join(name)));
        (self.seen.replace(stamps) != Some(stamps)).then(|| self.take(certificates))
    }

    fn take(&self, certificates: &Certificates) -> Result<(), PairError> {
        let read = |name| fs::read(self.directory.join(name)).map_err(|error| PairError::Unreadable(name, error));
        Ok(certificates.replace(&read(CERTIFICATE)?, &read(KEY)?)?)
    }

    /// Whether the pair could be served with.
    pub fn check(&self) -> Result<(), PairError> {
        self.take(&Certificates::default())
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
}

/// Looks at the files for ever. A pair that is broken leaves the last good one in use, and is said so each time that it
/// changes.
pub async fn follow(mut pair: Pair, tls: Arc<GuardTls>, metrics: Arc<Metrics>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let directory = pair.directory.display().to_string();
        let result = match pair.offer(&tls.certificates) {
            None => continue,
            Some(Ok(())) => {
                tracing::info!(%directory, "the guard serves TLS with a new certificate");
                "taken"
            }
            Some(Err(error)) => {
                tracing::error!(%directory, %error, "the guard's new certificate is not taken; the last good one, if any, stays in use");
                (&error).into()
            }
        };
        metrics.certificates.get_or_create(&HalfLabels { half: "guard", result }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_pairs_are_taken() {
        let Ok(directory) = tempfile::tempdir() else { panic!("tempdir") };
        let write = |name: &str, text: &str| {
            let staged = directory.path().join("staged");
            fs::write(&staged, text).and_then(|()| fs::rename(&staged, directory.path().join(name))).is_ok()
        };
        let made = || match rcgen::generate_simple_self_signed(["a".to_owned()]) {
            Ok(made) => (made.cert.pem(), made.signing_key.serialize_pem()),
            Err(error) => panic!("{error}"),
        };
        let (certificates, mut pair) = (Certificates::default(), Pair::new(directory.path()));
        let mut offer = || pair.offer(&certificates).map(|result| result.map_err(|error| <&str>::from(&error)));
        assert_eq!(offer(), Some(Err("unreadable")));
        assert_eq!(offer(), None);
        let ((first, first_key), (second, second_key)) = (made(), made());
        assert!(write(CERTIFICATE, &first) && write(KEY, &first_key));
        assert_eq!(offer(), Some(Ok(())));
        assert!(write(CERTIFICATE, &second));
        assert_eq!(offer(), Some(Err("pair")));
        assert!(certificates.is_there());
        assert!(write(KEY, &second_key));
        assert_eq!(offer(), Some(Ok(())));
        assert_eq!(offer(), None);
    }
}
