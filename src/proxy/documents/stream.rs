//! Documents pushed by the operator: one long answer, a document per line, an
//! empty line as a sign of life.

use std::{
    fs,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{sleep, timeout};

use super::{Consumer, Intake, Numbered, Outcome};
use crate::{
    core::{name::Ref, policy::document::STREAM_CA_FILE},
    proxy::{
        http::{
            body::RequestBody,
            connect::{ConnectError, OriginError},
            fetch::Resource,
        },
        metrics::{HalfLabels, Metrics},
    },
};

/// A stream that says nothing for so long is dead; the operator speaks every 10 s.
const SILENCE: Duration = Duration::from_secs(30);
/// The waits before connecting again: doubled from the first up to the last, and jittered.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));
/// The longest line taken, in bytes.
const MAX_LINE: usize = 16 * 1024 * 1024;
/// The name of the stream's bearer token in the tokens directory.
const TOKEN_FILE: &str = "policy";

/// Where the stream is, and what it takes to get in.
#[derive(Clone, Debug)]
pub struct StreamSource {
    /// Base URL of the policy stream.
    pub url: String,
    /// The half's directory, with the CA.
    pub directory: PathBuf,
    /// The directory of the projected tokens.
    pub tokens: PathBuf,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum StreamError {
    /// No flag and no document says which object this proxy stands for.
    #[error("it is not known yet which object this proxy stands for")]
    NoIdentity,
    /// The CA file is not there.
    #[error("the stream's CA cannot be read")]
    NoCa,
    /// The projected token is not there, or holds what no header may.
    #[error("the token for the policy stream cannot be read")]
    NoToken,
    /// The URL cannot be used.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// 404: the operator does not know the object (any more). What is in force stays.
    #[error("the operator does not know this object")]
    NotFound,
    /// 401 or 403.
    #[error("the operator refused the token with status {0}")]
    Unauthorized(StatusCode),
    /// Any other status.
    #[error("the operator answered with status {0}")]
    Status(StatusCode),
    /// Nothing came for too long.
    #[error("the stream fell silent")]
    Silent,
    /// It broke, or came to its end.
    #[error("the stream ended")]
    Ended,
    /// A line beyond all bounds.
    #[error("a line of the stream is too long")]
    LineTooLong,
}

/// Follows the stream for ever; calls `applied` after each document put in force.
pub async fn follow<C: Consumer>(
    source: StreamSource,
    intake: Arc<Intake<C>>,
    metrics: Arc<Metrics>,
    applied: impl Fn(),
) {
    let half = C::Document::HALF;
    let count = |result| {
        metrics.streams.get_or_create(&HalfLabels { half, result }).inc();
    };
    let mut backoff = BACKOFF.0;
    loop {
        let mut lively = false;
        let Err(error) = once(&source, &intake, &applied, &mut lively, &count).await;
        count((&error).into());
        tracing::warn!(half, %error, "the policy stream is not connected");
        if lively {
            backoff = BACKOFF.0;
        }
        sleep(jittered(backoff)).await;
        backoff = (backoff * 2).min(BACKOFF.1);
    }
}

async fn once<C: Consumer>(
    source: &StreamSource,
    intake: &Intake<C>,
    applied: &impl Fn(),
    lively: &mut bool,
    count: &impl Fn(&'static str),
) -> Result<std::convert::Infallible, StreamError> {
    let mut body = timeout(SILENCE, connect(source, intake)).await.map_err(|_| StreamError::Silent)??;
    tracing::info!(half = C::Document::HALF, "the policy stream is connected");
    count("connected");
    let mut lines = Lines::default();
    loop {
        let frame = timeout(SILENCE, body.frame()).await.map_err(|_| StreamError::Silent)?;
        let frame = frame.and_then(Result::ok).ok_or(StreamError::Ended)?;
        *lively = true;
        let Ok(data) = frame.into_data() else { continue };
        for line in lines.push(&data)? {
            if intake.offer("stream", &line) == Outcome::Applied {
                applied();
            }
        }
    }
}

async fn connect<C: Consumer>(source: &StreamSource, intake: &Intake<C>) -> Result<Incoming, StreamError> {
    let identity = intake.consumer().identity().ok_or(StreamError::NoIdentity)?;
    let ca = fs::read_to_string(source.directory.join(STREAM_CA_FILE)).map_err(|_| StreamError::NoCa)?;
    let resource = Resource::new(&address(&source.url, C::Document::HALF, &identity, intake.number()), Some(&ca))?;
    let mut request = resource.request(Method::GET, RequestBody::Full(Bytes::new()));
    request.headers_mut().insert(header::AUTHORIZATION, bearer(source)?);
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/x-ndjson"));
    let mut sender = resource.origin().open().await?;
    let response = sender.send_request(request).await.map_err(|_| StreamError::Ended)?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        StatusCode::NOT_FOUND => Err(StreamError::NotFound),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(StreamError::Unauthorized(status)),
        status => Err(StreamError::Status(status)),
    }
}

/// Read anew each time: the kubelet replaces it well before it expires.
fn bearer(source: &StreamSource) -> Result<HeaderValue, StreamError> {
    let token = fs::read_to_string(source.tokens.join(TOKEN_FILE)).map_err(|_| StreamError::NoToken)?;
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.trim())).map_err(|_| StreamError::NoToken)?;
    value.set_sensitive(true);
    Ok(value)
}

fn address(base: &str, half: &str, identity: &Ref, after: u64) -> String {
    let Ref { namespace, name } = identity;
    format!("{}/v1/{half}/{namespace}/{name}?after={after}", base.trim_end_matches('/'))
}

/// Between half and the whole of `full`, so that proxies do not come all at once.
fn jittered(full: Duration) -> Duration {
    let random = RandomState::new().hash_one(0_u8) % 1000;
    full / 2 + full / 2 * u32::try_from(random).unwrap_or(0) / 1000
}

/// Bytes into lines; the empty ones are swallowed.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, StreamError> {
        self.0.extend_from_slice(bytes);
        let mut complete = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &self.0) {
            let rest = self.0.split_off(end + 1);
            let line = std::mem::replace(&mut self.0, rest);
            if !line.trim_ascii().is_empty() {
                complete.push(line);
            }
        }
        if self.0.len() > MAX_LINE { Err(StreamError::LineTooLong) } else { Ok(complete) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        for piece in ["{\"a\"", ":1}\n\n", "\n{}", "\n", "\r\n", "tail"] {
            found.extend(lines.push(piece.as_bytes()).unwrap_or_default());
        }
        assert_eq!(found, [b"{\"a\":1}\n".to_vec(), b"{}\n".to_vec()]);
    }

    #[test]
    fn a_line_without_end_is_cut_off() {
        let mut lines = Lines::default();
        assert!(lines.push(&vec![b'a'; MAX_LINE]).is_ok());
        assert!(matches!(lines.push(b"a"), Err(StreamError::LineTooLong)));
    }

    #[test]
    fn the_address_names_half_object_and_number() {
        let iris = Ref::new("vision", "iris");
        for base in ["https://policy:8443", "https://policy:8443/"] {
            assert_eq!(address(base, "guard", &iris, 7), "https://policy:8443/v1/guard/vision/iris?after=7");
        }
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        for _ in 0..100 {
            let wait = jittered(Duration::from_secs(2));
            assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&wait), "{wait:?}");
        }
    }
}
