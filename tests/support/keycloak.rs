//! A real Keycloak for tests: where it is, a realm of one's own, and the Admin API without our client in between.

use std::future::Future;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keywire::core::desired::{
    ClientRole, Credential, DesiredEndpoint, DesiredWorkload, Owner, PermissionScope, SecondClient, object_id,
};
use keywire::keycloak::{Admin, AdminConfig, Credentials, Limits, RealmAdmin};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use url::Url;

/// The server under test and its administrator.
#[derive(Clone)]
pub struct Keycloak {
    pub url: Url,
    pub username: String,
    pub password: String,
}

impl Keycloak {
    /// From the environment. A test that needs Keycloak fails without one; it is never skipped.
    pub fn from_env() -> Self {
        let variable = |name: &str| {
            std::env::var(name).unwrap_or_else(|_| {
                panic!(
                    "{name} is not set. Contract tests run against a real Keycloak: set KEYCLOAK_URL, \
                     KEYCLOAK_ADMIN_USERNAME and KEYCLOAK_ADMIN_PASSWORD"
                )
            })
        };
        let url = variable("KEYCLOAK_URL").parse().expect("KEYCLOAK_URL is a URL");
        Self { url, username: variable("KEYCLOAK_ADMIN_USERNAME"), password: variable("KEYCLOAK_ADMIN_PASSWORD") }
    }

    /// Our client, as the administrator.
    pub fn admin(&self) -> Admin {
        let credentials =
            Credentials::Password { username: self.username.clone(), password: self.password.clone().into() };
        self.admin_with("master", credentials)
    }

    /// Whether the server is older than 26.6: what is said of it was found on 26.5.0.
    pub async fn is_before_26_6(&self) -> bool {
        let version = self.admin().check().await.expect("the administrator logs in").version.expect("a version");
        let numbers: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
        numbers.as_slice() < &[26, 6][..]
    }

    /// Our client, logged in some other way.
    pub fn admin_with(&self, login_realm: &str, credentials: Credentials) -> Admin {
        admin_at(self.url.clone(), login_realm, credentials)
    }
}

pub fn admin_at(url: Url, login_realm: &str, credentials: Credentials) -> Admin {
    let limits = Limits { requests_per_second: 0, concurrent: 8 };
    let config = AdminConfig { url, login_realm: login_realm.to_owned(), credentials, trust: None, limits };
    Admin::new(config).expect("a client")
}

/// The secret of the clients that tests make.
pub const SECRET: &str = "only-for-this-test";

/// A client for Keycloak and what stands before it, which gives up on what will never answer.
pub fn http() -> Client {
    Client::builder().timeout(Duration::from_secs(60)).build().expect("a client")
}

/// A name that no other test has, in this run or another.
pub fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    format!("{prefix}-{}-{nanos:x}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A realm that is one test's own.
#[derive(Clone)]
pub struct TestRealm {
    pub keycloak: Keycloak,
    pub admin: Admin,
    pub realm: RealmAdmin,
    pub raw: Raw,
    pub name: String,
}

/// Runs a test in a fresh realm, and deletes the realm whatever the outcome.
pub async fn in_realm<F>(test: impl FnOnce(TestRealm) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let keycloak = Keycloak::from_env();
    let name = unique("contract");
    let master = Raw::log_in(&keycloak, "").await;
    let body = json!({"realm": name, "enabled": true, "sslRequired": "external"});
    assert_eq!(master.post("", &body).await.0, 201, "the test's realm is created");
    // Rights in a new realm are in tokens that are made after it.
    let raw = Raw::log_in(&keycloak, &format!("/{name}")).await;
    let admin = keycloak.admin();
    let realm = admin.realm(&name);
    let path = format!("/{name}");
    deleting(vec![path], test(TestRealm { keycloak, admin, realm, raw, name })).await;
}

/// Runs a test, and deletes what is at these paths of the Admin API whatever the outcome.
pub async fn deleting(paths: Vec<String>, test: impl Future<Output = ()> + Send + 'static) {
    let outcome = tokio::spawn(test).await;
    let raw = Raw::log_in(&Keycloak::from_env(), "").await;
    for path in paths {
        let (status, _) = raw.delete(&path).await;
        assert!(matches!(status, 204 | 404), "{path} is left behind: {status}");
    }
    if let Err(error) = outcome {
        resume_unwind(error.into_panic());
    }
}

/// The Admin API as it is.
#[derive(Clone)]
pub struct Raw {
    client: Client,
    base: String,
    token: String,
}

impl Raw {
    /// As the administrator; `realm` is empty or `/NAME`.
    pub async fn log_in(keycloak: &Keycloak, realm: &str) -> Self {
        let server = keycloak.url.as_str().trim_end_matches('/');
        let client = http();
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", keycloak.username.as_str()),
            ("password", keycloak.password.as_str()),
        ];
        let url = format!("{server}/realms/master/protocol/openid-connect/token");
        let answer = client.post(url).form(&form).send().await.expect("Keycloak answers at KEYCLOAK_URL");
        let body: Value = answer.json().await.expect("a token answer");
        let token = body["access_token"].as_str().expect("KEYCLOAK_ADMIN_USERNAME and _PASSWORD are right").to_owned();
        Self { client, base: format!("{server}/admin/realms{realm}"), token }
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> (u16, Value) {
        self.send(Method::DELETE, path, None).await
    }

    pub async fn delete_with(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(Method::DELETE, path, Some(body)).await
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// The status and the length of the body that came with it.
    pub async fn head(&self, path: &str) -> (u16, usize) {
        let request = self.client.head(format!("{}{path}", self.base)).bearer_auth(&self.token);
        let answer = request.send().await.expect("Keycloak answers");
        let status = answer.status().as_u16();
        (status, answer.bytes().await.expect("an end").len())
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("Keycloak answers");
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }
}

impl TestRealm {
    /// An id that is this test's own: Keycloak's ids are unique in the whole server.
    pub fn id(&self, name: &str) -> String {
        object_id("test", &self.name, "", "", name).to_string()
    }

    /// An endpoint in namespace `vision` with these permissions.
    pub fn endpoint(&self, name: &str, permissions: &[&str]) -> DesiredEndpoint {
        endpoint(&self.name, name, permissions)
    }

    /// A workload in namespace `agents` that trusts the issuer `cluster`, targets these endpoints and is granted nothing.
    pub fn workload(&self, name: &str, targets: &[&DesiredEndpoint]) -> DesiredWorkload {
        workload(&self.name, name, "cluster", targets)
    }

    /// The realm's `iss`: the one audience of assertions.
    pub async fn issuer(&self) -> String {
        issuer_of(&self.keycloak, &self.name).await
    }

    /// A client in this realm that logs in with a secret and holds these roles of `realm-management`.
    pub async fn operator_with(&self, roles: &[&str]) -> RealmAdmin {
        let client_id = self.account_with(roles).await;
        let credentials = Credentials::ClientSecret { client_id, secret: SECRET.into() };
        self.keycloak.admin_with(&self.name, credentials).realm(&self.name)
    }

    /// The same, without our client in between.
    pub async fn raw_operator_with(&self, roles: &[&str]) -> Raw {
        let client_id = self.account_with(roles).await;
        let form = [("grant_type", "client_credentials"), ("client_id", client_id.as_str()), ("client_secret", SECRET)];
        let url = self.realm.token_url();
        let answer = self.raw.client.post(url).form(&form).send().await.expect("Keycloak answers");
        let body: Value = answer.json().await.expect("a token answer");
        let token = body["access_token"].as_str().expect("a token").to_owned();
        Raw { token, ..self.raw.clone() }
    }

    async fn account_with(&self, roles: &[&str]) -> String {
        let client_id = unique("operator");
        let body = json!({"id": null, "clientId": client_id, "secret": SECRET, "serviceAccountsEnabled": true,
            "publicClient": false, "standardFlowEnabled": false});
        assert_eq!(self.raw.post("/clients", &body).await.0, 201);
        let client = self.realm.find_client(&client_id).await.expect("readable").expect("created").reference();
        let account = self.realm.get_service_account(&client.id).await.expect("a service account");
        let management = self.realm.find_client("realm-management").await.expect("readable").expect("built in");
        let management = management.reference().id;
        let mut granted = Vec::new();
        for role in roles {
            granted.push(self.realm.get_client_role(&management, role).await.expect("built in"));
        }
        if !granted.is_empty() {
            self.realm.map_client_roles(&account.id, &management, &granted).await.expect("granted");
        }
        client_id
    }
}

/// The `iss` of a realm, as its discovery document has it.
pub async fn issuer_of(keycloak: &Keycloak, realm: &str) -> String {
    let server = keycloak.url.as_str().trim_end_matches('/');
    let url = format!("{server}/realms/{realm}/.well-known/openid-configuration");
    let document: Value = reqwest::get(url).await.expect("discovery").json().await.expect("a document");
    document["issuer"].as_str().expect("an issuer").to_owned()
}

/// The owner of what a test makes.
pub fn owner(kind: &str, namespace: Option<&str>, name: &str) -> Owner {
    Owner {
        cluster: "test".into(),
        kind: kind.into(),
        namespace: namespace.map(Into::into),
        name: name.into(),
        uid: "5f4a".into(),
    }
}

/// An endpoint in namespace `vision` with these permissions.
pub fn endpoint(realm: &str, name: &str, permissions: &[&str]) -> DesiredEndpoint {
    let id = object_id("test", realm, "ModelEndpoint", "vision", name);
    let client_id = format!("{name}.vision.endpoint");
    let role = |name: &&str| ClientRole { name: (*name).into(), description: format!("May {name}"), included_by: None };
    DesiredEndpoint {
        id,
        display_name: format!("vision/{name}"),
        owner: owner("ModelEndpoint", Some("vision"), name),
        roles: permissions.iter().map(role).collect(),
        scopes: permissions.iter().map(|name| PermissionScope::new(id, &client_id, &client_id, name)).collect(),
        client_id,
        login: None,
        people: Vec::new(),
        browser: None,
        adopt: false,
    }
}

/// A workload in namespace `agents` that targets these endpoints and is granted nothing.
pub fn workload(realm: &str, name: &str, issuer_alias: &str, targets: &[&DesiredEndpoint]) -> DesiredWorkload {
    DesiredWorkload {
        id: object_id("test", realm, "WorkloadIdentity", "agents", name),
        client_id: format!("{name}.agents.workload"),
        display_name: format!("agents/{name}"),
        owner: owner("WorkloadIdentity", Some("agents"), name),
        enabled: true,
        credential: Credential::Federated {
            issuer_alias: issuer_alias.into(),
            subject: format!("system:serviceaccount:agents:{name}"),
        },
        optional_scopes: targets.iter().flat_map(|target| &target.scopes).map(PermissionScope::reference).collect(),
        claims: Vec::new(),
        acts_on_behalf: false,
        roles: Default::default(),
        grants: Default::default(),
        adopt: false,
        second: SecondClient::Never,
    }
}
