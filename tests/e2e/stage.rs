//! What one test has of its own, and its removal.

use std::{
    hash::{BuildHasher, RandomState},
    thread::panicking,
};

use serde_json::{Value, json};

use crate::{
    accounts::Accounts,
    cluster::{Object, apply, kubectl, text, try_kubectl},
    eventually::PATIENCE,
    keycloak::Administrator,
    objects::cluster_object,
    pods::Pod,
};

/// Label on everything that a test makes in the cluster.
const LABEL: &str = "e2e.example/stage";
/// The kinds of ours, as `kubectl` takes them.
const KINDS: &str = "accessgrants,webapps,workloadidentities,modelendpoints,realms,keycloakservers";

/// How a client says that it logs in with an assertion (RFC 7523, section 2.2).
const ASSERTION: (&str, &str) = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

/// Names of a test's own, and what was made under them.
pub struct Stage {
    /// Name of the KeycloakServer, of the Realm and of the realm in Keycloak; the start of every namespace.
    pub id: String,
    pub keycloak: Administrator,
    /// Clients that the test made in realm `master`, by internal id.
    logins: Vec<String>,
}

impl Stage {
    /// Nothing but names.
    pub fn empty(test: &str) -> Self {
        let random = RandomState::new().hash_one(test) & 0xff_ffff;
        Self { id: format!("e2e-{test}-{random:06x}"), keycloak: Administrator::from_env(), logins: Vec::new() }
    }

    /// With a realm that is ready.
    pub fn with_realm(test: &str) -> Self {
        let stage = Self::empty(test);
        stage.apply(stage.server());
        stage.apply(stage.realm());
        stage.realm_object().wait_ready(PATIENCE);
        stage
    }

    /// A namespace that may use the realm.
    pub fn namespace(&self, team: &str) -> String {
        let name = self.namespace_outside(team);
        kubectl(&["label", "namespace", &name, &format!("keywire.dev/realm={}", self.id)]);
        name
    }

    /// A namespace that may not use the realm.
    pub fn namespace_outside(&self, team: &str) -> String {
        let name = format!("{}-{team}", self.id);
        let labels = json!({"pod-security.kubernetes.io/enforce": "restricted"});
        self.apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}));
        name
    }

    /// Applies an object as this test's own.
    pub fn apply(&self, mut object: Value) {
        object["metadata"]["labels"][LABEL] = json!(self.id);
        apply(&object);
    }

    /// The people of its realm.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts { keycloak: &self.keycloak, realm: &self.id }
    }

    /// A KeycloakServer like the quickstart's.
    pub fn server(&self) -> Value {
        self.server_at(&internal_url(), json!({"kubernetesToken": {"clientId": "keywire-operator"}}))
    }

    /// A KeycloakServer at another URL, or with other credentials.
    pub fn server_at(&self, internal_url_: &str, credentials: Value) -> Value {
        let spec = json!({"url": internal_url(), "internalUrl": internal_url_, "credentials": credentials});
        cluster_object("KeycloakServer", &self.id, spec)
    }

    /// A Realm that trusts this cluster and goes with its object.
    pub fn realm(&self) -> Value {
        let spec = json!({
            "server": self.id,
            "realm": self.id,
            "management": "Full",
            "workloadIssuer": {},
            "namespaces": {"selector": {"matchLabels": {"keywire.dev/realm": self.id}}},
            "deletionPolicy": "Delete",
        });
        cluster_object("Realm", &self.id, spec)
    }

    /// The KeycloakServer.
    pub fn server_object(&self) -> Object {
        Object::cluster("keycloakserver", &self.id)
    }

    /// The Realm.
    pub fn realm_object(&self) -> Object {
        Object::cluster("realm", &self.id)
    }

    /// Makes a client with a secret in realm `master`, without any role.
    pub fn login_without_rights(&mut self, secret: &str) -> String {
        let body = json!({"clientId": self.id, "secret": secret, "serviceAccountsEnabled": true, "publicClient": false,
            "standardFlowEnabled": false});
        let (status, answer) = self.keycloak.post("/master/clients", &body);
        assert_eq!(status, 201, "client {} in realm master: {answer}", self.id);
        let made = self.keycloak.client("master", &self.id);
        self.logins.push(made["id"].as_str().expect("an id").to_owned());
        self.id.clone()
    }

    /// A token of a ServiceAccount for the realm.
    pub fn assertion(&self, namespace: &str, account: &str) -> String {
        let audience = format!("--audience={}/realms/{}", internal_url(), self.id);
        kubectl(&["create", "token", account, "-n", namespace, &audience]).trim().to_owned()
    }

    /// What the realm answers to it, as to a sidecar (RFC 7523, section 2.2).
    pub fn log_in(&self, assertion: &str, more: &[(&str, &str)]) -> (u16, Value) {
        let form = [("grant_type", "client_credentials"), ASSERTION, ("client_assertion", assertion)];
        self.keycloak.token(&self.id, &[&form, more].concat())
    }

    /// Takes a token back, as the client that it was given to (RFC 7009).
    pub fn revoke(&self, assertion: &str, token: &str) -> (u16, Value) {
        let form = [ASSERTION, ("client_assertion", assertion), ("token", token)];
        self.keycloak.openid(&self.id, "revoke", &form)
    }

    /// A token of a pod's identity, got with its ServiceAccount as the sidecar gets it.
    pub fn token_of(&self, pod: &Pod, scope: &str) -> String {
        let assertion = self.assertion(&pod.namespace, &pod.name);
        let client_id = format!("{}.{}.workload", pod.name, pod.namespace);
        let (status, answer) = self.log_in(&assertion, &[("client_id", &client_id), ("scope", scope)]);
        assert_eq!(status, 200, "a token for {scope}: {}", answer["error_description"]);
        text(&answer["access_token"])
    }

    /// What an administrator gives the operator in a realm that it did not make.
    pub fn may_manage_realm(&self) {
        let operator = self.keycloak.client("master", "keywire-operator");
        let of_realm = self.keycloak.client("master", &format!("{}-realm", self.id));
        let get = |path: String| self.keycloak.get(&path).1;
        let account = get(format!("/master/clients/{}/service-account-user", text(&operator["id"])));
        let of_realm = text(&of_realm["id"]);
        let roles = ["manage-realm", "manage-clients", "manage-users", "manage-identity-providers"];
        let roles = roles.map(|role| get(format!("/master/clients/{of_realm}/roles/{role}")));
        let path = format!("/master/users/{}/role-mappings/clients/{of_realm}", text(&account["id"]));
        let (status, answer) = self.keycloak.post(&path, &json!(roles));
        assert_eq!(status, 204, "rights of the operator in realm {}: {answer}", self.id);
    }

    /// Removes everything. An error is what could not be removed.
    fn clean_up(&self) -> Result<(), String> {
        let (mine, limit) = (format!("{LABEL}={}", self.id), format!("--timeout={}s", PATIENCE.as_secs()));
        // Realms wait for what uses them, servers for their realms.
        let gone = try_kubectl(&["delete", KINDS, "-A", "-l", &mine, &limit], "");
        if gone.is_err() {
            try_kubectl(&["annotate", KINDS, "-A", "-l", &mine, "keywire.dev/force-release=true"], "")?;
            try_kubectl(&["delete", KINDS, "-A", "-l", &mine, &limit], "")?;
        }
        try_kubectl(&["delete", "namespaces", "-l", &mine, "--wait=false"], "")?;
        for login in &self.logins {
            self.keycloak.delete(&format!("/master/clients/{login}"));
        }
        let (status, _) = self.keycloak.delete(&format!("/{}", self.id));
        match (gone, status) {
            (Err(error), _) => Err(error),
            (Ok(_), 204 | 404) => Ok(()),
            (Ok(_), status) => Err(format!("realm {} in Keycloak: status {status}", self.id)),
        }
    }

    /// How everything of this test stands, for whoever reads of its failure.
    fn describe(&self) {
        for what in ["keywire", "pods", "events"] {
            let all = try_kubectl(&["get", what, "-A", "-o", "wide"], "").unwrap_or_else(|error| error);
            all.lines().filter(|line| line.contains(&self.id)).for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if panicking() {
            self.describe();
        }
        match self.clean_up() {
            Err(error) if panicking() => eprintln!("{} could not be removed: {error}", self.id),
            Err(error) => panic!("{} could not be removed: {error}", self.id),
            Ok(()) => {}
        }
    }
}

/// Keycloak as pods reach it.
pub fn internal_url() -> String {
    std::env::var("KEYCLOAK_INTERNAL_URL").expect("KEYCLOAK_INTERNAL_URL is set: start it with make e2e")
}
