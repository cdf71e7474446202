//! What the egress half knows: whose identity it carries, and its targets.
//! Written by the control thread, read by the workers without a lock.

use std::{
    collections::HashSet,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use http::HeaderValue;

use super::{credential::Credentials, grant::TokenRequest, login::Login, slot::Slot};
use crate::{
    core::{
        name::Ref,
        path::CanonicalPath,
        policy::document::{EgressConfig, External, Target, TokenSource, WorkloadLogin},
    },
    proxy::{
        clock::Clock,
        documents::{ApplyError, Consumer, Numbered},
        handles::{HandleError, Handles, Kept},
        http::{connect::OriginError, fetch::Resource},
        metrics::{Metrics, NamedLabels},
    },
};

/// Differs for every target state of the process: names its upstream pool.
static TARGET: AtomicU64 = AtomicU64::new(1);

/// Why a configuration is refused. The last good one stays in force.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum EgressError {
    /// A token or upstream URL, or a CA, cannot be used.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// Two targets on one port, or a port of zero.
    #[error("the port {0} is zero or used by two targets")]
    InvalidPort(u16),
    /// A target without scopes would get a token without rights.
    #[error("the target {0} names no scope")]
    NoScopes(String),
    /// A target has to be one of the two.
    #[error("the target at port {0} names neither an endpoint nor something external, or both")]
    NoDestination(u16),
    /// A token leaves the cluster over TLS alone.
    #[error("the upstream {0:?} is external and not https")]
    NotEncrypted(String),
    /// What the paths of calls are compared with must have one reading.
    #[error(
        "the path {0:?} of a target is not empty, nor one that begins with a slash, ends without and has one reading"
    )]
    InvalidPath(String),
    /// An upstream URL with a path or query: the caller's path goes on as it is.
    #[error("the upstream {0:?} has a path; it must be scheme, host and port only")]
    UpstreamPath(String),
}

/// The configuration, as far as it is known.
#[derive(Clone, Debug, Default)]
pub enum EgressView {
    /// None has come yet.
    #[default]
    Missing,
    /// The identity is gone: no call goes out.
    Deleted,
    /// In force.
    Active {
        /// The WorkloadIdentity.
        identity: Ref,
        /// The targets.
        targets: Vec<Arc<TargetState>>,
    },
}

/// One target in force.
#[derive(Debug)]
pub struct TargetState {
    id: u64,
    target: Target,
    to: Destination,
    source: TokenSource,
    login: WorkloadLogin,
    client_id: String,
    resource: Resource,
    request: TokenRequest,
    slot: Arc<Slot>,
}

/// Where a target leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To a guarded endpoint.
    Endpoint(Ref),
    /// Out of the cluster, to this path and what is below it.
    External {
        /// Empty: to any path.
        path: String,
    },
}

/// The outbound half. Shared by all threads.
#[derive(Debug)]
pub struct EgressState {
    clock: Clock,
    metrics: Arc<Metrics>,
    tokens: PathBuf,
    credentials: Arc<Credentials>,
    named: Option<Ref>,
    seen: Mutex<Option<Ref>>,
    view: ArcSwap<EgressView>,
    handles: Arc<Handles>,
}

impl EgressState {
    /// A half that knows nothing yet. With `identity` it takes only that one's documents.
    pub fn new(
        identity: Option<Ref>,
        tokens: PathBuf,
        credentials: Arc<Credentials>,
        clock: Clock,
        metrics: Arc<Metrics>,
        handles: Arc<Handles>,
    ) -> Arc<Self> {
        let (seen, view) = (Mutex::default(), ArcSwap::default());
        Arc::new(Self { clock, metrics, tokens, credentials, named: identity, seen, view, handles })
    }

    /// The credentials that it logs in with, where it keeps some.
    pub fn credentials(&self) -> &Arc<Credentials> {
        &self.credentials
    }

    /// Logs in, so that the credential of this number is known to work. Tells whether it does.
    pub async fn log_in(&self, number: u64) -> bool {
        let target = match &**self.view() {
            EgressView::Active { targets, .. } => targets.first().cloned(),
            EgressView::Missing | EgressView::Deleted => return false,
        };
        match target {
            Some(target) => target.slot().renew_now().await,
            // Nobody needs it.
            None => self.credentials.note_used(number),
        }
        self.credentials.used() >= number
    }

    /// The state to serve by.
    pub fn view(&self) -> Guard<Arc<EgressView>> {
        self.view.load()
    }

    /// What keeps it from serving; empty: ready.
    pub fn missing(&self) -> Vec<String> {
        match **self.view() {
            EgressView::Missing => vec!["egress configuration".to_owned()],
            EgressView::Deleted | EgressView::Active { .. } => Vec::new(),
        }
    }

    /// Counts a call.
    pub fn count(&self, target: Option<&TargetState>, result: &'static str) {
        let name = target.map(TargetState::name).unwrap_or_default();
        self.metrics.egress_calls.get_or_create(&NamedLabels { name, result }).inc();
    }

    /// Checks a document, for `--check` too: everything but its effect.
    pub fn check(document: &EgressConfig) -> Result<(), EgressError> {
        let mut ports = HashSet::from([0]);
        Resource::new(&document.token_source.token_url, document.token_source.ca.as_deref())?;
        for target in &document.targets {
            if !ports.insert(target.listen) {
                return Err(EgressError::InvalidPort(target.listen));
            }
            if target.scopes.is_empty() {
                return Err(EgressError::NoScopes(name(&destination(target)?, target)));
            }
            destination(target)?;
            upstream(target)?;
        }
        Ok(())
    }

    /// A target that has not changed keeps its token.
    fn targets(&self, document: &EgressConfig) -> Result<Vec<Arc<TargetState>>, EgressError> {
        let before = self.view.load_full();
        let kept = |target: &Target| match &*before {
            EgressView::Active { targets, .. } => targets.iter().find(|state| state.is(target, document)).cloned(),
            EgressView::Missing | EgressView::Deleted => None,
        };
        document.targets.iter().map(|target| kept(target).map_or_else(|| self.target(target, document), Ok)).collect()
    }

    fn slot(&self, name: String, request: TokenRequest) -> Arc<Slot> {
        Slot::new(request, name, self.clock.clone(), self.metrics.token_fetches.clone())
    }

    /// The caller's token behind a handle, and the place for the one that is had for it at a target.
    pub fn on_behalf_of(
        &self,
        handle: &HeaderValue,
        target: &TargetState,
    ) -> Result<(Arc<Kept>, Arc<Slot>), HandleError> {
        let kept = self.handles.find(handle, self.clock.now())?;
        // Came in at an endpoint that another identity acts for: none that is in this process now.
        if *kept.client != *target.client_id {
            return Err(HandleError::HandleUnknown);
        }
        let subject = Some(Arc::clone(&kept.inbound));
        let make = || self.slot(target.name(), TokenRequest { subject, ..target.request.clone() });
        let slot = kept.exchanged(target.id, make)?;
        Ok((kept, slot))
    }

    fn target(&self, target: &Target, document: &EgressConfig) -> Result<Arc<TargetState>, EgressError> {
        let EgressConfig { client_id, token_source, login, .. } = document;
        let request = TokenRequest {
            endpoint: Resource::new(&token_source.token_url, token_source.ca.as_deref())?,
            login: self.login(*login, token_source),
            scopes: target.scopes.clone(),
            audience: target.audience.clone(),
            exchanged_by: target.exchanged_by.clone(),
            subject: None,
        };
        let to = destination(target)?;
        let slot = self.slot(name(&to, target), request.clone());
        Ok(Arc::new(TargetState {
            id: TARGET.fetch_add(1, Ordering::Relaxed),
            target: target.clone(),
            to,
            source: token_source.clone(),
            login: *login,
            client_id: client_id.clone(),
            resource: upstream(target)?,
            request,
            slot,
        }))
    }
}

impl EgressState {
    fn login(&self, login: WorkloadLogin, source: &TokenSource) -> Login {
        match login {
            WorkloadLogin::KubernetesToken => Login::KubernetesToken(self.tokens.clone()),
            WorkloadLogin::Credential => Login::Kept {
                credentials: Arc::clone(&self.credentials),
                audience: source.assertion_audience.clone(),
                clock: self.clock.clone(),
            },
        }
    }
}

fn upstream(target: &Target) -> Result<Resource, EgressError> {
    let ca = target.external.as_ref().and_then(|external| external.ca.as_deref());
    let resource = Resource::new(&target.upstream, ca)?;
    if resource.is_root() { Ok(resource) } else { Err(EgressError::UpstreamPath(target.upstream.clone())) }
}

fn destination(target: &Target) -> Result<Destination, EgressError> {
    match (&target.endpoint, &target.external) {
        (Some(endpoint), None) => Ok(Destination::Endpoint(endpoint.clone())),
        (None, Some(External { path, .. })) => {
            if !target.upstream.starts_with("https://") {
                return Err(EgressError::NotEncrypted(target.upstream.clone()));
            }
            let is_sound = path.is_empty() || (!path.ends_with('/') && CanonicalPath::parse(path).is_ok());
            if !is_sound {
                return Err(EgressError::InvalidPath(path.clone()));
            }
            Ok(Destination::External { path: path.clone() })
        }
        _ => Err(EgressError::NoDestination(target.listen)),
    }
}

/// Names a target in metrics, logs and messages.
fn name(to: &Destination, target: &Target) -> String {
    match to {
        Destination::Endpoint(endpoint) => endpoint.to_string(),
        Destination::External { path } => format!("{}{path}", target.upstream),
    }
}

impl TargetState {
    /// Names it in metrics, logs and messages: the endpoint, or the URL outside.
    pub fn name(&self) -> String {
        name(&self.to, &self.target)
    }

    /// Where it leads.
    pub fn to(&self) -> &Destination {
        &self.to
    }

    /// Names it among all targets that the process ever had.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What the document says of it.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Where its calls go.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// Its token.
    pub fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    fn is(&self, target: &Target, document: &EgressConfig) -> bool {
        let EgressConfig { token_source, login, client_id, .. } = document;
        self.target == *target && self.source == *token_source && self.login == *login && self.client_id == *client_id
    }
}

impl EgressView {
    /// The target behind a loopback port.
    pub fn target(&self, listen: u16) -> Option<&Arc<TargetState>> {
        match self {
            Self::Active { targets, .. } => targets.iter().find(|state| state.target.listen == listen),
            Self::Missing | Self::Deleted => None,
        }
    }
}

impl Consumer for EgressState {
    type Document = EgressConfig;

    fn apply(self: &Arc<Self>, document: EgressConfig) -> Result<(), ApplyError> {
        if self.identity().is_some_and(|identity| identity != document.identity) {
            return Err(ApplyError::WrongObject(document.identity));
        }
        Self::check(&document)?;
        let targets = self.targets(&document)?;
        self.metrics.egress_number.set(i64::try_from(document.number).unwrap_or(i64::MAX));
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(document.identity.clone());
        self.view.store(Arc::new(EgressView::Active { identity: document.identity, targets }));
        Ok(())
    }

    fn delete(self: &Arc<Self>, number: u64) {
        self.metrics.egress_number.set(i64::try_from(number).unwrap_or(i64::MAX));
        self.view.store(Arc::new(EgressView::Deleted));
    }

    fn identity(&self) -> Option<Ref> {
        self.named.clone().or_else(|| self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn ports(&self) -> Vec<u16> {
        match &**self.view() {
            EgressView::Active { targets, .. } => targets.iter().map(|state| state.target.listen).collect(),
            EgressView::Missing | EgressView::Deleted => Vec::new(),
        }
    }
}

impl Numbered for EgressConfig {
    const HALF: &'static str = "egress";

    fn number(&self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> EgressConfig {
        let text = r#"{"number":3,"identity":{"namespace":"agents","name":"labeler"},"clientId":"labeler.agents.workload",
            "tokenSource":{"tokenUrl":"http://kc/token","assertionAudience":"http://kc/realms/ml"},
            "targets":[{"endpoint":{"namespace":"vision","name":"iris"},"listen":15100,"upstream":"http://iris.vision.svc:8080",
                        "audience":"iris.vision.endpoint","scopes":["iris.vision.endpoint:predict"]}]}"#;
        match serde_json::from_str(text) {
            Ok(document) => document,
            Err(error) => panic!("{error}"),
        }
    }

    fn certificate() -> String {
        match rcgen::generate_simple_self_signed(["api.example".to_owned()]) {
            Ok(made) => made.cert.pem(),
            Err(error) => panic!("{error}"),
        }
    }

    fn external_at(document: &mut EgressConfig, path: &str) {
        document.targets[0].endpoint = None;
        document.targets[0].upstream = "https://api.example".into();
        document.targets[0].external = Some(External { path: path.into(), ca: Some(certificate()) });
    }

    #[test]
    fn what_cannot_work_is_refused() {
        type Spoil = fn(&mut EgressConfig);
        let mut external = document();
        external_at(&mut external, "/v1");
        assert!(EgressState::check(&external).is_ok());
        let cases: [(&str, Spoil); 14] = [
            ("no_destination", |d| d.targets[0].endpoint = None),
            ("no_destination", |d| d.targets[0].external = Some(External::default())),
            ("not_encrypted", |d| {
                d.targets[0].endpoint = None;
                d.targets[0].external = Some(External::default());
            }),
            ("invalid_path", |d| external_at(d, "v1")),
            ("invalid_path", |d| external_at(d, "/v1/")),
            ("invalid_path", |d| external_at(d, "/v1/../x")),
            ("invalid_port", |d| d.targets.push(d.targets[0].clone())),
            ("invalid_port", |d| d.targets[0].listen = 0),
            ("no_scopes", |d| d.targets[0].scopes.clear()),
            ("upstream_path", |d| d.targets[0].upstream.push_str("/base")),
            ("upstream_path", |d| d.targets[0].upstream.push_str("?x=1")),
            ("origin", |d| d.targets[0].upstream = "ftp://iris".into()),
            ("origin", |d| d.targets[0].upstream = "http://user:pass@iris".into()),
            ("origin", |d| d.token_source.token_url = "keycloak".into()),
        ];
        assert!(EgressState::check(&document()).is_ok());
        for (reason, spoil) in cases {
            let mut spoiled = document();
            spoil(&mut spoiled);
            let found = EgressState::check(&spoiled).err().map(|error| <&str>::from(&error));
            assert_eq!(found, Some(reason));
        }
    }

    #[test]
    fn only_one_identity_is_carried_and_unchanged_targets_keep_their_token() {
        let credentials = Credentials::new(None, None);
        let egress = EgressState::new(None, PathBuf::new(), credentials, Clock::System, Arc::default(), Arc::default());
        assert!(egress.apply(document()).is_ok());
        let first = egress.view().target(15100).map(|target| target.id());
        assert!(first.is_some());
        assert!(egress.apply(document()).is_ok());
        assert_eq!(egress.view().target(15100).map(|target| target.id()), first);
        let mut more = document();
        more.targets[0].scopes.push("iris.vision.endpoint:read".into());
        assert!(egress.apply(more).is_ok());
        assert_ne!(egress.view().target(15100).map(|target| target.id()), first);
        let mut other = document();
        other.identity.name = "other".into();
        assert!(matches!(egress.apply(other), Err(ApplyError::WrongObject(_))));
        egress.delete(9);
        assert!(egress.view().target(15100).is_none() && egress.missing().is_empty());
    }
}
