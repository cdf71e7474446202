//! The caches, and the access graph as they hold it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Resource, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};

use super::index::Index;
use crate::{
    admission::{RunningPod, ServedPods, Told},
    api::{AccessGrant, KeycloakServer, ModelEndpoint, Realm, WebApp, WorkloadIdentity, parse::name_of},
    core::{
        fingerprint,
        graph::{Endpoint, Grant, Problem, ProblemReason, Workload},
        name::Ref,
    },
};

/// A ServiceAccount in a realm: whoever claims one must be alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Name of the Realm.
    pub realm: String,
    /// The ServiceAccount.
    pub account: Ref,
}

impl Claim {
    /// What an identity claims.
    pub fn of(identity: &WorkloadIdentity) -> Self {
        Self { realm: identity.spec.realm.clone(), account: account_of(identity) }
    }

    /// What an endpoint claims whose guards log in.
    pub fn of_guards(endpoint: &ModelEndpoint) -> Option<Self> {
        let account = &endpoint.spec.introspection.as_ref()?.service_account_name;
        let account = Ref::new(endpoint.namespace().unwrap_or_default(), account);
        Some(Self { realm: endpoint.spec.realm.clone(), account })
    }

    /// What an application claims whose sidecars log in.
    pub fn of_app(app: &WebApp) -> Option<Self> {
        let account = app.spec.service_account_name.as_ref()?;
        let account = Ref::new(app.namespace().unwrap_or_default(), account);
        Some(Self { realm: app.spec.realm.clone(), account })
    }
}

/// Stands for a ServiceAccount in an index, where ten thousand of them are. Two that have the same are told apart by who asks.
pub(super) fn account_key(account: &Ref) -> u64 {
    fingerprint::number(account)
}

/// The ServiceAccount of an identity.
pub(super) fn account_of(identity: &WorkloadIdentity) -> Ref {
    Ref::new(identity.namespace().unwrap_or_default(), &identity.spec.service_account_name)
}

/// The ServiceAccount of a pod.
pub(super) fn account_of_pod(pod: &RunningPod) -> Ref {
    Ref::new(pod.namespace().unwrap_or_default(), pod.service_account())
}

/// Whether an object was there before another: it keeps what both claim.
pub fn is_older(one: &impl ResourceExt, other: &impl ResourceExt) -> bool {
    let (one_created, other_created) = (one.creation_timestamp(), other.creation_timestamp());
    (one_created.map(|at| at.0), one.uid()) < (other_created.map(|at| at.0), other.uid())
}

/// Every cache, and the indexes over them.
pub struct Caches {
    /// KeycloakServers.
    pub servers: Store<KeycloakServer>,
    /// Realms.
    pub realms: Store<Realm>,
    /// ModelEndpoints.
    pub endpoints: Store<ModelEndpoint>,
    /// WebApps.
    pub apps: Store<WebApp>,
    /// WorkloadIdentities.
    pub identities: Store<WorkloadIdentity>,
    /// AccessGrants.
    pub grants: Store<AccessGrant>,
    /// Namespaces, for their labels.
    pub namespaces: Store<Namespace>,
    /// Pods, as far as they matter.
    pub pods: Store<RunningPod>,
    pub(super) endpoints_by_namespace: Index<String>,
    pub(super) apps_by_namespace: Index<String>,
    pub(super) grants_by_endpoint: Index<Ref>,
    pub(super) grants_by_subject: Index<Ref>,
    pub(super) identities_by_target: Index<Ref>,
    pub(super) identities_by_account: Index<u64>,
    pub(super) pods_by_namespace: Index<String>,
    pub(super) pods_by_account: Index<u64>,
}

impl Caches {
    /// A cluster-scoped object by name.
    pub fn cluster<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>, name: &str) -> Option<Arc<K>> {
        store.get(&ObjectRef::new(name))
    }

    /// A namespaced object by name.
    pub fn namespaced<K: Resource<DynamicType = ()> + Clone + 'static>(store: &Store<K>, name: &Ref) -> Option<Arc<K>> {
        store.get(&ObjectRef::new(&name.name).within(&name.namespace))
    }

    /// The endpoint of this name, where it exists, is valid and is not being deleted.
    pub fn endpoint(&self, name: &Ref) -> Option<Endpoint> {
        let mut endpoint = alive(Self::namespaced(&self.endpoints, name)?)?.parse().ok()?;
        // Its own pass tells why.
        let _ = self.settle_caller(&mut endpoint);
        Some(endpoint)
    }

    /// Takes away the identity with which an endpoint calls on behalf of others, where it is none that it could, and says why.
    pub fn settle_caller(&self, endpoint: &mut Endpoint) -> Result<(), Problem> {
        let Some(name) = endpoint.acts_as.take() else { return Ok(()) };
        let found = Self::namespaced(&self.identities, &name).and_then(alive);
        let found = found.and_then(|identity| identity.parse().ok()).ok_or_else(|| {
            let message = format!(
                "WorkloadIdentity {name} does not exist (or is invalid), so nobody is called on behalf of callers; create it or correct spec.onBehalfOf.identity"
            );
            Problem::new(ProblemReason::IdentityNotFound, message)
        })?;
        if found.realm != endpoint.realm {
            let message = format!(
                "WorkloadIdentity {name} is of realm {:?}, this endpoint of realm {:?}: tokens of one cannot be exchanged in the other, so nobody is called on behalf of callers",
                found.realm, endpoint.realm
            );
            return Err(Problem::new(ProblemReason::RealmMismatch, message));
        }
        if found.login.is_by_secret() {
            let message = format!(
                "WorkloadIdentity {name} logs in by a client secret, with two clients in turn, and a person's token can be for one client only, so nobody is called on behalf of callers; set its spec.credential to PrivateKeyJwt or KubernetesToken"
            );
            return Err(Problem::new(ProblemReason::CredentialUnfit, message));
        }
        endpoint.acts_as = Some(name);
        Ok(())
    }

    /// The endpoints that call on behalf of others with this identity, of whatever realm.
    pub fn acting_with(&self, identity: &Ref) -> Vec<Arc<ModelEndpoint>> {
        let names = self.endpoints_by_namespace.get(&identity.namespace);
        let found = names.iter().filter_map(|name| alive(Self::namespaced(&self.endpoints, name)?));
        found.filter(|endpoint| endpoint.acts_as().as_ref() == Some(identity)).collect()
    }

    /// The workload of this name, where it exists, is valid, is not being deleted and its realm admits its namespace:
    /// a namespace that is shut out of the realm takes its grants with it.
    pub fn workload(&self, name: &Ref) -> Option<Workload> {
        let workload = alive(Self::namespaced(&self.identities, name)?)?.parse().ok()?;
        self.admits(&workload.realm, &name.namespace).then_some(workload)
    }

    /// Whether a Realm exists and admits objects of a namespace.
    pub fn admits(&self, realm: &str, namespace: &str) -> bool {
        let allowed = Self::cluster(&self.realms, realm).and_then(|realm| realm.spec.namespaces.clone());
        allowed.is_some_and(|allowed| allowed.allows(&self.namespace_labels(namespace)))
    }

    /// The valid grants on an endpoint.
    pub fn grants_on(&self, endpoint: &Ref) -> Vec<Grant> {
        self.parsed_grants(self.grants_by_endpoint.get(endpoint))
    }

    /// The valid grants to a workload.
    pub fn grants_to(&self, workload: &Ref) -> Vec<Grant> {
        self.parsed_grants(self.grants_by_subject.get(workload))
    }

    fn parsed_grants(&self, names: Vec<Ref>) -> Vec<Grant> {
        names.iter().filter_map(|name| alive(Self::namespaced(&self.grants, name)?)?.parse().ok()).collect()
    }

    /// The endpoints whose guards log in with a ServiceAccount in a realm. Looked for among all: few do.
    pub fn introspecting(&self, claim: &Claim) -> Vec<Arc<ModelEndpoint>> {
        let asks = |endpoint: &ModelEndpoint| Claim::of_guards(endpoint).as_ref() == Some(claim);
        self.endpoints.state_filter(asks).into_iter().filter_map(alive).collect()
    }

    /// The applications whose sidecars log in with a ServiceAccount in a realm.
    pub fn signing_in(&self, claim: &Claim) -> Vec<Arc<WebApp>> {
        let logs_in = |app: &WebApp| Claim::of_app(app).as_ref() == Some(claim);
        self.apps.state_filter(logs_in).into_iter().filter_map(alive).collect()
    }

    /// Whoever else claims a ServiceAccount in a realm and was there before `object`, for messages.
    pub fn claimed_by_older(&self, claim: &Claim, object: &impl ResourceExt) -> Option<String> {
        let identities = self.claimants(claim);
        let identity = identities.iter().find(|other| is_older(other.as_ref(), object));
        let endpoints = self.introspecting(claim);
        let endpoint = endpoints.iter().find(|other| is_older(other.as_ref(), object));
        let apps = self.signing_in(claim);
        let app = apps.iter().find(|other| is_older(other.as_ref(), object));
        identity
            .map(|found| format!("WorkloadIdentity {}", name_of(found.as_ref())))
            .or_else(|| endpoint.map(|found| format!("ModelEndpoint {}", name_of(found.as_ref()))))
            .or_else(|| app.map(|found| format!("WebApp {}", name_of(found.as_ref()))))
    }

    /// The identities that claim a ServiceAccount in a realm.
    pub fn claimants(&self, claim: &Claim) -> Vec<Arc<WorkloadIdentity>> {
        let found = self.of_account(&claim.account).into_iter();
        found.filter(|identity| Claim::of(identity) == *claim).collect()
    }

    /// The identities of a ServiceAccount, of whatever realm.
    pub(super) fn of_account(&self, account: &Ref) -> Vec<Arc<WorkloadIdentity>> {
        let names = self.identities_by_account.get(&account_key(account));
        let found = names.iter().filter_map(|name| alive(Self::namespaced(&self.identities, name)?));
        found.filter(|identity| account_of(identity) == *account).collect()
    }

    /// The pods of a namespace that run without the guard that they should have.
    pub fn unguarded(&self, namespace: &str, served: &ServedPods<'_>) -> Vec<String> {
        let names = self.pods_by_namespace.get(&namespace.to_owned());
        self.pods_that(&names, |pod| pod.lacks_guard(served))
    }

    /// The pods of an application that signs people in itself which were told something else, or nothing.
    pub fn told_otherwise(&self, app: &WebApp, told: &Told) -> Vec<String> {
        let names = self.pods_by_namespace.get(&app.namespace().unwrap_or_default());
        self.pods_that(&names, |pod| pod.is_told_otherwise(app, told))
    }

    /// The pods of a namespace that serve, and whose containers name their ports, but not all of those that they should have.
    pub fn without_ports(&self, namespace: &str, served: &ServedPods<'_>) -> Vec<Arc<RunningPod>> {
        let names = self.pods_by_namespace.get(&namespace.to_owned());
        let found = names.iter().filter_map(|name| Self::namespaced(&self.pods, name));
        found.filter(|pod| !pod.lacks_ports(served).is_empty()).collect()
    }

    /// The pods of a namespace that serve behind their guard, by name, with their addresses.
    pub fn guarded(&self, namespace: &str, served: &ServedPods<'_>) -> Vec<(String, IpAddr)> {
        let names = self.pods_by_namespace.get(&namespace.to_owned());
        let found = names.iter().filter_map(|name| Self::namespaced(&self.pods, name));
        found.filter_map(|pod| Some((pod.name_any(), pod.serves(served)?))).collect()
    }

    /// The pods of an identity's ServiceAccount that run without its outbound half.
    pub fn unwired(&self, identity: &WorkloadIdentity) -> Vec<String> {
        let names = self.pods_by_account.get(&account_key(&account_of(identity)));
        self.pods_that(&names, |pod| pod.lacks_egress(identity))
    }

    /// The endpoints of a realm that people may call, and the applications that they may open.
    pub fn open_to_people(&self, realm: &str) -> BTreeSet<Ref> {
        let names_people =
            |grant: &AccessGrant| grant.spec.subjects.iter().any(|subject| subject.workload_identity.is_none());
        let grants = self.grants.state().into_iter().filter(|grant| names_people(grant));
        let endpoints = grants.map(|grant| Ref::new(grant.namespace().unwrap_or_default(), &grant.spec.endpoint));
        let is_of = |name: &Ref| Self::namespaced(&self.endpoints, name).is_some_and(|found| found.spec.realm == realm);
        let is_open = |app: &WebApp| app.spec.realm == realm && !app.spec.access.is_empty();
        let apps = self.apps.state_filter(is_open);
        endpoints.filter(is_of).chain(apps.iter().map(|app| name_of(app.as_ref()))).collect()
    }

    /// The pods that call with an identity's credential, by name, with their addresses.
    pub fn callers(&self, identity: &WorkloadIdentity) -> Vec<(String, IpAddr)> {
        let names = self.pods_by_account.get(&account_key(&account_of(identity)));
        let found = names.iter().filter_map(|name| Self::namespaced(&self.pods, name));
        found.filter_map(|pod| Some((pod.name_any(), pod.calls_with(identity)?))).collect()
    }

    fn pods_that(&self, names: &[Ref], lacks: impl Fn(&RunningPod) -> bool) -> Vec<String> {
        let found = names.iter().filter_map(|name| Self::namespaced(&self.pods, name));
        found.filter(|pod| lacks(pod)).map(|pod| pod.name_any()).collect()
    }

    /// The labels of a namespace; empty when there is no such namespace.
    pub fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        Self::cluster(&self.namespaces, namespace).map(|found| found.labels().clone()).unwrap_or_default()
    }
}

/// The object, unless it is being deleted.
fn alive<K: Resource>(object: Arc<K>) -> Option<Arc<K>> {
    object.meta().deletion_timestamp.is_none().then_some(object)
}
