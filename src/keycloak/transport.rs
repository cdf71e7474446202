//! Sending one request: limits, timeouts and the circuit breaker, for logins and calls alike.

use std::error::Error;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::{AGE, DATE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use url::Url;

use super::breaker::{Breaker, Closed};
use super::limiter::Limiter;
use crate::core::skew::{self, Skew};

/// How long a server may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// To take a connection, TLS included.
    pub connect: Duration,
    /// To answer a request to its last byte.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(15) }
    }
}

/// The largest answer that is read, in bytes. Far above the largest page.
const MAX_ANSWER: usize = 64 << 20;

/// Nothing that could be called an answer came.
#[derive(Clone, Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum TransportError {
    /// No connection.
    #[error("Keycloak at {server} cannot be reached ({reason}): check the URL, its Service and network policies")]
    Unreachable {
        /// Scheme, host and port.
        server: String,
        /// The system's words.
        reason: String,
    },
    /// A connection, but no trust.
    #[error("Keycloak at {server} is not trusted ({reason}): give the CA that signed its certificate")]
    Tls {
        /// Scheme, host and port.
        server: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// No answer in time. The request may have been carried out.
    #[error("Keycloak at {server} did not answer in time")]
    Timeout {
        /// Scheme, host and port.
        server: String,
    },
    /// The connection broke. The request may have been carried out.
    #[error("the connection to Keycloak at {server} broke ({reason})")]
    Broken {
        /// Scheme, host and port.
        server: String,
        /// The system's words.
        reason: String,
    },
    /// Nothing was sent: the server was down a moment ago. Says what was said then, so that a status that tells of it
    /// stays the same until something is new.
    #[error("{reason}")]
    Paused {
        /// When the next request is let through.
        retry_after: Duration,
        /// What went wrong the last time.
        reason: String,
    },
    /// Nothing was sent: the server answered a moment ago that it wants no more for now.
    #[error("Keycloak, or a gateway before it, asks for patience")]
    Patience {
        /// For how much longer.
        retry_after: Duration,
    },
}

/// An HTTP answer, read to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// The way to one server.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    server: String,
    breaker: Breaker,
    limiter: Limiter,
    /// This clock less the server's, in seconds; `i64::MIN`: unknown.
    skew: AtomicI64,
}

impl Transport {
    /// A way to `url` that also trusts `extra_roots`.
    pub fn new(
        url: &Url,
        extra_roots: Vec<Certificate>,
        limiter: Limiter,
        timeouts: Timeouts,
    ) -> Result<Self, reqwest::Error> {
        let builder = Client::builder()
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.answer)
            // A redirect would carry our token to wherever it points.
            .redirect(Policy::none())
            .user_agent(concat!("keywire/", env!("CARGO_PKG_VERSION")));
        // Without TLS a machine without any CA certificates must do.
        let builder = match url.scheme() {
            "https" => builder.tls_certs_merge(extra_roots),
            _ => builder.tls_certs_only(extra_roots),
        };
        let server = url.origin().ascii_serialization();
        let skew = AtomicI64::new(i64::MIN);
        Ok(Self { client: builder.build()?, server, breaker: Breaker::new(), limiter, skew })
    }

    /// The HTTP client, to build requests with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the server is taken for dead, and each change of that.
    pub fn is_down(&self) -> watch::Receiver<bool> {
        self.breaker.is_down()
    }

    /// How far this clock was from the server's at its last answer; `None`: nobody knows.
    pub fn skew(&self) -> Option<Skew> {
        match self.skew.load(Ordering::Relaxed) {
            i64::MIN => None,
            seconds => Some(Skew::of(seconds)),
        }
    }

    /// Sends a request and reads the answer, whatever its status.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer, TransportError> {
        // Asked before each wait: the server may die while thousands stand in line, and none of them is to be sent then.
        self.breaker.check()?;
        let place = self.limiter.place().await;
        self.breaker.check()?;
        self.limiter.rate(&place).await;
        self.breaker.admit()?;
        let before = Timestamp::now();
        let answer = read(request).await.map_err(|error| self.describe(&error));
        match &answer {
            Ok(answer) => {
                self.take_note(answer);
                self.note_skew(answer, before);
            }
            Err(error) => self.breaker.failed(&error.to_string()),
        }
        answer
    }

    fn note_skew(&self, answer: &Answer, before: Timestamp) {
        if let Some(date) = answer.date() {
            let skew = Skew::measured(before.as_second(), date, Timestamp::now().as_second());
            self.skew.store(skew.seconds(), Ordering::Relaxed);
        }
    }

    fn take_note(&self, answer: &Answer) {
        match (answer.status, answer.retry_after()) {
            (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE, Some(wait)) => {
                self.breaker.asked_for_patience(wait)
            }
            (status, _) if is_gateway_failure(status) => self.breaker.failed(&format!("status {status}")),
            _ => self.breaker.succeeded(),
        }
    }

    fn describe(&self, error: &reqwest::Error) -> TransportError {
        let server = self.server.clone();
        let reason = innermost(error);
        if caused_by_tls(error) {
            TransportError::Tls { server, reason }
        } else if error.is_connect() {
            TransportError::Unreachable { server, reason }
        } else if error.is_timeout() {
            TransportError::Timeout { server }
        } else {
            TransportError::Broken { server, reason }
        }
    }
}

impl TransportError {
    /// Whether the server cannot have seen the request.
    pub(super) fn was_not_sent(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

impl From<Closed> for TransportError {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Down { retry_after, reason } => Self::Paused { retry_after, reason },
            Closed::Patience { retry_after } => Self::Patience { retry_after },
        }
    }
}

impl Answer {
    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The time by the server's clock, in seconds since the epoch; `None` where the answer does not tell, or is a cache's.
    fn date(&self) -> Option<i64> {
        let date = self.headers.get(DATE).filter(|_| !self.headers.contains_key(AGE))?;
        skew::date(date.to_str().ok()?)
    }

    /// How long to wait, where the server says so, in seconds or as a date (RFC 9110, section 10.2.3).
    pub fn retry_after(&self) -> Option<Duration> {
        retry_after(self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim(), Timestamp::now())
    }
}

async fn read(request: RequestBuilder) -> Result<Answer, reqwest::Error> {
    let mut response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(Answer { status, headers, body })
}

fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(Duration::try_from(until.duration_since(now)).unwrap_or_default())
}

/// Keycloak is behind something that answers in its place.
fn is_gateway_failure(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The last cause says what happened; the outer ones repeat the URL.
fn innermost(error: &reqwest::Error) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn caused_by_tls(error: &reqwest::Error) -> bool {
    chain(error).any(is_tls)
}

/// TLS errors come wrapped into I/O errors, one into another, which as a source show only what is below the wrapped one.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    error.is::<rustls::Error>() || wrapped.is_some_and(|wrapped| is_tls(wrapped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_read_in_seconds_and_as_a_date() {
        let now: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        let cases = [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ];
        for (text, seconds) in cases {
            assert_eq!(retry_after(text, now), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
