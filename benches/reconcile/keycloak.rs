//! Keycloak without our client: the raw calls, and how many requests it was asked.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{CALLERS, Size, cluster::Cluster, cluster::caller};

#[derive(Clone)]
pub struct Keycloak {
    http: Client,
    url: String,
    internal: String,
    metrics: String,
    username: String,
    password: String,
    token: Arc<Mutex<Option<(Instant, String)>>>,
}

/// The realm of the raw run, with what its identities need.
pub struct RawRealm {
    keycloak: Keycloak,
    name: String,
    /// For each endpoint its client and its role `predict`.
    roles: Vec<(String, Value)>,
}

impl Keycloak {
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name}: source tests/env/env.sh"));
        let url = variable("KEYCLOAK_URL");
        Self {
            http: Client::new(),
            metrics: format!("{}/metrics", url.replace(":8080", ":9000")),
            internal: variable("KEYCLOAK_INTERNAL_URL"),
            url,
            username: variable("KEYCLOAK_ADMIN_USERNAME"),
            password: variable("KEYCLOAK_ADMIN_PASSWORD"),
            token: Arc::default(),
        }
    }

    pub fn issuer(&self, realm: &str) -> String {
        format!("{}/realms/{realm}", self.internal)
    }

    async fn token(&self) -> String {
        let mut kept = self.token.lock().await;
        if let Some((at, token)) = kept.as_ref().filter(|(at, _)| at.elapsed() < Duration::from_secs(30)) {
            let _ = at;
            return token.clone();
        }
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", &self.username),
            ("password", &self.password),
        ];
        let url = format!("{}/realms/master/protocol/openid-connect/token", self.url);
        let answer: Value = self.http.post(url).form(&form).send().await.expect("Keycloak").json().await.expect("JSON");
        let token = answer["access_token"].as_str().expect("a token").to_owned();
        *kept = Some((Instant::now(), token.clone()));
        token
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let request =
            self.http.request(method, format!("{}/admin/realms{path}", self.url)).bearer_auth(self.token().await);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await.expect("Keycloak answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer.json().await.unwrap_or_default()
    }

    /// A realm with the endpoints of this size.
    pub async fn raw_realm(&self, size: &Size) -> RawRealm {
        let name = format!("raw-{}", size.name);
        self.call(Method::POST, "", Some(&json!({"realm": name, "enabled": true, "adminEventsEnabled": true}))).await;
        let mut roles = Vec::new();
        for index in 0..size.endpoints {
            let id = format!("model-{index}");
            let client = json!({"id": format!("{:08}-{:.20}", index, size.name), "clientId": id, "protocol": "openid-connect",
                "publicClient": false, "standardFlowEnabled": false, "directAccessGrantsEnabled": false,
                "fullScopeAllowed": false});
            self.call(Method::POST, &format!("/{name}/clients"), Some(&client)).await;
            let uuid = client["id"].as_str().expect("an id").to_owned();
            self.call(Method::POST, &format!("/{name}/clients/{uuid}/roles"), Some(&json!({"name": "predict"}))).await;
            let role = self.call(Method::GET, &format!("/{name}/clients/{uuid}/roles/predict"), None).await;
            let scopes = ["read", "predict", "deploy", "admin"].map(|permission| format!("{id}:{permission}"));
            for scope in scopes {
                let scope = json!({"name": scope, "protocol": "openid-connect"});
                self.call(Method::POST, &format!("/{name}/client-scopes"), Some(&scope)).await;
            }
            roles.push((uuid, json!([{"id": role["id"], "name": "predict"}])));
        }
        RawRealm { keycloak: self.clone(), name, roles }
    }

    pub async fn drop_realm(&self, realm: &RawRealm) {
        self.call(Method::DELETE, &format!("/{}", realm.name), None).await;
    }

    /// How many requests Keycloak has answered.
    pub async fn requests(&self) -> u64 {
        self.counted(|line| !line.contains("/metrics") && !line.contains("/health")).await
    }

    /// How many of them read admin events: a number that depends on the clock, not on how many objects there are.
    pub async fn feed_requests(&self) -> u64 {
        self.counted(|line| line.contains("/admin-events")).await
    }

    async fn counted(&self, is_meant: impl Fn(&&str) -> bool) -> u64 {
        let text = self.http.get(&self.metrics).send().await.expect("metrics").text().await.expect("text");
        let lines = text.lines().filter(|line| line.starts_with("http_server_requests_seconds_count"));
        lines.filter(is_meant).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    /// Whether a ServiceAccount token gets a token with this scope.
    pub async fn has_token(&self, realm: &str, assertion: &str, scope: &str) -> bool {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
            ("scope", scope),
        ];
        let url = format!("{}/realms/{realm}/protocol/openid-connect/token", self.url);
        let Ok(answer) = self.http.post(url).form(&form).send().await else { return false };
        let body: Value = answer.json().await.unwrap_or_default();
        body["scope"].as_str().is_some_and(|granted| granted.split(' ').any(|found| found == scope))
    }
}

/// Every identity by hand: its client, its service account, its role, the two statuses.
pub async fn raw_run(realm: &RawRealm, cluster: &Cluster, size: &Size, in_flight: usize) {
    let make = |index: usize| async move {
        realm.identity(index).await;
        cluster.raw_status(size, index).await;
    };
    stream::iter(0..size.identities).map(make).buffer_unordered(in_flight).collect::<Vec<_>>().await;
}

/// The same calls to Keycloak without the statuses.
pub async fn warm_up(realm: &RawRealm, identities: usize, in_flight: usize) {
    let make = |index: usize| realm.identity(index);
    stream::iter(0..identities).map(make).buffer_unordered(in_flight).collect::<Vec<_>>().await;
}

impl RawRealm {
    async fn identity(&self, index: usize) {
        let (keycloak, realm) = (&self.keycloak, &self.name);
        let endpoint = index / CALLERS;
        let scopes = ["read", "predict", "deploy", "admin"].map(|permission| format!("model-{endpoint}:{permission}"));
        let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{realm}/{index}").as_bytes()).to_string();
        let client = json!({"id": id, "clientId": caller(index), "protocol": "openid-connect", "publicClient": false,
            "standardFlowEnabled": false, "directAccessGrantsEnabled": false, "serviceAccountsEnabled": true,
            "fullScopeAllowed": false, "clientAuthenticatorType": "federated-jwt",
            "attributes": {"jwt.credential.issuer": "bench", "jwt.credential.sub": format!("bench:{index}")},
            "defaultClientScopes": ["basic", "roles"], "optionalClientScopes": scopes});
        keycloak.call(Method::POST, &format!("/{realm}/clients"), Some(&client)).await;
        let account = keycloak.call(Method::GET, &format!("/{realm}/clients/{id}/service-account-user"), None).await;
        let (client, role) = &self.roles[endpoint];
        let account = account["id"].as_str().expect("an account");
        let path = format!("/{realm}/users/{account}/role-mappings/clients/{client}");
        keycloak.call(Method::POST, &path, Some(role)).await;
    }
}
