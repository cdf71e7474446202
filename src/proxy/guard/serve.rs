//! One incoming call: what it asks for, who asks, whether they may; then on.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderValue, Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    audit::Record,
    recognise::LastToken,
    refuse,
    state::{GuardState, PolicyState},
};
use crate::{
    core::{policy::document::Protocol, protocol::Wire},
    proxy::{
        http::{
            answer::{Refusal, Shape},
            body::AnswerBody,
            flow::Flow,
            grpc,
            serve::Handler,
        },
        metrics::DecisionLabels,
        worker::Worker,
    },
};

/// One connection from outside.
pub struct GuardConnection {
    /// The thread's belongings.
    pub worker: Rc<Worker>,
    /// The guard.
    pub guard: Arc<GuardState>,
    /// The connection's state.
    pub flow: Rc<Flow>,
    /// The guard's port that was called.
    pub listen: u16,
    /// The caller's address, ready for the application.
    pub peer: HeaderValue,
    /// The token of the request before.
    pub last: LastToken,
}

impl Handler for GuardConnection {
    async fn handle(&self, request: Request<Incoming>, started: Instant) -> Response<AnswerBody> {
        let is_call = grpc::is_call(request.version(), request.headers());
        self.steps(request, started).await.unwrap_or_else(|refusal| {
            let shape = if is_call { Shape::Grpc } else { self.shape() };
            refusal.shaped(shape).into_response()
        })
    }

    fn too_slow(&self) -> Refusal {
        refuse::too_slow().shaped(self.shape())
    }

    fn patience(&self) -> Duration {
        self.worker.upstream_timeout()
    }
}

impl GuardConnection {
    /// The head decides, the body where it must, then on.
    async fn steps(&self, request: Request<Incoming>, started: Instant) -> Result<Response<AnswerBody>, Refusal> {
        let (mut parts, body) = request.into_parts();
        let mut admitted = self.admit(&mut parts).await?;
        match admitted.wire {
            Wire::Http => {}
            Wire::Grpc(messages) => return self.call(parts, body, admitted, messages).await,
            Wire::WebSocket => return self.open(parts, &body, admitted).await,
        }
        let body = self.read(&mut parts, body, &mut admitted).await?;
        self.forward(parts, body, admitted, started).await
    }

    /// The same, for what goes on once a request has been answered.
    pub(super) fn detached(&self) -> Self {
        Self {
            worker: Rc::clone(&self.worker),
            guard: Arc::clone(&self.guard),
            flow: Flow::new(),
            listen: self.listen,
            peer: self.peer.clone(),
            last: LastToken::default(),
        }
    }

    /// In what form the endpoint's clients expect an error.
    fn shape(&self) -> Shape {
        match &self.guard.view().policy {
            PolicyState::Active(policy) => match policy.protocol {
                Protocol::OpenAi => Shape::OpenAi,
                Protocol::TensorFlowServing => Shape::TensorFlowServing,
                Protocol::OpenInference
                | Protocol::TorchServe
                | Protocol::Mcp
                | Protocol::A2a
                | Protocol::Prefect
                | Protocol::MlFlow
                | Protocol::Ray
                | Protocol::Dagster
                | Protocol::Grpc
                | Protocol::Http => Shape::Plain,
            },
            PolicyState::Missing | PolicyState::Deleted => Shape::Plain,
        }
    }

    /// Notes what failed behind the guard.
    pub(super) fn failed(&self, refusal: Refusal) -> Refusal {
        self.record("failed", refusal.reason(), &Record::default());
        refusal
    }

    /// Notes what the guard itself said no to.
    pub(super) fn stop(&self, decision: &'static str, refusal: Refusal) -> Refusal {
        self.record(decision, refusal.reason(), &Record::default());
        refusal
    }

    /// Counts and audits a decision.
    pub(super) fn record(&self, decision: &'static str, reason: &'static str, record: &Record<'_>) {
        let permission = record.permission.unwrap_or_default().to_owned();
        self.guard.metrics().decisions.get_or_create(&DecisionLabels { decision, reason, permission }).inc();
        self.worker.audit().write(&Record { decision, reason, ..*record });
    }
}
