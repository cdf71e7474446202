//! One incoming call: what it asks for, who asks, whether they may; then on.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, request::Parts};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    audit::Record,
    cors,
    identity::Caller,
    recognise::LastToken,
    refuse,
    state::{GuardState, PolicyState},
};
use crate::{
    core::{
        policy::{document::Protocol, resource::WELL_KNOWN},
        protocol::Wire,
    },
    proxy::{
        http::{
            answer::{Refusal, Shape},
            body::{AnswerBody, RequestBody},
            flow::Flow,
            grpc,
            serve::Handler,
        },
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
    async fn handle(&self, mut request: Request<Incoming>, started: Instant) -> Response<AnswerBody> {
        let is_call = grpc::is_call(request.version(), request.headers());
        let audit = self.worker.audit();
        let (cors, entry) = {
            let view = self.guard.view();
            (cors::Asked::of(&view, request.headers()), audit.begin(view.audit(), request.headers_mut()))
        };
        let mut steps = pin!(self.steps(request, started));
        // The thread works at other requests in between.
        let answered = poll_fn(|cx| {
            audit.enter(entry);
            steps.as_mut().poll(cx)
        })
        .await;
        let mut response = answered.unwrap_or_else(|refusal| {
            let shape = if is_call { Shape::Grpc } else { self.shape() };
            refusal.shaped(shape).into_response()
        });
        if let Some(cors) = cors {
            cors.write(&mut response);
        }
        response
    }

    fn too_slow(&self) -> Refusal {
        refuse::too_slow().shaped(self.shape())
    }

    fn patience(&self) -> Duration {
        self.worker.upstream_timeout()
    }

    fn rest(&self) {
        self.last.forget();
    }
}

impl GuardConnection {
    /// The head decides, the body where it must, then on.
    async fn steps(&self, request: Request<Incoming>, started: Instant) -> Result<Response<AnswerBody>, Refusal> {
        let (mut parts, body) = request.into_parts();
        let authorization = self.check(&mut parts)?;
        let sign_in = self.guard.view().sign_in.clone();
        match sign_in {
            Some(sign_in) => Box::pin(self.visit(sign_in, parts, body, authorization, started)).await,
            None => self.answer(parts, body, authorization, started).await,
        }
    }

    /// The same of a request of which it is known what token it has.
    pub(in crate::proxy) async fn answer(
        &self,
        parts: Parts,
        body: Incoming,
        authorization: Option<HeaderValue>,
        started: Instant,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let mut parts = parts;
        if let Some(answer) = self.own_answer(&parts) {
            return answer;
        }
        let admitted = self.admit(&parts, authorization.as_ref()).await;
        if self.worker.samples() {
            self.guard.metrics().decision_time.observe(started.elapsed().as_secs_f64());
        }
        let mut admitted = admitted?;
        match admitted.wire {
            Wire::Http => {}
            // Boxed: each connection keeps room for the largest of these, and most never need it.
            Wire::Grpc(messages) => {
                return Box::pin(self.call(parts, body, admitted, messages, authorization)).await;
            }
            Wire::WebSocket | Wire::Session => {
                return Box::pin(self.open(parts, &body, admitted, authorization)).await;
            }
        }
        let body = if admitted.is_in_body {
            Box::pin(self.read(&mut parts, body, &mut admitted, authorization.as_ref())).await?
        } else {
            RequestBody::Incoming(body)
        };
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

    /// What the guard answers itself, to whoever asks; `None`: it is for the application.
    fn own_answer(&self, parts: &Parts) -> Option<Result<Response<AnswerBody>, Refusal>> {
        if parts.uri.path().starts_with(WELL_KNOWN)
            && let Some(answer) = self.guard.view().metadata.as_ref().and_then(|metadata| metadata.answer(parts))
        {
            self.record("allowed", "metadata", &Record { route: Some(WELL_KNOWN), ..Record::default() });
            return Some(Ok(answer));
        }
        if parts.method != Method::OPTIONS {
            return None;
        }
        let answer = cors::preflight(&self.guard.view(), parts)?;
        if answer.is_ok() {
            self.record("allowed", "preflight", &Record::default());
        }
        Some(answer.map_err(|refusal| self.stop("denied", refusal)))
    }

    /// In what form the endpoint's clients expect an error.
    fn shape(&self) -> Shape {
        match &self.guard.view().policy {
            PolicyState::Active(policy) => match policy.protocol {
                Protocol::OpenAi => Shape::OpenAi,
                Protocol::TensorFlowServing => Shape::TensorFlowServing,
                Protocol::Mcp | Protocol::A2a => Shape::JsonRpc,
                Protocol::MlFlow => Shape::MlFlow,
                Protocol::OpenInference
                | Protocol::TorchServe
                | Protocol::Prefect
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
    pub(in crate::proxy) fn stop(&self, decision: &'static str, refusal: Refusal) -> Refusal {
        self.record(decision, refusal.reason(), &Record::default());
        refusal
    }

    /// Notes what a caller sent that cannot be taken for anything.
    pub(super) fn unreadable(&self, caller: &Caller, refusal: Refusal) -> Refusal {
        let principal = Some(&caller.verified.principal);
        self.record("refused", refusal.reason(), &Record { principal, ..Record::default() });
        refusal
    }

    /// Counts and audits a decision.
    pub(in crate::proxy) fn record(&self, decision: &'static str, reason: &'static str, record: &Record<'_>) {
        let permission = record.permission.unwrap_or_default();
        self.guard.view().counters.other(decision, reason, permission, record.models);
        self.worker.audit().write(&Record { decision, reason, ..*record });
    }
}
