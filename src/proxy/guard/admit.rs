//! What a request's head decides: its form, its route, its caller, its right.

use std::{rc::Rc, sync::Arc};

use http::{HeaderValue, Method, StatusCode, Uri, Version, request::Parts};

use super::{
    audit::Record,
    identity::Caller,
    introspection, mcp, refuse,
    serve::GuardConnection,
    state::{PolicyState, View},
    travel::Travel,
};
use crate::{
    core::{
        body::listing::Listing,
        path::{self, CanonicalPath},
        policy::{compiled::CompiledPolicy, decide, document::Protocol},
        protocol::{BodyModel, ModelUse, Need, Route, Wire},
        query,
    },
    proxy::{
        http::{
            answer::Refusal,
            hygiene::{self, HygieneError, Taken},
        },
        tokens::{
            compact,
            introspect::{Introspector, Verdict},
            jwks::Issuer,
            verify::{Trust, VerifyError},
        },
        usage::Place,
    },
};

/// A call that may pass, as far as its head tells.
pub struct Admitted {
    /// The application's port.
    pub port: u16,
    /// Who calls; nobody on a public route.
    pub caller: Option<Rc<Caller>>,
    /// `namespace/name` of the endpoint.
    pub endpoint: Option<HeaderValue>,
    /// The body says what it asks for, or names the model: it decides.
    pub is_in_body: bool,
    /// What its answer lists.
    pub listing: Option<Listing>,
    /// How it travels.
    pub wire: Wire,
    /// What the endpoint speaks.
    pub protocol: Protocol,
    /// Its place among its client's calls.
    pub place: Option<Place>,
}

/// A call that may not, or not yet.
pub(super) enum Stop {
    Refused(Refusal),
    /// The token's key is unknown: this issuer's keys may be older than it.
    FetchKeys(Arc<Issuer>),
    /// The issuer's own word on the token is wanted, and not known.
    Introspect(Arc<Introspector>),
}

/// What was done before a decision is made again.
#[derive(Clone, Copy, Default)]
struct Tried {
    /// Keys were looked for.
    keys: bool,
    /// The issuer was asked, and said this.
    said: Option<Verdict>,
}

impl Stop {
    /// For where no keys are fetched: the second time an unknown key is a refusal.
    pub(super) fn into_refusal(self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal,
            Self::FetchKeys(_) | Self::Introspect(_) => refuse::no_policy(),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl GuardConnection {
    /// Decides as much as the head tells.
    pub(super) async fn admit(&self, parts: &Parts, authorization: Option<&HeaderValue>) -> Result<Admitted, Refusal> {
        let mut tried = Tried::default();
        loop {
            match self.decide(parts, authorization, tried) {
                Ok(admitted) => return Ok(admitted),
                Err(Stop::Refused(refusal)) => return Err(refusal),
                Err(Stop::FetchKeys(issuer)) => {
                    issuer.refresh().await;
                    tried.keys = true;
                }
                Err(Stop::Introspect(introspector)) => {
                    tried.said = Some(introspection::ask(&introspector, authorization).await);
                }
            }
        }
    }

    /// Refuses what has two readings; takes out what must not go on, the `Authorization` among it, which is returned.
    pub(super) fn check(&self, parts: &mut Parts) -> Result<Option<HeaderValue>, Refusal> {
        self.check_form(parts).inspect_err(|refusal| {
            self.record("refused", refusal.reason(), &Record::default());
        })
    }

    fn check_form(&self, parts: &mut Parts) -> Result<Option<HeaderValue>, Refusal> {
        if let Some(violation) = self.flow.violation() {
            return Err(ambiguous(violation.into(), &violation));
        }
        if parts.version == Version::HTTP_2 {
            hygiene::as_http1(parts).map_err(|error| ambiguous((&error).into(), &error))?;
        }
        let Taken { authorization, websocket } =
            hygiene::clean_request(&mut parts.headers).map_err(|error| ambiguous((&error).into(), &error))?;
        if let Some(handshake) = websocket {
            if parts.method != Method::GET || parts.version != Version::HTTP_11 {
                let error = HygieneError::UpgradeRefused;
                return Err(ambiguous((&error).into(), &error));
            }
            parts.extensions.insert(handshake);
        }
        path::check_query(parts.uri.query()).map_err(|error| ambiguous(error.into(), &error))?;
        if parts.uri.query().is_some_and(has_token) {
            let message = "Refused: a token belongs in the Authorization header, not in the URL.";
            return Err(Refusal::ambiguous("token_in_query", message));
        }
        CanonicalPath::parse(parts.uri.path()).map_err(|error| ambiguous(error.into(), &error))?;
        Ok(authorization)
    }

    /// The policy in force.
    pub(super) fn policy<'v>(&self, view: &'v View) -> Result<&'v CompiledPolicy, Stop> {
        match &view.policy {
            PolicyState::Active(policy) => Ok(policy),
            PolicyState::Missing => Err(self.stop("unavailable", refuse::no_policy()).into()),
            PolicyState::Deleted => Err(self.stop("denied", refuse::deleted()).into()),
        }
    }

    /// What the request asks for. `None`: nothing that there is.
    pub(super) fn route<'a>(&self, policy: &'a CompiledPolicy, parts: &'a Parts) -> Result<Option<Route<'a>>, Refusal> {
        let route = self.route_of(policy, Travel::of(parts), &parts.method, &parts.uri)?;
        let resumes = policy.protocol == Protocol::Mcp && mcp::resumes(&parts.headers);
        Ok(route.map(|route| if resumes { Route { models: ModelUse::Every, ..route } } else { route }))
    }

    /// The same of what travels in another way than its head says by now.
    pub(super) fn route_of<'a>(
        &self,
        policy: &'a CompiledPolicy,
        travel: Travel,
        method: &'a Method,
        uri: &'a Uri,
    ) -> Result<Option<Route<'a>>, Refusal> {
        // Parsed before, without a copy: parsing again is cheaper than carrying it along.
        let path =
            CanonicalPath::parse(uri.path()).map_err(|error| self.stop("refused", ambiguous(error.into(), &error)))?;
        let route = policy.route(travel.method(method), path);
        // What comes in another way than its route is served is none.
        let Some(route) = route.filter(|route| travel.fits(route.wire)) else { return Ok(None) };
        let (parameter, may_lack) = match route.models {
            ModelUse::InQuery(parameter) => (parameter, false),
            // Without it the first message has to name the model.
            ModelUse::InBody(BodyModel::Session(parameter)) => (parameter, true),
            _ => return Ok(Some(route)),
        };
        let named = query::one(uri.query().unwrap_or_default(), parameter);
        match named.map_err(|error| self.stop("refused", ambiguous(error.into(), &error)))? {
            Some(model) => Ok(Some(Route { models: ModelUse::One(model), ..route })),
            None if may_lack => Ok(Some(route)),
            None => Err(self.stop("refused", refuse::no_model_in_query(parameter))),
        }
    }

    fn decide(&self, parts: &Parts, authorization: Option<&HeaderValue>, tried: Tried) -> Result<Admitted, Stop> {
        let view = self.guard.view();
        let policy = self.policy(&view)?;
        let (Some(trust), Some(port)) = (&view.trust, policy.upstream(self.listen)) else {
            return Err(self.stop("unavailable", refuse::port_not_served()).into());
        };
        let protocol = policy.protocol;
        let route = self.route(policy, parts)?;
        if let Some(Route { need: Need::Public, name, wire, listing, .. }) = &route {
            self.record("allowed", "public", &Record { route: Some(name), ..Record::default() });
            let (listing, wire) = (*listing, *wire);
            return Ok(Admitted {
                port,
                caller: None,
                endpoint: None,
                is_in_body: false,
                listing,
                wire,
                protocol,
                place: None,
            });
        }
        let caller = self.authenticate(policy, trust, route.as_ref(), authorization, !tried.keys)?;
        self.introspected(&view, policy, route.as_ref(), (&caller, authorization), tried.said)?;
        let place = self.limit(policy, &caller, route.as_ref())?;
        self.authorize(&view, policy, &caller, route.as_ref())?;
        self.keep(policy, &caller, authorization)?;
        let is_in_body = route.as_ref().is_some_and(Route::is_in_body);
        let (listing, wire) = route.map_or((None, Wire::Http), |route| (route.listing, route.wire));
        let endpoint = view.endpoint.clone();
        Ok(Admitted { port, caller: Some(caller), endpoint, is_in_body, listing, wire, protocol, place })
    }

    /// Keeps the caller's token, where the endpoint calls on behalf of its callers. Without its handle the application would
    /// call for nobody but itself, so a call whose token cannot be kept does not come in.
    fn keep(&self, policy: &CompiledPolicy, caller: &Caller, authorization: Option<&HeaderValue>) -> Result<(), Stop> {
        let (Some(client), Some(authorization)) = (&policy.on_behalf_of, authorization) else { return Ok(()) };
        let Ok(token) = compact::bearer(authorization.as_bytes()) else { return Ok(()) };
        let kept = caller.keep(self.guard.handles(), token, client, self.guard.clock().now());
        kept.map_err(|error| self.stop("unavailable", refuse::not_kept(error)).into())
    }

    /// Whom the token proves. With `may_fetch` an unknown key is a reason to look for new ones first.
    pub(super) fn authenticate(
        &self,
        policy: &CompiledPolicy,
        trust: &Trust,
        route: Option<&Route<'_>>,
        authorization: Option<&HeaderValue>,
        may_fetch: bool,
    ) -> Result<Rc<Caller>, Stop> {
        let Some(authorization) = authorization else {
            return Err(self.stop("denied", refuse::no_token(policy, route)).into());
        };
        let now = self.guard.clock().now();
        self.last.recognise(trust, authorization.as_bytes(), now, &self.worker, self.guard.metrics()).map_err(|error| {
            match (error, may_fetch) {
                (VerifyError::UnknownKey(issuer), true) if trust.issuers.len() > issuer => {
                    Stop::FetchKeys(Arc::clone(&trust.issuers[issuer].issuer))
                }
                _ => {
                    let refusal = refuse::token(policy, route, trust, &error);
                    let unavailable = refusal.status() == StatusCode::SERVICE_UNAVAILABLE;
                    let decision = if unavailable { "unavailable" } else { "denied" };
                    self.record(decision, error.reason(), &Record::default());
                    Stop::Refused(refusal)
                }
            }
        })
    }

    /// Whether the caller holds a grant of what the route asks for.
    pub(super) fn authorize(
        &self,
        view: &View,
        policy: &CompiledPolicy,
        caller: &Caller,
        route: Option<&Route<'_>>,
    ) -> Result<(), Stop> {
        let principal = &caller.verified.principal;
        let asks = principal.caller();
        let now = self.guard.clock().now();
        let (permission, models, name) = match route {
            Some(Route { need: Need::Permission(permission), models, name, .. }) => (*permission, models, *name),
            // Before its body is read it needs any right here at all.
            Some(Route { need: Need::InBody(_), .. }) if decide::may_anything(policy, &asks, now) => return Ok(()),
            Some(Route { need: Need::InBody(_), name, .. }) => {
                let refusal = refuse::nothing_granted(policy, principal, now);
                let record = Record { principal: Some(principal), route: Some(name), ..Record::default() };
                self.record("denied", refusal.reason(), &record);
                return Err(refusal.into());
            }
            Some(Route { need: Need::Public, .. }) | None => {
                let refusal = refuse::unknown_route(policy);
                self.record("denied", refusal.reason(), &Record { principal: Some(principal), ..Record::default() });
                return Err(refusal.into());
            }
        };
        let record = Record {
            principal: Some(principal),
            permission: Some(permission),
            models: Some(models),
            route: Some(name),
            ..Record::default()
        };
        // Before its body is read a call needs a grant of some model; which one is decided with the body.
        let is_whole = !matches!(models, ModelUse::InBody(_));
        let models = if is_whole { models } else { &ModelUse::None };
        match decide::decide(policy, &asks, permission, models, now) {
            Ok(_) if !is_whole => Ok(()),
            Ok(grant) => {
                view.counters.allowed(permission, models);
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
}

/// What has two readings.
pub(super) fn ambiguous(reason: &'static str, error: &dyn std::error::Error) -> Refusal {
    Refusal::ambiguous(reason, format!("Refused: {error}."))
}

/// RFC 6750 §2.3, which RFC 9700 forbids.
fn has_token(query: &str) -> bool {
    query.split('&').any(|pair| pair.starts_with("access_token=") || pair == "access_token")
}
