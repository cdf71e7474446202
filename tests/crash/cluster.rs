//! Kubernetes as its administrator sees it: past the proxy.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use keywire::api::crds;
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::eventually::eventually;
use crate::objects::kinds;

/// The API server.
#[derive(Clone)]
pub struct Cluster {
    pub client: Client,
}

impl Cluster {
    /// Of KUBECONFIG, with our kinds.
    pub async fn with_our_kinds() -> Self {
        assert!(std::env::var_os("KUBECONFIG").is_some(), "KUBECONFIG is not set: start it with make crash");
        let cluster = Self { client: Client::try_default().await.expect("an API server: start it with make crash") };
        for crd in crds() {
            cluster.apply(&json!(crd)).await;
        }
        // Served a moment after they are there.
        for (kind, _) in kinds("") {
            let api = Api::<DynamicObject>::all_with(cluster.client.clone(), &kind);
            let listed = async || api.list(&ListParams::default()).await.map(drop).map_err(|error| error.to_string());
            eventually(&format!("{} are served", kind.plural), listed).await;
        }
        cluster
    }

    /// Server-side apply of an object of any kind.
    pub async fn apply(&self, object: &Value) {
        let typed: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
        let types = typed.types.clone().expect("kind and version");
        let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
        let kind = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(group, version, &types.kind));
        let params = PatchParams::apply("crash-test").force();
        let api = self.api(&kind, typed.namespace().as_deref());
        let applied = api.patch(&typed.name_any(), &params, &Patch::Apply(object)).await;
        applied.unwrap_or_else(|error| panic!("{} {}: {error}", types.kind, typed.name_any()));
    }

    /// A Secret in the operator's namespace.
    pub async fn apply_secret(&self, name: &str, data: Value) {
        let namespace = crate::objects::OPERATOR_NAMESPACE;
        self.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace},
            "stringData": data}))
            .await;
    }

    pub async fn apply_namespace(&self, name: &str) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})).await;
    }

    fn api(&self, kind: &ApiResource, namespace: Option<&str>) -> Api<DynamicObject> {
        match namespace {
            Some(namespace) => Api::namespaced_with(self.client.clone(), namespace, kind),
            None => Api::all_with(self.client.clone(), kind),
        }
    }

    /// Begins the deletion of a tenant's objects of these kinds, the last made first.
    pub async fn delete(&self, tenant: &str, plurals: &[&str]) {
        for (kind, name) in kinds(tenant).iter().rev().filter(|(kind, _)| plurals.contains(&kind.plural.as_str())) {
            let api = self.api(kind, namespace_of(kind, tenant));
            match api.delete(name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                result => drop(result.unwrap_or_else(|error| panic!("{} {name}: {error}", kind.kind))),
            }
        }
    }

    /// Deletes a tenant's objects without the operator.
    pub async fn wipe(&self, tenant: &str) {
        let all = kinds(tenant);
        self.delete(tenant, &all.each_ref().map(|(kind, _)| kind.plural.as_str())).await;
        for (kind, name) in &all {
            let (api, patch) = (self.api(kind, namespace_of(kind, tenant)), json!({"metadata": {"finalizers": null}}));
            match api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                result => drop(result.unwrap_or_else(|error| panic!("{} {name}: {error}", kind.kind))),
            }
        }
        self.collect_garbage(tenant).await;
    }

    /// Removes what was kept for objects that are gone. There is no garbage collector here that would.
    pub async fn collect_garbage(&self, namespace: &str) {
        let (delete, list) = (DeleteParams::default(), ListParams::default());
        let maps = Api::<ConfigMap>::namespaced(self.client.clone(), namespace);
        let policies = Api::<NetworkPolicy>::namespaced(self.client.clone(), namespace);
        maps.delete_collection(&delete, &list).await.expect("ConfigMaps go");
        policies.delete_collection(&delete, &list).await.expect("NetworkPolicies go");
        let services = Api::<Service>::namespaced(self.client.clone(), namespace);
        for service in services.list(&list).await.expect("Services") {
            services.delete(&service.name_any(), &delete).await.expect("a Service goes");
        }
    }

    /// All objects of all tenants, and what is kept for them.
    pub async fn everything(&self) -> Vec<Value> {
        let ours = join_all(kinds("").map(|(kind, _)| self.list_dynamic(kind))).await.into_iter().flatten();
        let (maps, services, policies) =
            tokio::join!(self.list::<ConfigMap>(), self.list::<Service>(), self.list::<NetworkPolicy>());
        ours.chain(maps).chain(services).chain(policies).collect()
    }

    async fn list_dynamic(&self, kind: ApiResource) -> Vec<Value> {
        let found = self.api(&kind, None).list(&ListParams::default()).await.expect("a list");
        found.items.iter().map(|object| with_kind(json!(object), &kind.kind)).collect()
    }

    async fn list<K>(&self) -> Vec<Value>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        let found = Api::<K>::all(self.client.clone()).list(&ListParams::default()).await.expect("a list");
        found.items.iter().map(|object| with_kind(json!(object), &K::kind(&()))).collect()
    }

    /// What the Secrets of a namespace hold.
    pub async fn secrets(&self, namespace: &str) -> BTreeMap<String, Value> {
        let api = Api::<Secret>::namespaced(self.client.clone(), namespace);
        let found = api.list(&ListParams::default()).await.expect("Secrets");
        found.iter().map(|secret| (secret.name_any(), json!(secret.data))).collect()
    }

    /// What is at this path.
    pub async fn get_raw(&self, path: &str) -> Value {
        let request = http::Request::get(path).body(Vec::new()).expect("a request");
        self.client.request(request).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

fn namespace_of<'a>(kind: &ApiResource, tenant: &'a str) -> Option<&'a str> {
    (!matches!(kind.plural.as_str(), "keycloakservers" | "realms")).then_some(tenant)
}

/// In a list the items do not say what they are.
fn with_kind(mut object: Value, kind: &str) -> Value {
    object["kind"] = json!(kind);
    object
}
