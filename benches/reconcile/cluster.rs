//! The objects in Kubernetes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, Namespace, ServiceAccount},
};
use keywire::api::{AccessGrant, KeycloakServer, ModelEndpoint, Realm, WorkloadIdentity};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{CALLERS, Size, keycloak::Keycloak};

/// Objects made at one time.
const AT_ONCE: usize = 16;
const POLL: Duration = Duration::from_millis(20);

pub struct Cluster {
    client: Client,
}

impl Cluster {
    pub async fn new() -> Self {
        Self { client: Client::try_default().await.expect("a cluster: source tests/env/env.sh") }
    }

    fn of<K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>>(
        &self,
        namespace: &str,
    ) -> Api<K> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn apply<K>(&self, api: Api<K>, name: &str, object: Value)
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let params = PatchParams::apply("bench").force();
        api.patch(name, &params, &Patch::Apply(object)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// The server, the realm, the namespace and the endpoints.
    pub async fn make_endpoints(&self, size: &Size) {
        let name = size.name.as_str();
        let local = std::env::var("KEYCLOAK_URL").expect("KEYCLOAK_URL");
        let issuer = std::env::var("KEYCLOAK_INTERNAL_URL").expect("KEYCLOAK_INTERNAL_URL");
        let server = json!({"apiVersion": "keywire.dev/v1alpha1", "kind": "KeycloakServer", "metadata": {"name": "bench"}, "spec": {
            "url": issuer, "internalUrl": local, "credentials": {"kubernetesToken": {"clientId": "keywire-operator"}},
            "limits": {"requestsPerSecond": 10000, "concurrent": crate::IN_FLIGHT}}});
        self.apply(Api::<KeycloakServer>::all(self.client.clone()), "bench", server).await;
        let realm = json!({"apiVersion": "keywire.dev/v1alpha1", "kind": "Realm", "metadata": {"name": name}, "spec": {
            "server": "bench", "realm": name, "workloadIssuer": {},
            "namespaces": {"selector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}, "deletionPolicy": "Delete"}});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.apply(Api::<Namespace>::all(self.client.clone()), name, namespace).await;
        self.apply(Api::<Realm>::all(self.client.clone()), name, realm).await;
        for index in 0..size.endpoints {
            let endpoint = format!("model-{index}");
            let spec = json!({"realm": name, "protocol": "OpenInference", "workload": {"matchLabels": {"app": endpoint}},
                "ports": [{"name": "http", "port": 8080}]});
            let object = object("ModelEndpoint", name, &endpoint, spec);
            self.apply(self.of::<ModelEndpoint>(name), &endpoint, object).await;
        }
    }

    pub async fn wait_endpoints_ready(&self, size: &Size) {
        loop {
            let endpoints = self.of::<ModelEndpoint>(&size.name).list(&ListParams::default()).await.expect("a list");
            let ready = endpoints
                .iter()
                .filter(|found| is_ready(found.status.as_ref().map(|status| &*status.conditions).unwrap_or_default()));
            if ready.count() == size.endpoints {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// The identities and a grant for each.
    pub async fn make_identities(&self, size: &Size) {
        let (identities, grants) = (self.of::<WorkloadIdentity>(&size.name), self.of::<AccessGrant>(&size.name));
        let make = |index: usize| {
            let (identities, grants, namespace) = (identities.clone(), grants.clone(), size.name.clone());
            async move {
                let name = caller(index);
                let grant: AccessGrant = from(grant(&namespace, &name, index));
                grants.create(&PostParams::default(), &grant).await.expect("a grant");
                let identity: WorkloadIdentity = from(identity(&namespace, &name, index));
                identities.create(&PostParams::default(), &identity).await.expect("an identity");
            }
        };
        stream::iter(0..size.identities).map(make).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    }

    /// The two status writes that belong to one identity in the raw run, with what the operator writes.
    pub async fn raw_status(&self, size: &Size, index: usize) {
        let name = caller(index);
        let (identities, grants) = (self.of::<WorkloadIdentity>(&size.name), self.of::<AccessGrant>(&size.name));
        let params = PatchParams::apply("bench").force();
        let patch = |kind: &str, status: Value| {
            Patch::Apply(
                json!({"apiVersion": "keywire.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "status": status}),
            )
        };
        let conditions = |all: &[(&str, &str, &str)]| -> Value { all.iter().copied().map(condition).collect() };
        let may_call = format!("may call {}/{}", size.name, endpoint(index));
        let of_identity = conditions(&[
            ("Ready", "Ready", &may_call),
            ("Accepted", "Valid", "the identity is valid and its realm admits it"),
            ("Targets", "Found", "every target exists"),
            ("Synced", "Synced", "Keycloak holds what it should"),
            ("Granted", "Granted", &may_call),
        ]);
        let of_grant = conditions(&[
            ("Ready", "Ready", "granted"),
            ("Accepted", "Valid", "the endpoint exists and offers what is granted"),
            ("Bound", "Bound", "in the endpoint's policy"),
        ]);
        let status = json!({"conditions": of_identity, "clientId": name, "grants": 1, "observedGeneration": 1, "realm": size.name});
        identities.patch_status(&name, &params, &patch("WorkloadIdentity", status)).await.expect("a status");
        let status = json!({"conditions": of_grant, "subjects": "1/1", "observedGeneration": 1});
        grants.patch_status(&name, &params, &patch("AccessGrant", status)).await.expect("a status");
    }

    /// Takes away what the raw run wrote: the operator is to find objects that nobody has looked at.
    pub async fn clear_statuses(&self, size: &Size) {
        let (identities, grants) = (self.of::<WorkloadIdentity>(&size.name), self.of::<AccessGrant>(&size.name));
        let clear = |index: usize| {
            let (identities, grants, name) = (identities.clone(), grants.clone(), caller(index));
            async move {
                let (params, nothing) = (PatchParams::default(), Patch::Merge(json!({"status": null})));
                identities.patch_status(&name, &params, &nothing).await.expect("no status");
                grants.patch_status(&name, &params, &nothing).await.expect("no status");
            }
        };
        stream::iter(0..size.identities).map(clear).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
    }

    /// Waits until every identity is ready; the time from `begun` to the last one.
    pub async fn wait_all_ready(&self, size: &Size, begun: Instant) -> Duration {
        loop {
            let taken = begun.elapsed();
            let identities = self.all::<WorkloadIdentity>(size).await;
            let is_done = |found: &WorkloadIdentity| {
                let status = found.status.as_ref();
                is_ready(status.map(|status| &*status.conditions).unwrap_or_default())
                    && status.and_then(|status| status.grants) == Some(1)
            };
            let done = identities.iter().filter(|found| is_done(found)).count();
            if done >= size.identities {
                return taken;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn all<K>(&self, size: &Size) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let api = self.of::<K>(&size.name);
        let (mut all, mut page) = (Vec::new(), ListParams::default().limit(500));
        loop {
            let found = api.list(&page).await.expect("a list");
            let next = found.metadata.continue_.clone().filter(|token| !token.is_empty());
            all.extend(found.items);
            match next {
                Some(token) => page = page.continue_token(&token),
                None => return all,
            }
        }
    }

    /// Deletes every object of ours, callers first, and waits until they are gone.
    pub async fn remove_all(&self) {
        self.remove::<AccessGrant>().await;
        self.remove::<WorkloadIdentity>().await;
        self.remove::<ModelEndpoint>().await;
        self.remove::<Realm>().await;
    }

    async fn remove<K>(&self)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let all = Api::<K>::all(self.client.clone());
        for object in all.list(&ListParams::default()).await.expect("a list") {
            let (name, params) = (object.name_any(), DeleteParams::default());
            let kind = ApiResource::erase::<K>(&());
            let api: Api<DynamicObject> = match object.namespace() {
                Some(namespace) => Api::namespaced_with(self.client.clone(), &namespace, &kind),
                None => Api::all_with(self.client.clone(), &kind),
            };
            api.delete(&name, &params).await.map(drop).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        while !all.list_metadata(&ListParams::default().limit(1)).await.expect("a list").items.is_empty() {
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Every object that the operator could write, with its version.
    pub async fn versions(&self, size: &Size) -> HashMap<String, String> {
        let mut versions = HashMap::new();
        collect(&mut versions, self.all::<WorkloadIdentity>(size).await);
        collect(&mut versions, self.all::<AccessGrant>(size).await);
        collect(&mut versions, self.all::<ModelEndpoint>(size).await);
        collect(&mut versions, self.all::<ConfigMap>(size).await);
        versions
    }

    /// How many of them were written, made or deleted since.
    pub async fn changed_since(&self, size: &Size, before: &HashMap<String, String>) -> usize {
        let now = self.versions(size).await;
        let changed = now.iter().filter(|(name, version)| before.get(*name) != Some(version)).count();
        changed + before.keys().filter(|name| !now.contains_key(*name)).count()
    }

    /// From `apply` of an identity to a token for it.
    pub async fn time_new_identity(&self, keycloak: &Keycloak, size: &Size) -> Duration {
        let namespace = &size.name;
        let account: ServiceAccount = from(json!({"metadata": {"name": "newcomer", "namespace": namespace}}));
        let accounts = self.of::<ServiceAccount>(namespace);
        accounts.create(&PostParams::default(), &account).await.expect("a ServiceAccount");
        let audience = keycloak.issuer(&size.name);
        let spec = TokenRequestSpec { audiences: Some(vec![audience]), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let token = accounts.create_token_request("newcomer", &PostParams::default(), &request).await.expect("a token");
        let assertion = token.status.and_then(|status| status.token).expect("a token");
        let grants = self.of::<AccessGrant>(namespace);
        grants.create(&PostParams::default(), &from(grant(namespace, "newcomer", 0))).await.expect("a grant");
        let begun = Instant::now();
        let newcomer: WorkloadIdentity = from(identity(namespace, "newcomer", 0));
        self.of::<WorkloadIdentity>(namespace).create(&PostParams::default(), &newcomer).await.expect("an identity");
        let scope = format!("model-0.{namespace}.endpoint:predict");
        while !keycloak.has_token(&size.name, &assertion, &scope).await {
            sleep(POLL).await;
        }
        begun.elapsed()
    }
}

fn condition((concern, reason, message): (&str, &str, &str)) -> Value {
    json!({"type": concern, "status": "True", "reason": reason, "message": message, "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z"})
}

fn collect<K: Resource<DynamicType = ()>>(versions: &mut HashMap<String, String>, objects: Vec<K>) {
    for object in objects {
        let name = format!("{}/{}", K::kind(&()), object.name_any());
        versions.insert(name, object.resource_version().unwrap_or_default());
    }
}

pub fn caller(index: usize) -> String {
    format!("caller-{index}")
}

fn endpoint(index: usize) -> String {
    format!("model-{}", index / CALLERS)
}

fn object(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "keywire.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec})
}

fn identity(namespace: &str, name: &str, index: usize) -> Value {
    let spec = json!({"realm": namespace, "serviceAccountName": name, "workload": {"matchLabels": {"app": name}},
        "targets": [{"env": "MODEL_URL", "endpoint": {"namespace": namespace, "name": endpoint(index)}}]});
    object("WorkloadIdentity", namespace, name, spec)
}

fn grant(namespace: &str, name: &str, index: usize) -> Value {
    let spec = json!({"endpoint": endpoint(index), "permissions": ["predict"],
        "subjects": [{"workloadIdentity": {"namespace": namespace, "name": name}}]});
    object("AccessGrant", namespace, name, spec)
}

fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("an object")
}

fn is_ready(conditions: &[keywire::api::condition::Condition]) -> bool {
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
