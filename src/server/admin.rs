//! The admin port: `/livez`, `/readyz` and `/metrics`, plain HTTP.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;

use super::{Error, Readiness, Shutdown};

/// Serves probes and metrics until shutdown.
pub async fn serve_admin(
    listener: TcpListener,
    readiness: Readiness,
    registry: Arc<Registry>,
    shutdown: Shutdown,
) -> Result<(), Error> {
    let router = Router::new().route("/metrics", get(metrics)).with_state(registry).merge(probes(readiness));
    axum::serve(listener, router).with_graceful_shutdown(shutdown.into_begun()).await.map_err(Error::Admin)
}

/// `/livez` and `/readyz`.
pub(crate) fn probes(readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(async |State(readiness): State<Readiness>| ready(&readiness)))
        .with_state(readiness)
}

fn ready(readiness: &Readiness) -> Response {
    match readiness.missing().as_slice() {
        [] => "ok\n".into_response(),
        missing => (StatusCode::SERVICE_UNAVAILABLE, format!("waiting for {}\n", missing.join(", "))).into_response(),
    }
}

async fn metrics(State(registry): State<Arc<Registry>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &registry) {
        Ok(()) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
