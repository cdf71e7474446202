//! The webhook's HTTP face: `/mutate`, `/livez` and `/readyz`.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use kube::core::{
    DynamicObject,
    admission::{AdmissionRequest, AdmissionResponse, AdmissionReview},
};
use serde_json::Value;

use super::{InjectSettings, metrics::Metrics, review::review, watch::Caches};
use crate::server::{Readiness, probes};

/// A pod is at most 1.5 MiB in etcd; a review holds it twice at most.
const BODY: usize = 8 * 1024 * 1024;

/// What a review needs.
#[derive(Debug)]
pub struct Webhook {
    /// The caches.
    pub caches: Arc<Caches>,
    /// What to inject.
    pub settings: InjectSettings,
    /// What to count.
    pub metrics: Metrics,
    /// Whether the caches are whole.
    pub readiness: Readiness,
}

/// The routes of the webhook.
pub fn router(webhook: Webhook) -> Router {
    let readiness = webhook.readiness.clone();
    Router::new()
        .route("/mutate", post(mutate))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(Arc::new(webhook))
        .merge(probes(readiness))
}

async fn mutate(State(webhook): State<Arc<Webhook>>, Json(body): Json<AdmissionReview<DynamicObject>>) -> Response {
    // With half-filled caches "not selected" would be a guess. An error is none: the
    // ValidatingAdmissionPolicy then refuses the pods of endpoints.
    if !webhook.readiness.missing().is_empty() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the webhook's caches are not filled yet").into_response();
    }
    let Ok(request) = TryInto::<AdmissionRequest<DynamicObject>>::try_into(body) else {
        return (StatusCode::BAD_REQUEST, "an AdmissionReview without a request").into_response();
    };
    let started = Instant::now();
    let (response, outcome) = review(&request, webhook.caches.as_ref(), &webhook.settings);
    webhook.metrics.reviewed(outcome, started.elapsed());
    let (namespace, name) = (request.namespace.as_deref().unwrap_or_default(), pod_name(&request));
    if response.allowed {
        tracing::debug!(namespace, name, outcome, "reviewed");
    } else {
        tracing::info!(namespace, name, outcome, reason = response.result.message, "refused");
    }
    Json(answer(response)).into_response()
}

/// The answer with its patch as the API server's own clients write bytes: in base64, a third of the library's list of numbers.
fn answer(mut response: AdmissionResponse) -> Value {
    let patch = response.patch.take().map(|patch| STANDARD.encode(patch));
    // Strings, numbers and lists always serialise; an answer without any of them would refuse the pod.
    let mut answer = serde_json::to_value(response.into_review()).unwrap_or_default();
    if let Some(patch) = patch {
        answer["response"]["patch"] = Value::String(patch);
    }
    answer
}

fn pod_name(request: &AdmissionRequest<DynamicObject>) -> &str {
    let metadata = request.object.as_ref().map(|object| &object.metadata);
    metadata.and_then(|m| m.name.as_deref().or(m.generate_name.as_deref())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_written_as_bytes_are() {
        let mut patched = AdmissionResponse::invalid("x");
        patched.patch = Some(b"[]".to_vec());
        assert_eq!(answer(patched)["response"]["patch"], "W10=");
        assert_eq!(answer(AdmissionResponse::invalid("x"))["response"].get("patch"), None);
    }
}
