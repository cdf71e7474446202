//! The admin port: alive, ready, counters, and what is in force. No secrets.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{app_probes::AppProbes, egress::state::EgressView, guard::state::PolicyState, worker::Shared};
use crate::{
    core::{app_probe, policy::cors::Origins},
    telemetry::metrics,
};

/// How long a scraper may take for its request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// What the admin port tells of.
pub struct Admin {
    /// The halves and their counters.
    pub shared: Arc<Shared>,
    /// Whether the guard was asked for.
    pub guard: bool,
    /// Whether the egress half was.
    pub egress: bool,
    /// Probes of the application that are made here.
    pub probes: AppProbes,
}

impl Admin {
    /// Binds the port and serves it until the runtime ends.
    pub async fn start(self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        tokio::spawn(Arc::new(self).serve(listener));
        Ok(bound)
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(500)).await;
                continue;
            };
            let admin = Arc::clone(&self);
            let service = service_fn(move |request| {
                let admin = Arc::clone(&admin);
                async move { Ok::<_, Infallible>(admin.answer(&request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(16 * 1024)
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async { drop(connection.await) });
        }
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET is served here\n".to_owned());
        }
        match request.uri().path() {
            // It answers only once the sockets of the command line are bound.
            "/livez" => text(StatusCode::OK, "text/plain", "ok\n".to_owned()),
            "/readyz" => self.ready(),
            "/metrics" => {
                self.shared.guard.observe();
                let taken = i64::try_from(self.shared.bodies.taken()).unwrap_or(i64::MAX);
                self.shared.metrics.body_bytes.set(taken);
                text(StatusCode::OK, metrics::CONTENT_TYPE, metrics::render(self.shared.metrics.registry()))
            }
            "/config" => text(StatusCode::OK, "application/json", format!("{}\n", self.config())),
            path if path.starts_with(app_probe::PREFIX) => match self.probes.answer(path).await {
                Some((status, words)) => text(status, "text/plain", words),
                None => text(StatusCode::NOT_FOUND, "text/plain", "no such probe of the application's\n".to_owned()),
            },
            _ => text(StatusCode::NOT_FOUND, "text/plain", "try /livez, /readyz, /metrics or /config\n".to_owned()),
        }
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let mut missing = Vec::new();
        if self.guard {
            missing.extend(self.shared.guard.missing());
            missing.extend(self.shared.tls.iter().filter_map(|tls| tls.missing()));
        }
        if self.egress {
            missing.extend(self.shared.egress.missing());
        }
        if self.shared.drain.begun() {
            missing.push("nothing: shutting down".to_owned());
        }
        if missing.is_empty() {
            let warnings = self.shared.guard.warnings().into_iter().map(|warning| format!("but {warning}\n"));
            return text(StatusCode::OK, "text/plain", std::iter::once("ok\n".to_owned()).chain(warnings).collect());
        }
        text(StatusCode::SERVICE_UNAVAILABLE, "text/plain", format!("waiting for: {}\n", missing.join(", ")))
    }

    fn config(&self) -> Value {
        let guard = match &self.shared.guard.view().policy {
            PolicyState::Missing => json!({"state": "missing"}),
            PolicyState::Deleted => json!({"state": "deleted"}),
            PolicyState::Active(policy) => json!({
                "state": "active",
                "number": policy.number,
                "endpoint": policy.endpoint,
                "audience": policy.audience,
                "protocol": policy.protocol,
                "issuers": policy.issuers.iter().map(|trusted| &trusted.issuer).collect::<Vec<_>>(),
                "warnings": self.shared.guard.warnings(),
                "notBefore": policy.issuers.iter().map(|trusted| trusted.not_before).collect::<Vec<_>>(),
                "listeners": policy.listeners,
                "resource": policy.resource.as_ref().map(|resource| &resource.url),
                "cors": policy.cors.as_ref().map(Origins::all),
                "introspection": policy.introspection.as_ref().map(|introspection| &introspection.url),
                "limits": policy.limits.map(|limits| limits.source),
            }),
        };
        let egress = match &**self.shared.egress.view() {
            EgressView::Missing => json!({"state": "missing"}),
            EgressView::Deleted => json!({"state": "deleted"}),
            EgressView::Active { identity, targets } => json!({
                "state": "active",
                "number": self.shared.metrics.egress_number.get(),
                "identity": identity,
                "targets": targets.iter().map(|state| json!({
                    "endpoint": state.target().endpoint,
                    "listen": state.target().listen,
                    "upstream": state.target().upstream,
                })).collect::<Vec<_>>(),
            }),
        };
        let credentials = self.shared.egress.credentials();
        // Their numbers: who made them waits for the newest to be used.
        let credential =
            (credentials.newest() > 0).then(|| json!({"newest": credentials.newest(), "used": credentials.used()}));
        let process = json!({
            "audit": {"decisions": format!("{:?}", self.shared.audit).to_lowercase(), "file": self.shared.audit_log.is_some()},
            "upstreamTimeout": self.shared.upstream_timeout.as_secs(),
            "drain": self.shared.drain_timeout.as_secs(),
        });
        json!({"version": env!("CARGO_PKG_VERSION"), "process": process, "guard": guard, "egress": egress, "credential": credential})
    }
}

fn text(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
