//! One request, one bounded answer, one connection: for key sets and tokens.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;
use url::Url;

use super::{
    body::RequestBody,
    connect::{ConnectError, Origin, OriginError},
};
use crate::core::skew;

/// How long a whole exchange may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer taken, in bytes.
const MAX_ANSWER: usize = 256 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FetchError {
    /// The URL cannot be used.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Not within the time allowed.
    #[error("no answer came in time")]
    Timeout,
    /// Broken off, not HTTP, or too large.
    #[error("the answer broke off or is too large")]
    Broken,
}

/// What came.
#[derive(Debug)]
pub struct Fetched {
    /// The status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Bytes,
    /// The time by the server's clock, in seconds since the epoch; `None` where the answer does not tell, or is a cache's.
    pub date: Option<i64>,
}

/// A place to fetch from, and its URL.
#[derive(Clone, Debug)]
pub struct Resource {
    origin: Origin,
    target: http::Uri,
    host: HeaderValue,
}

impl Resource {
    /// Parses `url`; `ca` as in [`Origin::of`].
    pub fn new(url: &str, ca: Option<&str>) -> Result<Self, OriginError> {
        let invalid = || OriginError::InvalidUrl(url.to_owned());
        let parsed = Url::parse(url).map_err(|_| invalid())?;
        let origin = Origin::of(&parsed, ca)?;
        let target = &parsed[url::Position::BeforePath..url::Position::AfterQuery];
        let authority = &parsed[url::Position::BeforeHost..url::Position::AfterPort];
        Ok(Self {
            origin,
            target: target.parse().map_err(|_| invalid())?,
            host: HeaderValue::from_str(authority).map_err(|_| invalid())?,
        })
    }

    /// The value for `Host`: what the URL says, port and all.
    pub fn host(&self) -> &HeaderValue {
        &self.host
    }

    /// Whether the URL has neither path nor query.
    pub fn is_root(&self) -> bool {
        self.target == "/"
    }

    /// Where to connect.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// GETs it.
    pub async fn get(&self) -> Result<Fetched, FetchError> {
        self.exchange(self.request(Method::GET, RequestBody::Full(Bytes::new()))).await
    }

    /// POSTs a form to it. The form may hold a credential, so it is never shown.
    pub async fn post_form(&self, form: String) -> Result<Fetched, FetchError> {
        let mut request = self.request(Method::POST, RequestBody::Full(form.into()));
        let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, form_type);
        self.exchange(request).await
    }

    /// A request for it, with `Host` set.
    pub fn request(&self, method: Method, body: RequestBody) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.uri_mut() = self.target.clone();
        request.headers_mut().insert(header::HOST, self.host.clone());
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request
    }

    async fn exchange(&self, request: Request<RequestBody>) -> Result<Fetched, FetchError> {
        timeout(TIMEOUT, async {
            let mut sender = self.origin.open().await?;
            let response = sender.send_request(request).await.map_err(|_| FetchError::Broken)?;
            let (status, date) = (response.status(), date(response.headers()));
            let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
            Ok(Fetched { status, body: body.map_err(|_| FetchError::Broken)?.to_bytes(), date })
        })
        .await
        .map_err(|_| FetchError::Timeout)?
    }
}

/// A cache hands on the date of an answer that it stored, and says its age (RFC 9111, section 5.1).
fn date(headers: &HeaderMap) -> Option<i64> {
    let date = headers.get(header::DATE).filter(|_| !headers.contains_key(header::AGE))?;
    skew::date(date.to_str().ok()?)
}
