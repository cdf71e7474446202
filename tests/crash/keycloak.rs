//! Keycloak as its administrator sees it: past the proxies.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use keywire::core::desired::{OWNER_ATTRIBUTE, Owner};
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::{eventually::eventually, kubernetes::text};

/// For how long a token is used: less than it lives.
const USED: Duration = Duration::from_secs(30);
/// Of every realm, not ours, and long.
const LEFT_OUT: [&str; 3] = ["authenticationFlows", "authenticatorConfig", "requiredActions"];

/// The administrator.
#[derive(Clone)]
pub struct Keycloak {
    http: Client,
    /// Where it answers.
    pub url: String,
    /// The issuer's beginning.
    pub issuer: String,
    username: String,
    password: String,
    token: Arc<Mutex<Option<(Instant, String)>>>,
}

impl Keycloak {
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name}: start it with make crash"));
        Self {
            http: Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client"),
            url: variable("KEYCLOAK_URL"),
            issuer: variable("KEYCLOAK_INTERNAL_URL"),
            username: variable("KEYCLOAK_ADMIN_USERNAME"),
            password: variable("KEYCLOAK_ADMIN_PASSWORD"),
            token: Arc::default(),
        }
    }

    async fn token(&self) -> String {
        let mut kept = self.token.lock().await;
        if let Some((at, token)) = &*kept
            && at.elapsed() < USED
        {
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
        let token = text(&answer["access_token"]).to_owned();
        *kept = Some((Instant::now(), token.clone()));
        token
    }

    /// A call below `/admin/realms`.
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}/admin/realms{path}", self.url));
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.bearer_auth(self.token().await).send().await.expect("Keycloak answers");
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, found) = self.call(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {found}");
        found
    }

    /// A client in realm `master` that may make realms.
    pub async fn make_login(&self, client_id: &str, secret: &str) {
        let body = json!({"clientId": client_id, "secret": secret, "serviceAccountsEnabled": true, "publicClient": false,
            "standardFlowEnabled": false, "fullScopeAllowed": true});
        let (status, answer) = self.call(Method::POST, "/master/clients", Some(&body)).await;
        assert_eq!(status, 201, "client {client_id}: {answer}");
        let client = self.get(&format!("/master/clients?clientId={client_id}")).await;
        let account = self.get(&format!("/master/clients/{}/service-account-user", text(&client[0]["id"]))).await;
        let role = self.get("/master/roles/create-realm").await;
        let path = format!("/master/users/{}/role-mappings/realm", text(&account["id"]));
        assert_eq!(self.call(Method::POST, &path, Some(&json!([role]))).await.0, 204, "{client_id} may make realms");
    }

    /// Deletes a realm, if there is one.
    pub async fn delete_realm(&self, realm: &str) {
        let (status, answer) = self.call(Method::DELETE, &format!("/{realm}"), None).await;
        assert!(matches!(status, 204 | 404), "realm {realm}: {answer}");
    }

    /// Deletes every realm and every client of `master` whose name begins so.
    pub async fn delete_all(&self, prefix: &str) {
        let theirs = |found: &Value, name: &str| text(&found[name]).starts_with(prefix);
        let realms = self.get("?briefRepresentation=true").await;
        for realm in realms.as_array().into_iter().flatten().filter(|realm| theirs(realm, "realm")) {
            self.delete_realm(text(&realm["realm"])).await;
        }
        let clients = self.get(&format!("/master/clients?clientId={prefix}&search=true")).await;
        for client in clients.as_array().into_iter().flatten().filter(|client| theirs(client, "clientId")) {
            self.call(Method::DELETE, &format!("/master/clients/{}", text(&client["id"])), None).await;
        }
    }

    /// A realm as it is exported. While it is made, or goes, the rights in it come and go too.
    async fn export(&self, path: &str) -> Option<Value> {
        eventually("a realm is there or not", async || match self.call(Method::POST, path, None).await {
            (200, export) => Ok(Some(export)),
            (404, _) => Ok(None),
            (status, answer) => {
                self.token.lock().await.take();
                Err(format!("{status}: {answer}"))
            }
        })
        .await
    }

    /// How a realm stands; none if there is none.
    pub async fn realm(&self, realm: &str) -> Option<InKeycloak> {
        let path = format!("/{realm}/partial-export?exportClients=true&exportGroupsAndRoles=true");
        let mut export = self.export(&path).await?;
        for name in LEFT_OUT {
            export.as_object_mut().expect("a realm").remove(name);
        }
        let (_, mut people) = self.call(Method::GET, &format!("/{realm}/users"), None).await;
        for person in people.as_array_mut().into_iter().flatten() {
            // What goes meanwhile is as good as gone.
            let (_, groups) =
                self.call(Method::GET, &format!("/{realm}/users/{}/groups", text(&person["id"])), None).await;
            person["memberOf"] = groups;
        }
        let (_, keys) = self.call(Method::GET, &format!("/{realm}/keys"), None).await;
        let mut secrets = BTreeMap::new();
        for client in export["clients"].as_array().into_iter().flatten().filter(|client| is_marked(client)) {
            let path = format!("/{realm}/clients/{}/client-secret", text(&client["id"]));
            let (status, secret) = self.call(Method::GET, &path, None).await;
            if status == 200 {
                secrets.insert(format!("secret of {}", text(&client["clientId"])), text(&secret["value"]).to_owned());
            }
        }
        Some(InKeycloak { export, people, keys, secrets })
    }
}

/// How a realm stands.
pub struct InKeycloak {
    export: Value,
    people: Value,
    keys: Value,
    secrets: BTreeMap<String, String>,
}

impl InKeycloak {
    /// All that is in it.
    pub fn shape(&self) -> Value {
        json!({"realm": self.export, "people": self.people})
    }

    /// What would be another one if it were made anew: ids by place and name, keys, secrets.
    pub fn identities(&self) -> BTreeMap<String, String> {
        let mut all = self.secrets.clone();
        collect_ids("", &self.export, &mut all);
        collect_ids("/people", &self.people, &mut all);
        let keys = self.keys["keys"].as_array().into_iter().flatten().map(|key| text(&key["kid"]).to_owned());
        all.extend(keys.map(|kid| (format!("key {kid}"), kid)));
        all
    }

    /// The marks on what is in it.
    pub fn owners(&self) -> BTreeSet<String> {
        let mut marks = BTreeSet::new();
        collect_marks(&self.export, &mut marks);
        marks
    }
}

fn is_marked(client: &Value) -> bool {
    client["attributes"].get(OWNER_ATTRIBUTE).is_some()
}

/// The ids of everything that has an id and a name.
fn collect_ids(at: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_ids(at, item, all)),
        Value::Object(members) => {
            let named = ["clientId", "username", "alias", "path", "name"]
                .map(|name| members.get(name))
                .into_iter()
                .flatten()
                .next();
            let at = format!("{at}/{}", named.map(text).unwrap_or_default());
            if let Some(id) = members.get("id").or(members.get("internalId")) {
                all.insert(at.clone(), text(id).to_owned());
            }
            members.iter().for_each(|(name, value)| collect_ids(&format!("{at}/{name}"), value, all));
        }
        _ => {}
    }
}

fn collect_marks(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect_marks(item, all)),
        Value::Object(members) => {
            all.extend(marks_of(members));
            members.values().for_each(|value| collect_marks(value, all));
        }
        _ => {}
    }
}

/// Of a role's or group's attribute there is a list.
fn marks_of(members: &Map<String, Value>) -> Vec<String> {
    match members.get(OWNER_ATTRIBUTE) {
        Some(Value::Array(marks)) => marks.iter().map(|mark| text(mark).to_owned()).collect(),
        Some(mark) => vec![text(mark).to_owned()],
        None => Vec::new(),
    }
}

/// The uid in a mark.
pub fn uid_of(mark: &str) -> Option<String> {
    Owner::from_attribute(mark).map(|owner| owner.uid)
}
