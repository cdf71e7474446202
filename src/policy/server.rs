//! The stream's HTTP face: `GET /v1/{guard,egress,credential}/{namespace}/{name}?after=N`.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{
        HeaderMap, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    DocumentKey, DocumentKind,
    auth::{AuthError, Authenticator},
    contact::Contact,
    metrics::Metrics,
    store::{Documents, Version},
    stream::{LONGEST, Opening, lines},
    watch::Source,
};
use crate::{
    core::name::Ref,
    server::{Readiness, Shutdown, probes},
};

/// What a stream needs.
pub struct Streams {
    /// The documents.
    pub documents: Arc<Documents>,
    /// Where they come from.
    pub source: Source,
    /// Who asks.
    pub authenticator: Authenticator,
    /// What to count.
    pub metrics: Metrics,
    /// Whether this replica still hears of changes.
    pub contact: Arc<Contact>,
    /// Whether all documents are known.
    pub readiness: Readiness,
    /// Ends all streams.
    pub shutdown: Shutdown,
}

/// Why a request gets no stream.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
enum Refused {
    /// Who asks is not known.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A document of another namespace.
    #[error("a ServiceAccount may only follow the documents of its own namespace, which is {0}")]
    OtherNamespace(String),
    /// No such path.
    #[error(
        "no such path: /v1/guard/NAMESPACE/NAME, /v1/egress/NAMESPACE/NAME and /v1/credential/NAMESPACE/NAME are there"
    )]
    NotFound,
    /// `after` is no number.
    #[error("after must be the number of a document")]
    BadQuery,
    /// The API server does not answer this replica.
    #[error("this replica hears nothing from the API server, try again")]
    CutOff,
    /// The first list is not read yet.
    #[error("the documents are not read yet, try again")]
    NotReady,
}

#[derive(Deserialize)]
struct Resume {
    #[serde(default)]
    after: u64,
}

/// The routes of the policy stream.
pub fn router(streams: Streams) -> Router {
    let readiness = streams.readiness.clone();
    Router::new()
        .route("/v1/{kind}/{namespace}/{name}", get(follow))
        .fallback(async || Refused::NotFound.into_response())
        .with_state(Arc::new(streams))
        .merge(probes(readiness))
}

async fn follow(
    State(streams): State<Arc<Streams>>,
    Path((kind, namespace, name)): Path<(String, String, String)>,
    resume: Result<Query<Resume>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let object = Ref::new(namespace, name);
    match streams.open(&kind, object, resume, &headers).await {
        Ok(opening) => {
            let headers = [(CONTENT_TYPE, "application/x-ndjson"), (CACHE_CONTROL, "no-store")];
            (headers, Body::from_stream(lines(opening))).into_response()
        }
        Err(refused) => {
            streams.metrics.refused(refused.label());
            refused.into_response()
        }
    }
}

impl Streams {
    async fn open(
        &self,
        kind: &str,
        object: Ref,
        resume: Result<Query<Resume>, QueryRejection>,
        headers: &HeaderMap,
    ) -> Result<Opening, Refused> {
        // Who asks comes first: nobody learns anything before.
        let caller = self.authenticator.account(headers).await?;
        let after = resume.map_err(|_| Refused::BadQuery)?.after;
        let kind: DocumentKind = kind.parse().map_err(|_| Refused::NotFound)?;
        if caller.namespace != object.namespace {
            return Err(Refused::OtherNamespace(caller.namespace));
        }
        if !is_label(&object.name) {
            return Err(Refused::NotFound);
        }
        if !self.readiness.missing().is_empty() {
            return Err(Refused::NotReady);
        }
        if !self.contact.holds(Instant::now()) {
            return Err(Refused::CutOff);
        }
        let key = DocumentKey { kind, object };
        let subscription = self.documents.subscribe(key.clone());
        let unknown = subscription.versions.borrow().is_none();
        // Deleted while the client was away: it must hear of it, but only if that is sure.
        let gone = after > 0
            && unknown
            && kind != DocumentKind::Credential
            && self.source.confirm_absent(&key).await.is_some();
        Ok(Opening {
            account: caller.name,
            subscription,
            after,
            first: gone.then(|| Version::deleted_after(after)),
            connected: self.metrics.connected(kind),
            contact: Arc::clone(&self.contact),
            shutdown: self.shutdown.clone(),
            lasts: lasts(),
        })
    }
}

/// Between half and the whole of the longest time, so that streams do not all end at once.
fn lasts() -> Duration {
    // A `RandomState` differs each time: random enough to spread reconnections.
    let random = RandomState::new().build_hasher().finish();
    LONGEST / 2 + Duration::from_millis(random % LONGEST.as_secs().saturating_mul(500).max(1))
}

/// Whether this can be the name of one of our objects: it becomes part of a path to the API server.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

impl Refused {
    fn label(&self) -> &'static str {
        match self {
            Self::Auth(error) => error.into(),
            other => other.into(),
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Auth(AuthError::MissingToken | AuthError::InvalidToken) => StatusCode::UNAUTHORIZED,
            Self::Auth(AuthError::NotAServiceAccount) | Self::OtherNamespace(_) => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::BadQuery => StatusCode::BAD_REQUEST,
            Self::Auth(AuthError::Unavailable) | Self::NotReady | Self::CutOff => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let body = Json(json!({"error": self.label(), "message": self.to_string()}));
        match self.status() {
            status @ StatusCode::UNAUTHORIZED => (status, [(WWW_AUTHENTICATE, "Bearer")], body).into_response(),
            status @ StatusCode::SERVICE_UNAVAILABLE => (status, [(RETRY_AFTER, "1")], body).into_response(),
            status => (status, body).into_response(),
        }
    }
}

#[cfg(test)]
mod tests;
