//! What a guard knows: its policy and its issuers' keys. Written by the control
//! thread, read by the workers without a lock.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::{ArcSwap, Guard};
use http::HeaderValue;
use tokio::task::AbortHandle;

use super::{counters::Counters, mcp::Sessions, metadata::Metadata};
use crate::{
    core::{
        name::Ref,
        policy::{
            compiled::CompiledPolicy,
            document::{self, GuardPolicy, Introspection, TrustedIssuer},
        },
        signin::settings::SignInSettings,
    },
    proxy::{
        clock::Clock,
        documents::{ApplyError, Consumer, Numbered},
        handles::Handles,
        http::connect::OriginError,
        metrics::{Metrics, NamedLabels},
        signin::state::{Places, SignInState},
        tokens::{
            introspect::Introspector,
            jwks::{Issuer, JwksError},
            keys::KeySet,
            verify::{Trust, TrustedKeys},
        },
        usage::Usages,
    },
};

/// Differs for every [`Trust`] of the process.
static GENERATION: AtomicU64 = AtomicU64::new(1);

/// The guard's policy, as far as it is known.
#[derive(Clone, Default)]
pub enum PolicyState {
    /// None has come yet.
    #[default]
    Missing,
    /// The endpoint is gone: everything is denied.
    Deleted,
    /// In force.
    Active(Arc<CompiledPolicy>),
}

/// Everything a decision needs, swapped as a whole.
#[derive(Default)]
pub struct View {
    /// The policy.
    pub policy: PolicyState,
    /// Who is trusted; `None` without a policy.
    pub trust: Option<Arc<Trust>>,
    /// `namespace/name` of the endpoint, as it goes upstream.
    pub endpoint: Option<HeaderValue>,
    /// What the guard tells of the endpoint to everybody.
    pub metadata: Option<Metadata>,
    /// What is counted.
    pub counters: Counters,
    /// The issuer's own word on tokens, where the policy asks for it.
    pub introspector: Option<Arc<Introspector>>,
    /// How people with browsers are signed in, where the policy wants that.
    pub sign_in: Option<Arc<SignInState>>,
}

impl View {
    /// Which decisions the policy wants recorded.
    pub fn audit(&self) -> Option<document::Audit> {
        match &self.policy {
            PolicyState::Active(policy) => policy.audit,
            PolicyState::Missing | PolicyState::Deleted => None,
        }
    }
}

/// One guard. Shared by all threads.
pub struct GuardState {
    clock: Clock,
    metrics: Arc<Metrics>,
    identity: Option<Ref>,
    /// Where the projected tokens are, and the keys of browsers' sessions.
    places: Places,
    /// Callers' tokens, where the endpoint calls on their behalf.
    handles: Arc<Handles>,
    /// None only where the system has no randomness.
    sessions: Option<Sessions>,
    view: ArcSwap<View>,
    usages: Usages,
    /// Only the control thread takes this.
    inputs: Mutex<Inputs>,
}

#[derive(Default)]
struct Inputs {
    policy: PolicyState,
    /// The endpoint of the first document; later ones must be for the same.
    endpoint: Option<Ref>,
    keepers: Vec<Keeper>,
    introspector: Option<Arc<Introspector>>,
    sign_in: Option<Arc<SignInState>>,
}

/// An issuer in force, and the task that keeps its keys.
struct Keeper {
    issuer: Arc<Issuer>,
    keys: Option<Arc<KeySet>>,
    task: AbortHandle,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl GuardState {
    /// A guard that knows nothing, and so refuses everything. With `identity` it
    /// takes only that endpoint's documents. `places`: where what it logs in with is, where a policy wants it to.
    pub fn new(
        identity: Option<Ref>,
        places: Places,
        clock: Clock,
        metrics: Arc<Metrics>,
        handles: Arc<Handles>,
    ) -> Arc<Self> {
        let view = View { counters: Counters::without(&metrics.decisions), ..View::default() };
        let (view, usages, sessions) = (ArcSwap::from_pointee(view), Usages::default(), Sessions::new());
        let inputs = Mutex::default();
        Arc::new(Self { clock, metrics, identity, places, handles, sessions, view, usages, inputs })
    }

    /// Signs sessions of the Model Context Protocol.
    pub fn sessions(&self) -> Option<&Sessions> {
        self.sessions.as_ref()
    }

    /// Callers' tokens, for the calls that are made on their behalf.
    pub fn handles(&self) -> &Handles {
        &self.handles
    }

    /// The state to decide by.
    pub fn view(&self) -> Guard<Arc<View>> {
        self.view.load()
    }

    /// The time.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What each client uses.
    pub fn usages(&self) -> &Usages {
        &self.usages
    }

    /// What keeps it from deciding; empty: ready.
    pub fn missing(&self) -> Vec<String> {
        let view = self.view();
        match (&view.policy, &view.trust) {
            (PolicyState::Missing, _) | (PolicyState::Active(_), None) => vec!["guard policy".to_owned()],
            (PolicyState::Deleted, _) => Vec::new(),
            (PolicyState::Active(_), Some(trust)) => {
                let without = trust.issuers.iter().filter(|trusted| trusted.keys.is_none());
                let keys = without.map(|trusted| format!("keys of issuer {}", trusted.issuer.name()));
                let of_cookies = view.sign_in.as_ref().filter(|sign_in| sign_in.sealer().is_none());
                keys.chain(of_cookies.map(|_| "keys of the sessions' cookies (--sign-in)".to_owned())).collect()
            }
        }
    }

    /// What a person should know though it keeps nothing from working.
    pub fn warnings(&self) -> Vec<String> {
        let view = self.view();
        let issuers = view.trust.iter().flat_map(|trust| &trust.issuers);
        let warning = |issuer: &Issuer| {
            let skew = issuer.harmful_skew()?;
            Some(format!("this node's clock is {skew} that of issuer {}: check NTP", issuer.name()))
        };
        issuers.filter_map(|trusted| warning(&trusted.issuer)).collect()
    }

    /// Sets the gauges that only a scrape needs.
    pub fn observe(&self) {
        let now = self.clock.now();
        for trusted in self.view().trust.iter().flat_map(|trust| &trust.issuers) {
            if let Some(age) = trusted.issuer.key_age(now) {
                let labels = NamedLabels { name: trusted.issuer.name().to_owned(), result: "fetched" };
                self.metrics.key_age.get_or_create(&labels).set(age as f64);
            }
            if let Some(skew) = trusted.issuer.skew() {
                let labels = NamedLabels { name: trusted.issuer.name().to_owned(), result: "measured" };
                self.metrics.clock_skew.get_or_create(&labels).set(skew.seconds() as f64);
            }
        }
    }

    fn keep_issuers(self: &Arc<Self>, inputs: &mut Inputs, policy: &CompiledPolicy) {
        let mut before = std::mem::take(&mut inputs.keepers);
        inputs.keepers = policy
            .issuers
            .iter()
            .map(|wanted| match before.iter().position(|keeper| keeper.issuer.document().has_keys_of(wanted)) {
                Some(at) => before.swap_remove(at),
                None => self.keeper(Issuer::new(wanted.clone())),
            })
            .collect();
    }

    /// The same as before where the policy says the same: its answers are still good.
    fn introspector(
        &self,
        inputs: &Inputs,
        wanted: Option<&Introspection>,
    ) -> Result<Option<Arc<Introspector>>, OriginError> {
        let Some(wanted) = wanted else { return Ok(None) };
        match &inputs.introspector {
            Some(known) if known.document() == wanted => Ok(Some(Arc::clone(known))),
            _ => {
                let made = Introspector::new(wanted.clone(), self.places.tokens.clone(), self.clock.clone())?;
                Ok(Some(Arc::new(made)))
            }
        }
    }

    /// The same as before where the policy says the same: who was signed out stays so.
    fn sign_in(
        &self,
        inputs: &Inputs,
        wanted: Option<&SignInSettings>,
    ) -> Result<Option<Arc<SignInState>>, OriginError> {
        let Some(wanted) = wanted else { return Ok(None) };
        match &inputs.sign_in {
            Some(known) if known.settings == *wanted => Ok(Some(Arc::clone(known))),
            _ => SignInState::new(wanted.clone(), &self.places, self.clock.clone()).map(Some),
        }
    }

    fn keeper(self: &Arc<Self>, issuer: Arc<Issuer>) -> Keeper {
        let (guard, kept) = (Arc::downgrade(self), Arc::clone(&issuer));
        let publish = move |fetched| {
            if let Some(guard) = guard.upgrade() {
                guard.take_keys(&kept, fetched);
            }
        };
        let task = tokio::spawn(Arc::clone(&issuer).keep(self.clock.clone(), publish)).abort_handle();
        Keeper { issuer, keys: None, task }
    }

    fn take_keys(&self, issuer: &Arc<Issuer>, fetched: Result<KeySet, JwksError>) {
        let count = |result| {
            let labels = NamedLabels { name: issuer.name().to_owned(), result };
            self.metrics.key_fetches.get_or_create(&labels).inc();
        };
        let keys = match fetched {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(issuer = issuer.name(), %error, "the issuer's keys could not be fetched");
                return count((&error).into());
            }
        };
        count("fetched");
        let mut inputs = self.inputs();
        let Some(keeper) = inputs.keepers.iter_mut().find(|keeper| Arc::ptr_eq(&keeper.issuer, issuer)) else { return };
        if keeper.keys.as_ref().is_some_and(|before| before.same(&keys)) {
            return;
        }
        tracing::info!(issuer = issuer.name(), "the issuer's keys changed");
        keeper.keys = Some(Arc::new(keys));
        self.publish(&inputs);
    }

    /// Swaps the view. The trust keeps its generation (and the workers their
    /// caches) unless something that verification rests on has changed.
    fn publish(&self, inputs: &Inputs) {
        let view = match &inputs.policy {
            PolicyState::Active(policy) => {
                let before = self.view.load();
                let trust = before.trust.as_ref().filter(|trust| unchanged(trust, policy, inputs)).cloned();
                View {
                    policy: inputs.policy.clone(),
                    trust: Some(trust.unwrap_or_else(|| trust_of(policy, inputs))),
                    endpoint: HeaderValue::from_str(&policy.endpoint.to_string()).ok(),
                    metadata: Metadata::of(policy),
                    counters: Counters::of(policy, &self.metrics.decisions),
                    introspector: inputs.introspector.clone(),
                    sign_in: inputs.sign_in.clone(),
                }
            }
            PolicyState::Missing | PolicyState::Deleted => View {
                policy: inputs.policy.clone(),
                counters: Counters::without(&self.metrics.decisions),
                ..View::default()
            },
        };
        self.view.store(Arc::new(view));
        // Those of another client find nobody who may use them.
        if !acts(&inputs.policy) {
            self.handles.clear();
        }
    }

    /// The lock is held for swaps only; what it protects is whole at all times.
    fn inputs(&self) -> MutexGuard<'_, Inputs> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Consumer for GuardState {
    type Document = GuardPolicy;

    /// Must run inside the control runtime, which then keeps the issuers' keys.
    fn apply(self: &Arc<Self>, document: GuardPolicy) -> Result<(), ApplyError> {
        if self.identity().is_some_and(|identity| identity != document.endpoint) {
            return Err(ApplyError::WrongObject(document.endpoint));
        }
        let policy = CompiledPolicy::compile(document)?;
        let mut inputs = self.inputs();
        let introspector = self.introspector(&inputs, policy.introspection.as_ref())?;
        self.metrics.guard_number.set(i64::try_from(policy.number).unwrap_or(i64::MAX));
        let sign_in = self.sign_in(&inputs, policy.sign_in.as_ref()).map_err(ApplyError::SignIn)?;
        inputs.introspector = introspector;
        inputs.sign_in = sign_in;
        inputs.endpoint = Some(policy.endpoint.clone());
        self.keep_issuers(&mut inputs, &policy);
        self.usages.retain(|client| !policy.grants_of(client).is_empty());
        inputs.policy = PolicyState::Active(Arc::new(policy));
        self.publish(&inputs);
        Ok(())
    }

    fn delete(self: &Arc<Self>, number: u64) {
        self.metrics.guard_number.set(i64::try_from(number).unwrap_or(i64::MAX));
        let mut inputs = self.inputs();
        inputs.policy = PolicyState::Deleted;
        inputs.keepers.clear();
        self.publish(&inputs);
    }

    fn identity(&self) -> Option<Ref> {
        self.identity.clone().or_else(|| self.inputs().endpoint.clone())
    }

    fn ports(&self) -> Vec<u16> {
        match &self.view().policy {
            PolicyState::Active(policy) => policy.listeners.iter().map(|listener| listener.listen).collect(),
            PolicyState::Missing | PolicyState::Deleted => Vec::new(),
        }
    }
}

impl Numbered for GuardPolicy {
    const HALF: &'static str = "guard";

    fn number(&self) -> u64 {
        self.number
    }
}

/// Whether the endpoint calls on behalf of its callers.
fn acts(policy: &PolicyState) -> bool {
    match policy {
        PolicyState::Active(policy) => policy.on_behalf_of.is_some(),
        PolicyState::Missing | PolicyState::Deleted => false,
    }
}

fn unchanged(trust: &Trust, policy: &CompiledPolicy, inputs: &Inputs) -> bool {
    trust.audience == policy.audience
        && trust.exchanged_by == policy.on_behalf_of
        && trust.role_client == policy.role_client
        // What was read of a token is what the policy of then asked for.
        && trust.claims == policy.claims
        && trust.revoked == policy.revoked
        && trust.issuers.len() == inputs.keepers.len()
        && trust.issuers.iter().zip(&policy.issuers).all(|(trusted, wanted)| trusted.not_before == wanted.not_before)
        && trust.issuers.iter().zip(&inputs.keepers).all(|(trusted, keeper)| {
            Arc::ptr_eq(&trusted.issuer, &keeper.issuer)
                && match (&trusted.keys, &keeper.keys) {
                    (None, None) => true,
                    (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                    (None, Some(_)) | (Some(_), None) => false,
                }
        })
}

fn trust_of(policy: &CompiledPolicy, inputs: &Inputs) -> Arc<Trust> {
    // The keepers are in the order of the policy's issuers.
    let trusted = |(keeper, wanted): (&Keeper, &TrustedIssuer)| TrustedKeys {
        issuer: Arc::clone(&keeper.issuer),
        keys: keeper.keys.clone(),
        not_before: wanted.not_before,
    };
    Arc::new(Trust {
        generation: GENERATION.fetch_add(1, Ordering::Relaxed),
        audience: policy.audience.clone(),
        exchanged_by: policy.on_behalf_of.clone(),
        role_client: policy.role_client.clone(),
        issuers: inputs.keepers.iter().zip(&policy.issuers).map(trusted).collect(),
        revoked: Arc::clone(&policy.revoked),
        claims: Arc::clone(&policy.claims),
    })
}
