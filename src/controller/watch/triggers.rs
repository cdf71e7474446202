//! For each change, the objects that have to be looked at again.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use futures::channel::mpsc;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};

use super::{
    caches::{Caches, Claim, account_key, account_of, account_of_pod},
    kind::Change,
};
use crate::{
    admission::{RunningPod, ServedPods},
    api::{
        AccessGrant, KeycloakServer, ModelEndpoint, Realm, WebApp, WorkloadIdentity, condition::Condition,
        parse::name_of,
    },
    controller::{
        condition::{READY, SYNCED, is_true},
        endpoint::PEOPLE,
    },
    core::name::Ref,
};

/// One queue per kind that is reconciled.
#[derive(Clone)]
pub struct Queues {
    servers: mpsc::UnboundedSender<ObjectRef<KeycloakServer>>,
    realms: mpsc::UnboundedSender<ObjectRef<Realm>>,
    endpoints: mpsc::UnboundedSender<ObjectRef<ModelEndpoint>>,
    apps: mpsc::UnboundedSender<ObjectRef<WebApp>>,
    identities: mpsc::UnboundedSender<ObjectRef<WorkloadIdentity>>,
    grants: mpsc::UnboundedSender<ObjectRef<AccessGrant>>,
    /// Until everything is listed nothing is queued: all of it is looked at then anyway.
    is_open: Arc<AtomicBool>,
}

/// The other ends of [`Queues`].
pub struct Receivers {
    pub servers: mpsc::UnboundedReceiver<ObjectRef<KeycloakServer>>,
    pub realms: mpsc::UnboundedReceiver<ObjectRef<Realm>>,
    pub endpoints: mpsc::UnboundedReceiver<ObjectRef<ModelEndpoint>>,
    pub apps: mpsc::UnboundedReceiver<ObjectRef<WebApp>>,
    pub identities: mpsc::UnboundedReceiver<ObjectRef<WorkloadIdentity>>,
    pub grants: mpsc::UnboundedReceiver<ObjectRef<AccessGrant>>,
}

/// The queues and their other ends.
pub fn queues() -> (Queues, Receivers) {
    let (servers, servers_out) = mpsc::unbounded();
    let (realms, realms_out) = mpsc::unbounded();
    let (endpoints, endpoints_out) = mpsc::unbounded();
    let (apps, apps_out) = mpsc::unbounded();
    let (identities, identities_out) = mpsc::unbounded();
    let (grants, grants_out) = mpsc::unbounded();
    (
        Queues { servers, realms, endpoints, apps, identities, grants, is_open: Arc::default() },
        Receivers {
            servers: servers_out,
            realms: realms_out,
            endpoints: endpoints_out,
            apps: apps_out,
            identities: identities_out,
            grants: grants_out,
        },
    )
}

impl Queues {
    /// Everything is listed: from here on changes are queued.
    pub fn open(&self) {
        self.is_open.store(true, Ordering::Release);
    }

    fn send<K: Resource<DynamicType = ()>>(
        &self,
        queue: &mpsc::UnboundedSender<ObjectRef<K>>,
        reference: ObjectRef<K>,
    ) {
        if self.is_open.load(Ordering::Acquire) {
            // A full queue does not exist and a closed one means that we are stopping: nothing to tell the sender.
            let _ = queue.unbounded_send(reference);
        }
    }

    /// Looks at a KeycloakServer again.
    pub fn server(&self, name: &str) {
        self.send(&self.servers, ObjectRef::new(name));
    }
    /// Looks at a Realm again.
    pub fn realm(&self, name: &str) {
        self.send(&self.realms, ObjectRef::new(name));
    }
    /// Looks at a ModelEndpoint again.
    pub fn endpoint(&self, name: &Ref) {
        self.send(&self.endpoints, ObjectRef::new(&name.name).within(&name.namespace));
    }
    /// Looks at a WebApp again.
    pub fn app(&self, name: &Ref) {
        self.send(&self.apps, ObjectRef::new(&name.name).within(&name.namespace));
    }
    /// Looks again at whatever has a guard and this name.
    pub fn guarded(&self, name: &Ref) {
        self.endpoint(name);
        self.app(name);
    }
    /// Looks at a WorkloadIdentity again.
    pub fn identity(&self, name: &Ref) {
        self.send(&self.identities, ObjectRef::new(&name.name).within(&name.namespace));
    }
    /// Looks at an AccessGrant again.
    pub fn grant(&self, name: &Ref) {
        self.send(&self.grants, ObjectRef::new(&name.name).within(&name.namespace));
    }

    /// Looks at every endpoint, application and identity again: what all their documents share has changed.
    pub fn all_documents(&self, caches: &Caches) {
        caches.apps.state().iter().for_each(|app| self.app(&name_of(app.as_ref())));
        caches.endpoints.state().iter().for_each(|endpoint| self.endpoint(&name_of(endpoint.as_ref())));
        caches.identities.state().iter().for_each(|identity| self.identity(&name_of(identity.as_ref())));
    }

    /// A KeycloakServer changed.
    pub(super) fn on_server(&self, caches: &Caches, change: &Change<KeycloakServer>) {
        let Some(name) = name(change) else { return };
        if asks_anew(change) {
            self.server(&name);
        }
        if asks_anew(change) || readiness(change, |server| server.status.as_ref().map(|status| &*status.conditions)) {
            self.realms_where(caches, |realm| realm.spec.server == name);
        }
    }

    /// A Realm changed.
    pub(super) fn on_realm(&self, caches: &Caches, change: &Change<Realm>) {
        let Some(name) = name(change) else { return };
        if asks_anew(change) {
            self.realm(&name);
            let of_server = change.old.iter().chain(&change.new).map(|realm| &realm.spec.server);
            of_server.for_each(|server| self.server(server));
        }
        let not_before = |realm: &Option<Arc<Realm>>| realm.as_ref()?.status.as_ref()?.not_before;
        let is_other = asks_anew(change)
            || turned(change, SYNCED, |realm| realm.status.as_ref().map(|status| &*status.conditions));
        // A revocation is in the policies alone.
        if is_other || not_before(&change.old) != not_before(&change.new) {
            let endpoints = caches.endpoints.state();
            endpoints
                .iter()
                .filter(|endpoint| endpoint.spec.realm == name)
                .for_each(|found| self.endpoint(&name_of(found.as_ref())));
        }
        if is_other || not_before(&change.old) != not_before(&change.new) {
            let apps = caches.apps.state();
            apps.iter().filter(|app| app.spec.realm == name).for_each(|found| self.app(&name_of(found.as_ref())));
        }
        if is_other {
            let identities = caches.identities.state();
            identities
                .iter()
                .filter(|identity| identity.spec.realm == name)
                .for_each(|found| self.identity_and_grants(caches, &name_of(found.as_ref())));
        }
    }

    /// A Namespace changed.
    pub(super) fn on_namespace(&self, caches: &Caches, change: &Change<Namespace>) {
        let labels = |namespace: &Option<Arc<Namespace>>| namespace.as_ref().map(|found| found.labels().clone());
        let Some(name) = name(change) else { return };
        if labels(&change.old) == labels(&change.new) {
            return;
        }
        let endpoints = caches.endpoints.state();
        let of_endpoints = endpoints.iter().map(|found| name_of(found.as_ref()));
        of_endpoints.filter(|found| found.namespace == name).for_each(|found| self.endpoint(&found));
        let apps = caches.apps.state();
        let of_apps = apps.iter().map(|found| name_of(found.as_ref()));
        of_apps.filter(|found| found.namespace == name).for_each(|found| self.app(&found));
        let identities = caches.identities.state();
        let of_identities = identities.iter().map(|found| name_of(found.as_ref()));
        of_identities
            .filter(|found| found.namespace == name)
            .for_each(|found| self.identity_and_grants(caches, &found));
    }

    /// A ModelEndpoint changed.
    pub(super) fn on_endpoint(&self, caches: &Caches, change: &Change<ModelEndpoint>) {
        let Some(name) = reference(change) else { return };
        let namespace = |endpoint: &Option<Arc<ModelEndpoint>>| endpoint.as_ref().and_then(|found| found.namespace());
        caches.endpoints_by_namespace.replace(&name, namespace(&change.old), namespace(&change.new));
        if asks_anew(change) {
            self.endpoint(&name);
            let claims = [&change.old, &change.new].into_iter().flatten().filter_map(|found| Claim::of_guards(found));
            claims.for_each(|claim| self.claimants(caches, &claim));
            let acting = [&change.old, &change.new].into_iter().flatten().filter_map(|found| found.acts_as());
            acting.for_each(|identity| self.identity(&identity));
        }
        self.realms_left(change, |endpoint| (&endpoint.spec.realm, endpoint.held_in()));
        let is_readier = readiness(change, |endpoint| endpoint.status.as_ref().map(|status| &*status.conditions));
        let audience = |endpoint: &Option<Arc<ModelEndpoint>>| endpoint.as_ref()?.status.as_ref()?.audience.clone();
        let reached_keycloak = audience(&change.old) != audience(&change.new);
        if people_of(&change.old) != people_of(&change.new) {
            caches.grants_by_endpoint.get(&name).iter().for_each(|grant| self.grant(grant));
        }
        if asks_anew(change) || reached_keycloak || is_readier {
            caches.identities_by_target.get(&name).iter().for_each(|identity| self.identity(identity));
            for grant in caches.grants_by_endpoint.get(&name) {
                self.grant_and_subjects(caches, &grant);
            }
        }
    }

    /// A WebApp changed.
    pub(super) fn on_app(&self, caches: &Caches, change: &Change<WebApp>) {
        let Some(name) = reference(change) else { return };
        let namespace = |app: &Option<Arc<WebApp>>| app.as_ref().and_then(|found| found.namespace());
        caches.apps_by_namespace.replace(&name, namespace(&change.old), namespace(&change.new));
        self.realms_left(change, |app| (&app.spec.realm, app.held_in()));
        if asks_anew(change) {
            self.app(&name);
            let claims = [&change.old, &change.new].into_iter().flatten().filter_map(|found| Claim::of_app(found));
            claims.for_each(|claim| self.claimants(caches, &claim));
        }
    }

    /// A WorkloadIdentity changed.
    pub(super) fn on_identity(&self, caches: &Caches, change: &Change<WorkloadIdentity>) {
        let Some(name) = reference(change) else { return };
        let targets = |identity: &Option<Arc<WorkloadIdentity>>| -> Vec<Ref> {
            identity
                .iter()
                .flat_map(|identity| &identity.spec.targets)
                .filter_map(|target| Some(target.endpoint.as_ref()?.into()))
                .collect()
        };
        let claims = |identity: &Option<Arc<WorkloadIdentity>>| identity.as_deref().map(Claim::of);
        let keys =
            |identity: &Option<Arc<WorkloadIdentity>>| identity.as_deref().map(account_of).map(|of| account_key(&of));
        caches.identities_by_target.replace(&name, targets(&change.old), targets(&change.new));
        caches.identities_by_account.replace(&name, keys(&change.old), keys(&change.new));
        self.realms_left(change, |identity| (&identity.spec.realm, identity.held_in()));
        let revoked = |identity: &Option<Arc<WorkloadIdentity>>| {
            identity.as_ref()?.status.as_ref()?.credential.as_ref()?.revoked_before
        };
        if !asks_anew(change) {
            if revoked(&change.old) != revoked(&change.new) {
                self.endpoints_of(caches, &name);
            }
            return;
        }
        self.identity_and_grants(caches, &name);
        for endpoint in caches.acting_with(&name).iter().map(|found| name_of(found.as_ref())) {
            self.endpoint(&endpoint);
            // Whom its tokens are for is in their configuration.
            caches.identities_by_target.get(&endpoint).iter().for_each(|caller| self.identity(caller));
        }
        for claim in claims(&change.old).into_iter().chain(claims(&change.new)) {
            self.claimants(caches, &claim);
        }
    }

    /// A Pod changed.
    pub(super) fn on_pod(&self, caches: &Caches, change: &Change<RunningPod>) {
        let Some(name) = reference(change) else { return };
        let account = |pod: &Option<Arc<RunningPod>>| pod.as_deref().map(account_of_pod);
        let keys = |pod: &Option<Arc<RunningPod>>| account(pod).map(|of| account_key(&of));
        let namespace = |pod: &Option<Arc<RunningPod>>| pod.as_ref().and_then(|pod| pod.namespace());
        caches.pods_by_namespace.replace(&name, namespace(&change.old), namespace(&change.new));
        caches.pods_by_account.replace(&name, keys(&change.old), keys(&change.new));
        match (&change.old, &change.new) {
            (Some(old), Some(new)) if old.is_wired_like(new) => return,
            _ => {}
        }
        let pods: Vec<_> = change.old.iter().chain(&change.new).collect();
        for endpoint in caches.endpoints_by_namespace.get(&name.namespace) {
            let Some(found) = Caches::namespaced(&caches.endpoints, &endpoint) else { continue };
            let served = ServedPods::from(found.as_ref());
            if pods.iter().any(|pod| pod.lacks_guard(&served) || pod.serves(&served).is_some()) {
                self.endpoint(&endpoint);
            }
        }
        for app in caches.apps_by_namespace.get(&name.namespace) {
            let Some(found) = Caches::namespaced(&caches.apps, &app) else { continue };
            let served = ServedPods::of_app(&found);
            let concerns = |pod: &RunningPod| match &served {
                Some(served) => pod.lacks_guard(served) || pod.serves(served).is_some(),
                None => pod.is_of_native(&found),
            };
            if pods.iter().any(|pod| concerns(pod)) {
                self.app(&app);
            }
        }
        for account in account(&change.old).into_iter().chain(account(&change.new)) {
            let identities = caches.of_account(&account);
            let concerned = identities.iter().filter(|found| pods.iter().any(|pod| pod.lacks_egress(found)));
            concerned.for_each(|identity| self.identity(&name_of(identity.as_ref())));
        }
    }

    /// Whoever logs in with a ServiceAccount, or would.
    fn claimants(&self, caches: &Caches, claim: &Claim) {
        caches.claimants(claim).iter().for_each(|other| self.identity(&name_of(other.as_ref())));
        caches.introspecting(claim).iter().for_each(|other| self.endpoint(&name_of(other.as_ref())));
        caches.signing_in(claim).iter().for_each(|other| self.app(&name_of(other.as_ref())));
    }

    /// An AccessGrant changed.
    pub(super) fn on_grant(&self, caches: &Caches, change: &Change<AccessGrant>) {
        let Some(name) = reference(change) else { return };
        let endpoint = |grant: &Option<Arc<AccessGrant>>| grant.as_deref().map(endpoint_of);
        let subjects = |grant: &Option<Arc<AccessGrant>>| grant.as_deref().map(subjects_of).unwrap_or_default();
        caches.grants_by_endpoint.replace(&name, endpoint(&change.old), endpoint(&change.new));
        caches.grants_by_subject.replace(&name, subjects(&change.old), subjects(&change.new));
        if !asks_anew(change) {
            return;
        }
        self.grant(&name);
        // The endpoint first: its guards refuse at once, Keycloak's roles only stop new tokens.
        endpoint(&change.old).iter().chain(&endpoint(&change.new)).for_each(|endpoint| self.endpoint(endpoint));
        subjects(&change.old).iter().chain(&subjects(&change.new)).for_each(|subject| self.identity(subject));
    }

    /// A Realm that is to go waits until nobody uses it. `used` tells which one an object names, and which one holds it.
    fn realms_left<K>(&self, change: &Change<K>, used: impl for<'a> Fn(&'a K) -> (&'a str, Option<&'a str>)) {
        let Some(old) = change.old.as_deref() else { return };
        let (named, held_in) = used(old);
        let still = change.new.as_deref().map(&used);
        let is_left = |realm: &&str| still.is_none_or(|(named, held_in)| named != *realm && held_in != Some(*realm));
        [Some(named), held_in].into_iter().flatten().filter(is_left).for_each(|realm| self.realm(realm));
    }

    /// An identity, the grants to it and the endpoints whose policies they are in.
    fn identity_and_grants(&self, caches: &Caches, name: &Ref) {
        self.identity(name);
        caches.grants_by_subject.get(name).iter().for_each(|grant| self.grant(grant));
        self.endpoints_of(caches, name);
    }

    /// The endpoints in whose policies an identity is.
    fn endpoints_of(&self, caches: &Caches, name: &Ref) {
        for grant in caches.grants_by_subject.get(name) {
            if let Some(grant) = Caches::namespaced(&caches.grants, &grant) {
                self.endpoint(&endpoint_of(&grant));
            }
        }
    }

    fn grant_and_subjects(&self, caches: &Caches, name: &Ref) {
        self.grant(name);
        if let Some(grant) = Caches::namespaced(&caches.grants, name) {
            subjects_of(&grant).iter().for_each(|subject| self.identity(subject));
        }
    }

    fn realms_where(&self, caches: &Caches, wanted: impl Fn(&Realm) -> bool) {
        let realms = caches.realms.state();
        realms.iter().filter(|realm| wanted(realm)).for_each(|realm| self.realm(&realm.name_any()));
    }
}

/// What is said of the people to whom an endpoint is granted.
fn people_of(endpoint: &Option<Arc<ModelEndpoint>>) -> Option<&str> {
    let conditions = &endpoint.as_ref()?.status.as_ref()?.conditions;
    conditions.iter().find(|condition| &*condition.type_ == PEOPLE).map(|condition| &*condition.message)
}

fn endpoint_of(grant: &AccessGrant) -> Ref {
    Ref::new(grant.namespace().unwrap_or_default(), &grant.spec.endpoint)
}

fn subjects_of(grant: &AccessGrant) -> Vec<Ref> {
    grant.spec.subjects.iter().filter_map(|subject| subject.workload_identity.as_ref()).map(Into::into).collect()
}

fn name<K: Resource>(change: &Change<K>) -> Option<String> {
    change.new.as_ref().or(change.old.as_ref()).map(|object| object.name_any())
}

fn reference<K: Resource>(change: &Change<K>) -> Option<Ref> {
    change.new.as_ref().or(change.old.as_ref()).map(|object| name_of(object.as_ref()))
}

/// Whether an object says something new; our own status and finalizer writes do not.
fn asks_anew<K: Resource>(change: &Change<K>) -> bool {
    let (Some(old), Some(new)) = (&change.old, &change.new) else { return true };
    let asks = |object: &K| {
        let meta = object.meta();
        (meta.uid.clone(), meta.generation, meta.deletion_timestamp.clone(), meta.annotations.clone())
    };
    asks(old) != asks(new)
}

type Conditions<'a> = Option<&'a [Condition]>;

/// Whether an object became ready, or is so no longer.
fn readiness<K: Resource>(change: &Change<K>, conditions: impl for<'a> Fn(&'a K) -> Conditions<'a>) -> bool {
    turned(change, READY, conditions)
}

/// Whether a condition became true, or is so no longer.
fn turned<K: Resource>(
    change: &Change<K>,
    concern: &str,
    conditions: impl for<'a> Fn(&'a K) -> Conditions<'a>,
) -> bool {
    let holds = |object: &Option<Arc<K>>| {
        object.as_ref().map(|object| is_true(conditions(object).unwrap_or_default(), concern))
    };
    holds(&change.old) != holds(&change.new)
}
