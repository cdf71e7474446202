//! The objects in the cluster: a realm, endpoints, identities, grants; and the certificate of the streams.

use std::{collections::BTreeMap, path::Path, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::{Namespace, Secret, Service, ServiceAccount},
};
use keywire::api::{AccessGrant, KeycloakServer, ModelEndpoint, Realm, WorkloadIdentity, condition::Condition};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

/// Endpoints, and as many identities, each with a target and a grant.
pub const OBJECTS: usize = 300;
const AT_ONCE: usize = 16;
/// The application's port of each endpoint; its guard listens ten thousand above.
pub const APP_PORT: u16 = 28080;

pub struct Scene {
    /// Namespace, realm and server.
    pub name: String,
    pub client: Client,
    pub http: reqwest::Client,
    /// Files of the processes, and `ca.crt`, which vouches for their listeners at `localhost`.
    pub files: TempDir,
    keycloak: String,
    issuer: String,
}

impl Scene {
    pub async fn make() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name}: source tests/env/env.sh"));
        let name = format!("bench-{:x}", std::process::id());
        let issuer = format!("{}/realms/{name}", variable("KEYCLOAK_INTERNAL_URL"));
        let client = Client::try_default().await.expect("a cluster: source tests/env/env.sh");
        let files = tempfile::tempdir().expect("a folder");
        let keycloak = variable("KEYCLOAK_URL");
        let http = reqwest::Client::new();
        let scene = Self { name, client, http, files, keycloak, issuer };
        println!("{}: {OBJECTS} endpoints, identities and grants", scene.name);
        scene.platform().await;
        stream::iter(0..OBJECTS).map(|index| scene.team(index)).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await;
        for index in 0..OBJECTS {
            scene.until_granted(index).await;
        }
        scene
    }

    async fn platform(&self) {
        let name = &self.name;
        self.apply(Api::<Namespace>::all(self.client.clone()), name, json!({"apiVersion": "v1", "kind": "Namespace"}))
            .await;
        let outside = self.issuer.split("/realms/").next().unwrap_or_default();
        let spec = json!({"url": outside, "internalUrl": self.reachable(outside).await,
            "credentials": {"kubernetesToken": {"clientId": "keywire-operator"}}});
        self.apply(Api::<KeycloakServer>::all(self.client.clone()), name, ours("KeycloakServer", spec)).await;
        let spec = json!({"server": name, "realm": name, "workloadIssuer": {}, "deletionPolicy": "Delete",
            "namespaces": {"selector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}});
        self.apply(Api::<Realm>::all(self.client.clone()), name, ours("Realm", spec)).await;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        std::fs::write(self.file("ca.crt"), made.cert.pem()).expect("a file");
        let data = json!({"tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem()});
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "stringData": data});
        self.apply(self.api::<Secret>(), "keywire-tls", secret).await;
    }

    /// Keycloak's URL for pods and for the sidecars of this machine, which know no names of the cluster: its Service's address.
    async fn reachable(&self, url: &str) -> String {
        let host = url.trim_start_matches("http://").split(':').next().unwrap_or_default();
        let (name, rest) = host.split_once('.').expect("a Service's name");
        let services = Api::<Service>::namespaced(self.client.clone(), rest.trim_end_matches(".svc"));
        let service = services.get(name).await.expect("Keycloak's Service");
        let address = service.spec.and_then(|spec| spec.cluster_ip).expect("an address");
        url.replace(host, &address)
    }

    async fn team(&self, index: usize) {
        let (model, caller) = (model(index), caller(index));
        let spec = json!({"realm": self.name, "protocol": "OpenInference", "workload": {"matchLabels": {"app": model}},
            "ports": [{"name": "http", "port": APP_PORT}]});
        self.apply(self.api::<ModelEndpoint>(), &model, ours("ModelEndpoint", spec)).await;
        self.apply(self.api::<ServiceAccount>(), &caller, json!({"apiVersion": "v1", "kind": "ServiceAccount"})).await;
        let target = json!({"env": "MODEL_URL", "endpoint": {"namespace": self.name, "name": model}});
        let spec = json!({"realm": self.name, "serviceAccountName": caller, "workload": {"matchLabels": {"app": caller}},
            "targets": [target]});
        self.apply(self.api::<WorkloadIdentity>(), &caller, ours("WorkloadIdentity", spec)).await;
        self.grant(index).await;
    }

    /// Grants the caller of this number the model of this number.
    pub async fn grant(&self, index: usize) {
        let subject = json!({"workloadIdentity": {"namespace": self.name, "name": caller(index)}});
        let spec = json!({"endpoint": model(index), "subjects": [subject], "permissions": ["read", "predict"]});
        self.apply(self.api::<AccessGrant>(), &caller(index), ours("AccessGrant", spec)).await;
    }

    /// Takes it back. Returns with the API server's answer.
    pub async fn revoke(&self, index: usize) {
        self.api::<AccessGrant>().delete(&caller(index), &DeleteParams::default()).await.expect("a grant");
    }

    async fn until_granted(&self, index: usize) {
        loop {
            let identity = self.api::<WorkloadIdentity>().get(&caller(index)).await.expect("an identity");
            let status = identity.status.unwrap_or_default();
            let is = |name: &str| status.conditions.iter().any(|found| is_true(found, name));
            if is("Ready") && is("Granted") {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    pub fn api<K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>>(&self) -> Api<K> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub fn file(&self, name: &str) -> std::path::PathBuf {
        self.files.path().join(name)
    }

    /// A client that trusts the listeners under measurement.
    pub fn trusting(&self, change: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> reqwest::Client {
        let ca = std::fs::read(self.file("ca.crt")).expect("a CA");
        let root = reqwest::Certificate::from_pem(&ca).expect("a CA");
        change(reqwest::Client::builder().tls_certs_only([root])).build().expect("a client")
    }

    /// A token of a caller's ServiceAccount.
    pub async fn account_token(&self, index: usize, audience: &str) -> String {
        let spec = TokenRequestSpec { audiences: Some(vec![audience.to_owned()]), ..TokenRequestSpec::default() };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        let accounts = self.api::<ServiceAccount>();
        let answer = accounts.create_token_request(&caller(index), &PostParams::default(), &request).await;
        answer.expect("a token").status.expect("a status").token.expect("its text")
    }

    /// A token of a caller's identity for its model, from Keycloak, once the grant has arrived there: the scope vanishes until
    /// then.
    pub async fn access_token(&self, index: usize) -> String {
        let scope = format!("{}:read", self.audience(index));
        let form = BTreeMap::from([
            ("grant_type", "client_credentials".to_owned()),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
            ("client_assertion", self.account_token(index, &self.issuer).await),
            ("scope", scope.clone()),
        ]);
        loop {
            let answer = self.http.post(self.token_url()).form(&form).send().await.expect("Keycloak");
            let answer: Value = answer.json().await.expect("JSON");
            if answer["scope"].as_str().is_some_and(|granted| granted.split(' ').any(|one| one == scope)) {
                return answer["access_token"].as_str().expect("a token").to_owned();
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub fn token_url(&self) -> String {
        format!("{}/realms/{}/protocol/openid-connect/token", self.keycloak, self.name)
    }

    pub fn audience(&self, index: usize) -> String {
        format!("{}.{}.endpoint", model(index), self.name)
    }

    async fn apply<K: Resource + Clone + DeserializeOwned + std::fmt::Debug>(
        &self,
        api: Api<K>,
        name: &str,
        mut object: Value,
    ) {
        object["metadata"]["name"] = json!(name);
        let params = PatchParams::apply("bench").force();
        api.patch(name, &params, &Patch::Apply(object)).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Takes everything away.
    pub async fn remove(self) {
        let params = DeleteParams::default();
        let all = kube::api::ListParams::default();
        self.api::<AccessGrant>().delete_collection(&params, &all).await.expect("grants");
        self.api::<WorkloadIdentity>().delete_collection(&params, &all).await.expect("identities");
        self.api::<ModelEndpoint>().delete_collection(&params, &all).await.expect("endpoints");
        gone(&Api::<Realm>::all(self.client.clone()), &self.name).await;
        gone(&Api::<KeycloakServer>::all(self.client.clone()), &self.name).await;
        gone(&Api::<Namespace>::all(self.client.clone()), &self.name).await;
    }
}

async fn gone<K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug>(api: &Api<K>, name: &str) {
    api.delete(name, &DeleteParams::default()).await.expect("it can be deleted");
    while api.get_opt(name).await.expect("an answer").is_some() {
        sleep(Duration::from_millis(200)).await;
    }
}

fn is_true(condition: &Condition, name: &str) -> bool {
    let written = serde_json::to_value(condition).unwrap_or_default();
    written["type"] == name && written["status"] == "True"
}

fn ours(kind: &str, spec: Value) -> Value {
    json!({"apiVersion": "keywire.dev/v1alpha1", "kind": kind, "spec": spec})
}

pub fn model(index: usize) -> String {
    format!("model-{index}")
}

pub fn caller(index: usize) -> String {
    format!("caller-{index}")
}

/// The path of a file as an argument has it.
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
