//! Objects for the tests of this module.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;

use super::{InjectSettings, select::Catalog};
use crate::api::{KeycloakServer, ModelEndpoint, Realm, WebApp, WorkloadIdentity};

/// A catalog of plain lists.
pub struct Fixtures {
    pub endpoints: Vec<Arc<ModelEndpoint>>,
    pub apps: Vec<Arc<WebApp>>,
    pub identities: Vec<Arc<WorkloadIdentity>>,
    pub realms: Vec<Arc<Realm>>,
    pub servers: Vec<Arc<KeycloakServer>>,
}

impl Fixtures {
    /// Endpoint vision/iris, identity agents/labeler and application tools/dagster, in realm ml of server main.
    pub fn demo() -> Self {
        let realm = json!({"metadata": {"name": "ml"}, "spec": {"server": "main", "realm": "ml"}});
        let server = json!({"metadata": {"name": "main"},
            "spec": {"url": "http://kc", "credentials": {"kubernetesToken": {"clientId": "keywire-operator"}}}});
        Self {
            endpoints: vec![Arc::new(endpoint("vision", "iris", "iris"))],
            apps: vec![Arc::new(app("tools", "dagster", "dagster"))],
            identities: vec![Arc::new(identity("agents", "labeler", "labeler"))],
            realms: vec![Arc::new(object("Realm", realm))],
            servers: vec![Arc::new(object("KeycloakServer", server))],
        }
    }
}

fn object<K: serde::de::DeserializeOwned>(kind: &str, mut value: serde_json::Value) -> K {
    value["apiVersion"] = json!("keywire.dev/v1alpha1");
    value["kind"] = json!(kind);
    serde_json::from_value(value).unwrap()
}

pub fn endpoint(namespace: &str, name: &str, app: &str) -> ModelEndpoint {
    let spec = json!({"realm": "ml", "protocol": "OpenInference", "workload": {"matchLabels": {"app": app}},
        "ports": [{"name": "http", "port": 8080}, {"name": "metrics", "port": 8082, "guardPort": 19000}]});
    object("ModelEndpoint", json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec}))
}

/// An application whose pods run with the ServiceAccount of its own name.
pub fn app(namespace: &str, name: &str, app: &str) -> WebApp {
    let spec = json!({"realm": "ml", "host": "dagster.example", "signIn": "Sidecar", "serviceAccountName": name,
        "workload": {"matchLabels": {"app": app}}, "port": 3000});
    object("WebApp", json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec}))
}

/// An application that signs people in itself, and is told its client's id.
pub fn native(namespace: &str, name: &str, app: &str, change: serde_json::Value) -> WebApp {
    let mut native = json!({"redirectPaths": ["/back"], "env": [{"name": "ID", "value": "${clientId}"}]});
    for (field, value) in change.as_object().into_iter().flatten() {
        native[field] = value.clone();
    }
    let spec = json!({"realm": "ml", "host": "board.example", "signIn": "Native", "native": native,
        "workload": {"matchLabels": {"app": app}}});
    object("WebApp", json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec}))
}

/// An identity for the ServiceAccount of its own name.
pub fn identity(namespace: &str, name: &str, app: &str) -> WorkloadIdentity {
    let target = json!({"namespace": "vision", "name": "iris"});
    let spec = json!({"realm": "ml", "serviceAccountName": name, "workload": {"matchLabels": {"app": app}},
        "targets": [{"endpoint": target, "env": "IRIS_URL"}, {"endpoint": target, "env": "SECOND_URL", "port": 16000}]});
    object("WorkloadIdentity", json!({"metadata": {"namespace": namespace, "name": name}, "spec": spec}))
}

pub fn settings() -> InjectSettings {
    InjectSettings {
        image: "keywire/proxy:1".into(),
        image_pull_policy: "IfNotPresent".into(),
        policy_url: "https://keywire-policy.keywire-system.svc:8443".into(),
        resources: serde_json::from_value(json!({"requests": {"cpu": "10m"}})).unwrap(),
    }
}

pub fn labels(app: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("app".to_owned(), app.to_owned()), ("tier".to_owned(), "x".to_owned())])
}

impl Catalog for Fixtures {
    fn endpoints(&self, namespace: &str) -> Vec<Arc<ModelEndpoint>> {
        let here = |e: &&Arc<ModelEndpoint>| e.metadata.namespace.as_deref() == Some(namespace);
        self.endpoints.iter().filter(here).cloned().collect()
    }

    fn apps(&self, namespace: &str) -> Vec<Arc<WebApp>> {
        let here = |a: &&Arc<WebApp>| a.metadata.namespace.as_deref() == Some(namespace);
        self.apps.iter().filter(here).cloned().collect()
    }

    fn identities(&self, namespace: &str) -> Vec<Arc<WorkloadIdentity>> {
        let here = |i: &&Arc<WorkloadIdentity>| i.metadata.namespace.as_deref() == Some(namespace);
        self.identities.iter().filter(here).cloned().collect()
    }

    fn realm(&self, name: &str) -> Option<Arc<Realm>> {
        self.realms.iter().find(|r| r.metadata.name.as_deref() == Some(name)).cloned()
    }

    fn server(&self, name: &str) -> Option<Arc<KeycloakServer>> {
        self.servers.iter().find(|s| s.metadata.name.as_deref() == Some(name)).cloned()
    }
}
