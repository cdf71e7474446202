//! Keycloak as its administrator sees it, to check what Keywire made of it.

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

#[allow(dead_code, reason = "the contract tests use the rest")]
#[path = "../support/keycloak.rs"]
mod support;

use support::{Keycloak, Raw};

/// The administrator. Logs in for each call: tokens live for a minute only.
pub struct Administrator {
    keycloak: Keycloak,
    runtime: Runtime,
}

impl Administrator {
    /// From the environment.
    pub fn from_env() -> Self {
        assert!(std::env::var_os("KEYCLOAK_URL").is_some(), "KEYCLOAK_URL is not set: start it with make e2e");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { keycloak: Keycloak::from_env(), runtime }
    }

    /// Where Keycloak answers on this machine.
    pub fn url(&self) -> &url::Url {
        &self.keycloak.url
    }

    /// GET of a path below `/admin/realms`.
    pub fn get(&self, path: &str) -> (u16, Value) {
        self.as_administrator(async |raw| raw.get(path).await)
    }

    /// POST to a path below `/admin/realms`.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.as_administrator(async |raw| raw.post(path, body).await)
    }

    /// PUT to a path below `/admin/realms`.
    pub fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.as_administrator(async |raw| raw.put(path, body).await)
    }

    /// DELETE of a path below `/admin/realms`.
    pub fn delete(&self, path: &str) -> (u16, Value) {
        self.as_administrator(async |raw| raw.delete(path).await)
    }

    /// DELETE with a body.
    pub fn delete_with(&self, path: &str, body: &Value) -> u16 {
        self.as_administrator(async |raw| raw.delete_with(path, body).await).0
    }

    /// What GET of a path answers to somebody else's token.
    pub fn get_with(&self, token: &str, path: &str) -> u16 {
        self.as_administrator(async |raw| raw.with_token(token).get(path).await).0
    }

    /// The clients of this client id: one or none.
    pub fn clients(&self, realm: &str, client_id: &str) -> Vec<Value> {
        let (status, found) = self.get(&format!("/{realm}/clients?clientId={client_id}"));
        assert_eq!(status, 200, "clients of realm {realm}: {found}");
        found.as_array().expect("a list").clone()
    }

    /// The only client of this client id.
    pub fn client(&self, realm: &str, client_id: &str) -> Value {
        let mut found = self.clients(realm, client_id);
        assert_eq!(found.len(), 1, "clients {client_id} in realm {realm}");
        found.remove(0)
    }

    /// Names of the client scopes that start so.
    pub fn scopes(&self, realm: &str, prefix: &str) -> Vec<String> {
        let (status, found) = self.get(&format!("/{realm}/client-scopes"));
        assert_eq!(status, 200, "client scopes of realm {realm}: {found}");
        let names = found.as_array().expect("a list").iter().filter_map(|scope| scope["name"].as_str());
        names.filter(|name| name.starts_with(prefix)).map(ToOwned::to_owned).collect()
    }

    /// A token answer of a realm.
    pub fn token(&self, realm: &str, form: &[(&str, &str)]) -> (u16, Value) {
        self.openid(realm, "token", form)
    }

    /// What a realm answers to a form at one of its endpoints of OpenID Connect.
    pub fn openid(&self, realm: &str, endpoint: &str, form: &[(&str, &str)]) -> (u16, Value) {
        let base = self.keycloak.url.as_str().trim_end_matches('/');
        let url = format!("{base}/realms/{realm}/protocol/openid-connect/{endpoint}");
        self.runtime.block_on(async {
            let answer = support::http().post(url).form(form).send().await.expect("Keycloak answers");
            (answer.status().as_u16(), answer.json().await.unwrap_or_default())
        })
    }

    fn as_administrator<T>(&self, call: impl AsyncFnOnce(Raw) -> T) -> T {
        self.runtime.block_on(async { call(Raw::log_in(&self.keycloak, "").await).await })
    }
}
