//! One incoming call: what it asks for, who asks, whether they may; then on.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header::CONTENT_LENGTH, request::Parts};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    audit::Record,
    content::{self, Content},
    identity::{self, Caller},
    recognise::LastToken,
    refuse,
    state::{GuardState, PolicyState, View},
};
use crate::{
    core::{
        body::listing::Listing,
        path::{self, CanonicalPath},
        policy::{compiled::CompiledPolicy, decide, document::Protocol},
        protocol::{ModelUse, Need, Route},
    },
    proxy::{
        http::{
            answer::{Refusal, Shape},
            body::{AnswerBody, RequestBody},
            collect::{self, collect},
            flow::Flow,
            hygiene,
            pool::UpstreamError,
            serve::Handler,
        },
        metrics::DecisionLabels,
        tokens::{
            jwks::Issuer,
            verify::{Trust, VerifyError},
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

/// A call that may pass, as far as its head tells.
struct Admitted {
    port: u16,
    caller: Option<Rc<Caller>>,
    endpoint: Option<HeaderValue>,
    /// The body names the model, which decides.
    is_model_in_body: bool,
    /// What its answer lists.
    listing: Option<Listing>,
}

/// A call that may not, or not yet.
enum Stop {
    Refused(Refusal),
    /// The token's key is unknown: this issuer's keys may be older than it.
    FetchKeys(Arc<Issuer>),
}

impl Stop {
    /// For where no keys are fetched: the second time an unknown key is a refusal.
    fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::FetchKeys(_) => refuse::no_policy(),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Handler for GuardConnection {
    async fn handle(&self, request: Request<Incoming>, started: Instant) -> Response<AnswerBody> {
        let (mut parts, body) = request.into_parts();
        let answered = match self.admit(&mut parts).await {
            Ok(admitted) => self.pass(parts, body, admitted, started).await,
            Err(refusal) => Err(refusal),
        };
        answered.unwrap_or_else(|refusal| refusal.shaped(self.shape()).into_response())
    }

    fn too_slow(&self) -> Refusal {
        refuse::too_slow().shaped(self.shape())
    }

    fn patience(&self) -> Duration {
        self.worker.upstream_timeout()
    }
}

impl GuardConnection {
    async fn admit(&self, parts: &mut Parts) -> Result<Admitted, Refusal> {
        let authorization = self.check_form(parts).inspect_err(|refusal| {
            self.record("refused", refusal.reason(), &Record::default());
        })?;
        match self.decide(parts, authorization.as_ref(), true) {
            Ok(admitted) => Ok(admitted),
            Err(Stop::Refused(refusal)) => Err(refusal),
            Err(Stop::FetchKeys(issuer)) => {
                issuer.refresh().await;
                self.decide(parts, authorization.as_ref(), false).map_err(Stop::into_refusal)
            }
        }
    }

    /// Refuses what has two readings; takes out what must not go on.
    fn check_form(&self, parts: &mut Parts) -> Result<Option<HeaderValue>, Refusal> {
        if let Some(violation) = self.flow.violation() {
            return Err(ambiguous(violation.into(), &violation));
        }
        let authorization =
            hygiene::clean_request(&mut parts.headers).map_err(|error| ambiguous((&error).into(), &error))?;
        path::check_query(parts.uri.query()).map_err(|error| ambiguous(error.into(), &error))?;
        if parts.uri.query().is_some_and(has_token) {
            let message = "Refused: a token belongs in the Authorization header, not in the URL.";
            return Err(Refusal::ambiguous("token_in_query", message));
        }
        CanonicalPath::parse(parts.uri.path()).map_err(|error| ambiguous(error.into(), &error))?;
        Ok(authorization)
    }

    fn policy<'v>(&self, view: &'v View) -> Result<&'v CompiledPolicy, Stop> {
        match &view.policy {
            PolicyState::Active(policy) => Ok(policy),
            PolicyState::Missing => Err(self.stop("unavailable", refuse::no_policy())),
            PolicyState::Deleted => Err(self.stop("denied", refuse::deleted())),
        }
    }

    fn decide(&self, parts: &Parts, authorization: Option<&HeaderValue>, may_fetch: bool) -> Result<Admitted, Stop> {
        let view = self.guard.view();
        let policy = self.policy(&view)?;
        let (Some(trust), Some(port)) = (&view.trust, policy.upstream(self.listen)) else {
            return Err(self.stop("unavailable", refuse::port_not_served()));
        };
        // Parsed before, without a copy: parsing again is cheaper than carrying it along.
        let path = CanonicalPath::parse(parts.uri.path())
            .map_err(|error| self.stop("refused", ambiguous(error.into(), &error)))?;
        let route = policy.route(parts.method.as_str(), path);
        if let Some(Route { need: Need::Public, name, .. }) = &route {
            self.record("allowed", "public", &Record { route: Some(name), ..Record::default() });
            return Ok(Admitted { port, caller: None, endpoint: None, is_model_in_body: false, listing: None });
        }
        let caller = self.authenticate(policy, trust, authorization, may_fetch)?;
        let is_model_in_body = matches!(&route, Some(Route { models: ModelUse::InBody(_), .. }));
        self.authorize(&view, policy, &caller, route.as_ref())?;
        let listing = route.and_then(|route| route.listing);
        Ok(Admitted { port, caller: Some(caller), endpoint: view.endpoint.clone(), is_model_in_body, listing })
    }

    /// The body, where the decision needs it, and on.
    async fn pass(
        &self,
        mut parts: Parts,
        body: Incoming,
        admitted: Admitted,
        started: Instant,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let body = match (admitted.is_model_in_body, &admitted.caller) {
            (false, _) => RequestBody::Incoming(body),
            (true, Some(caller)) => {
                let body = self.read(&parts, body, caller).await?;
                parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
                RequestBody::Full(body)
            }
            // Not reached: whoever needs no token needs no model either.
            (true, None) => return Err(refuse::no_policy()),
        };
        self.forward(parts, body, admitted, started).await
    }

    /// Reads the body and decides with the model in it, by the policy that is in force by then.
    async fn read(&self, parts: &Parts, body: Incoming, caller: &Caller) -> Result<Bytes, Refusal> {
        let noted = |refusal: Refusal| {
            let principal = Some(&caller.verified.principal);
            self.record("refused", refusal.reason(), &Record { principal, ..Record::default() });
            refusal
        };
        content::check_head(parts).map_err(noted)?;
        let body = collect(body, collect::MAX_REQUEST).await.map_err(|error| noted(refuse::collect(error)))?;
        let view = self.guard.view();
        let policy = self.policy(&view).map_err(Stop::into_refusal)?;
        let path = CanonicalPath::parse(parts.uri.path()).map_err(|error| noted(ambiguous(error.into(), &error)))?;
        let (route, body) = match policy.route(parts.method.as_str(), path) {
            Some(Route { models: ModelUse::InBody(place), name, need, listing }) => {
                let Content { model, body } = content::read(body, place, policy).map_err(noted)?;
                (Some(Route { models: model, name, need, listing }), body)
            }
            // The policy is another one by now, and says by itself what this route touches.
            other => (other, body),
        };
        self.authorize(&view, policy, caller, route.as_ref()).map_err(Stop::into_refusal)?;
        Ok(body)
    }

    /// In what form the endpoint's clients expect an error.
    fn shape(&self) -> Shape {
        match &self.guard.view().policy {
            PolicyState::Active(policy) => match policy.protocol {
                Protocol::OpenAi => Shape::OpenAi,
                Protocol::TensorFlowServing => Shape::TensorFlowServing,
                Protocol::OpenInference | Protocol::Http => Shape::Plain,
            },
            PolicyState::Missing | PolicyState::Deleted => Shape::Plain,
        }
    }

    fn authenticate(
        &self,
        policy: &CompiledPolicy,
        trust: &Trust,
        authorization: Option<&HeaderValue>,
        may_fetch: bool,
    ) -> Result<Rc<Caller>, Stop> {
        let Some(authorization) = authorization else {
            return Err(self.stop("denied", refuse::no_token(policy)));
        };
        let now = self.guard.clock().now();
        self.last.recognise(trust, authorization.as_bytes(), now, &self.worker, self.guard.metrics()).map_err(|error| {
            match (error, may_fetch) {
                (VerifyError::UnknownKey(issuer), true) if trust.issuers.len() > issuer => {
                    Stop::FetchKeys(Arc::clone(&trust.issuers[issuer].issuer))
                }
                _ => {
                    let refusal = refuse::token(policy, &error);
                    let unavailable = refusal.status() == StatusCode::SERVICE_UNAVAILABLE;
                    let decision = if unavailable { "unavailable" } else { "denied" };
                    self.record(decision, error.reason(), &Record::default());
                    Stop::Refused(refusal)
                }
            }
        })
    }

    fn authorize(
        &self,
        view: &View,
        policy: &CompiledPolicy,
        caller: &Caller,
        route: Option<&Route<'_>>,
    ) -> Result<(), Stop> {
        let principal = &caller.verified.principal;
        let Some(Route { need: Need::Permission(permission), models, name, .. }) = route else {
            let refusal = refuse::unknown_route(policy);
            self.record("denied", refusal.reason(), &Record { principal: Some(principal), ..Record::default() });
            return Err(refusal.into());
        };
        let record = Record {
            principal: Some(principal),
            permission: Some(permission),
            models: Some(models),
            route: Some(name),
            ..Record::default()
        };
        let asks = decide::Caller { client: &principal.client, roles: &principal.roles };
        // Before its body is read a call needs a grant of some model; which one is decided with the body.
        let is_whole = !matches!(models, ModelUse::InBody(_));
        let models = if is_whole { models } else { &ModelUse::None };
        match decide::decide(policy, &asks, permission, models, self.guard.clock().now()) {
            Ok(_) if !is_whole => Ok(()),
            Ok(grant) => {
                view.count_allowed(permission);
                let (decision, reason) = ("allowed", "granted");
                self.worker.audit().write(&Record { decision, reason, grant: Some(&grant.name), ..record });
                Ok(())
            }
            Err(denial) => {
                self.record("denied", denial.into(), &record);
                Err(refuse::denied(policy, denial, principal, permission, models).into())
            }
        }
    }

    async fn forward(
        &self,
        mut parts: Parts,
        body: RequestBody,
        admitted: Admitted,
        started: Instant,
    ) -> Result<Response<AnswerBody>, Refusal> {
        let Admitted { port, caller, endpoint, listing, .. } = admitted;
        if let Some(caller) = &caller {
            caller.write(&mut parts.headers);
        }
        if listing.is_some() {
            content::ask_for_list(&mut parts.headers);
        }
        if let Some(endpoint) = endpoint {
            parts.headers.insert(identity::ENDPOINT, endpoint);
        }
        parts.headers.insert(identity::FORWARDED_FOR, self.peer.clone());
        parts.version = Version::HTTP_11;
        let request = Request::from_parts(parts, body);
        let sent = self.worker.loopback_pool(port).send(request, started).await;
        let response = match sent {
            Ok(mut response) if response.status() != StatusCode::SWITCHING_PROTOCOLS => {
                hygiene::clean_response(response.headers_mut(), hygiene::Side::Guard);
                response
            }
            // Nobody asked for another protocol.
            Ok(_) => return Err(self.failed(refuse::upstream(UpstreamError::Broken, port))),
            Err(error) => return Err(self.failed(refuse::upstream(error, port))),
        };
        match (listing, caller) {
            (None, _) => Ok(response),
            (Some(listing), Some(caller)) => {
                let cut = content::cut_list(response, listing, |model| self.may_use(&caller, model)).await;
                cut.map_err(|refusal| self.failed(refusal))
            }
            // Not reached: a list has a caller.
            (Some(_), None) => Err(self.failed(refuse::list())),
        }
    }

    /// Whether a list of models shows this one to the caller.
    fn may_use(&self, caller: &Caller, model: &str) -> bool {
        let view = self.guard.view();
        let PolicyState::Active(policy) = &view.policy else { return false };
        let principal = &caller.verified.principal;
        let asks = decide::Caller { client: &principal.client, roles: &principal.roles };
        decide::may_use(policy, &asks, model, self.guard.clock().now())
    }

    fn failed(&self, refusal: Refusal) -> Refusal {
        self.record("failed", refusal.reason(), &Record::default());
        refusal
    }

    fn stop(&self, decision: &'static str, refusal: Refusal) -> Stop {
        self.record(decision, refusal.reason(), &Record::default());
        refusal.into()
    }

    /// Counts and audits a decision.
    fn record(&self, decision: &'static str, reason: &'static str, record: &Record<'_>) {
        let permission = record.permission.unwrap_or_default().to_owned();
        self.guard.metrics().decisions.get_or_create(&DecisionLabels { decision, reason, permission }).inc();
        self.worker.audit().write(&Record { decision, reason, ..*record });
    }
}

fn ambiguous(reason: &'static str, error: &dyn std::error::Error) -> Refusal {
    Refusal::ambiguous(reason, format!("Refused: {error}."))
}

/// RFC 6750 §2.3, which RFC 9700 forbids.
fn has_token(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("access_token=") || pair == "access_token")
}
