//! A guard that signs people in at a real Keycloak: its login page, its tokens, its logout.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Parser;
use keywire::proxy::{
    args::Args,
    clock::Clock,
    run::{self, Running},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use url::Url;

use crate::{
    browser::{Browser, Page},
    keycloak::{SECRET, TestRealm, in_realm, issuer_of},
};

const CLIENT: &str = "dagster.tools.app";

/// An application behind a guard, and that guard's client in a realm.
struct Scene {
    test: TestRealm,
    url: Url,
    clock: Arc<AtomicI64>,
    /// Of the person who may use it.
    user: String,
    _directory: TempDir,
    _guard: Running,
}

/// Answers every request with its own head.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", head.len());
                let _ = stream.write_all(&[answer.as_bytes(), &head].concat()).await;
            });
        }
    });
    address
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.local_addr().expect("an address").port()
}

async fn made(test: &TestRealm, path: &str, object: &Value) {
    let (status, answer) = test.raw.post(path, object).await;
    assert!(status == 201 || status == 204, "{path}: {status} {answer}");
}

async fn found(test: &TestRealm, path: &str) -> Value {
    test.raw.get(path).await.1
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("text, not {value}")).to_owned()
}

impl Scene {
    async fn new(test: TestRealm) -> Self {
        assert_eq!(test.raw.put("", &json!({"accessTokenLifespan": 60, "sslRequired": "NONE"})).await.0, 204);
        let (app, port) = (echo().await, free_port());
        let url: Url = format!("http://127.0.0.1:{port}").parse().expect("a URL");
        let user = client_and_people(&test, url.as_str().trim_end_matches('/')).await;
        let directory = tempfile::tempdir().expect("a directory");
        let issuer = issuer_of(&test.keycloak, &test.name).await;
        let policy = policy(&test, &issuer, port, app);
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let clock = Arc::new(AtomicI64::new(i64::try_from(seconds).expect("seconds")));
        let guard = start(directory.path(), &policy, Clock::Manual(Arc::clone(&clock)));
        let scene = Self { test, url, clock, user, _directory: directory, _guard: guard };
        scene.until_ready().await;
        scene
    }

    async fn until_ready(&self) {
        let admin = format!("http://{}/readyz", self._guard.admin());
        let ready = async {
            while !reqwest::get(&admin).await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), ready).await.expect("the guard is ready");
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.test.keycloak.url).knows(&self.url)
    }

    fn place(&self, path: &str) -> Url {
        self.url.join(path).expect("a URL")
    }

    /// Asks for a page, and logs in where Keycloak wants that.
    async fn log_in(&self, browser: &mut Browser, path: &str) -> Page {
        let form = browser.open(&self.place(path)).await;
        assert!(form.url.path().contains("/realms/"), "at Keycloak: {}", form.url);
        browser.submit(&form, &[("username", "ann"), ("password", "ann")]).await
    }
}

/// The client as an application's guard needs it, and somebody who may use it; gives the account's id.
async fn client_and_people(test: &TestRealm, url: &str) -> String {
    let audience = json!({"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
        "config": {"included.client.audience": CLIENT, "access.token.claim": "true"}});
    let client = json!({"clientId": CLIENT, "secret": SECRET, "publicClient": false, "standardFlowEnabled": true,
        "fullScopeAllowed": false, "redirectUris": [format!("{url}/.keywire/callback")], "protocolMappers": [audience],
        "attributes": {"pkce.code.challenge.method": "S256", "backchannel.logout.session.required": "true",
            "post.logout.redirect.uris": format!("{url}/.keywire/signed-out"),
            "backchannel.logout.url": format!("{url}/.keywire/backchannel-logout")}});
    made(test, "/clients", &client).await;
    let id = text(&found(test, &format!("/clients?clientId={CLIENT}")).await[0]["id"]);
    let person = json!({"username": "ann", "enabled": true, "email": "ann@example.com", "firstName": "Ann", "lastName": "A",
        "credentials": [{"type": "password", "value": "ann", "temporary": false}]});
    made(test, "/users", &person).await;
    let user = text(&found(test, "/users?username=ann&exact=true").await[0]["id"]);
    for role in ["read", "grant.viewers"] {
        made(test, &format!("/clients/{id}/roles"), &json!({"name": role})).await;
        let role = found(test, &format!("/clients/{id}/roles/{role}")).await;
        made(test, &format!("/users/{user}/role-mappings/clients/{id}"), &json!([role])).await;
    }
    user
}

fn policy(test: &TestRealm, issuer: &str, port: u16, app: SocketAddr) -> Value {
    let realm = format!("{}realms/{}/protocol/openid-connect", test.keycloak.url, test.name);
    json!({
        "number": 1, "endpoint": {"namespace": "tools", "name": "dagster"}, "audience": CLIENT, "roleClient": CLIENT,
        "issuers": [{"issuer": issuer, "jwksUrl": format!("{realm}/certs")}], "protocol": "HTTP",
        "listeners": [{"name": "http", "listen": port, "upstream": app.port()}],
        "rules": [{"path": "/open/**", "access": {"permission": "read"}}],
        "grants": [{"name": "viewers", "subject": {"role": "grant.viewers"}, "permissions": ["read"]}],
        "signIn": {"url": format!("http://127.0.0.1:{port}"), "clientId": CLIENT, "login": "clientSecret",
            "authorizationUrl": format!("{issuer}/protocol/openid-connect/auth"), "tokenUrl": format!("{realm}/token"),
            "logoutUrl": format!("{issuer}/protocol/openid-connect/logout")},
    })
}

fn start(directory: &Path, policy: &Value, clock: Clock) -> Running {
    let path = |name: &str| directory.join(name).display().to_string();
    for name in ["guard", "sign-in"] {
        fs::create_dir(path(name)).expect("a directory");
    }
    let files = [
        ("guard/guard.json", policy.to_string()),
        ("sign-in/cookie.key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned()),
        ("sign-in/client-secret", SECRET.to_owned()),
    ];
    for (name, content) in files {
        fs::write(path(name), content).expect("a file");
    }
    let (guard, sign_in) = (path("guard"), path("sign-in"));
    let flags =
        ["keywire-proxy", "--admin", "127.0.0.1:0", "--bind", "127.0.0.1", "--guard", &guard, "--sign-in", &sign_in];
    run::start(&Args::try_parse_from(flags).expect("flags"), clock).unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn a_person_signs_in_stays_in_and_signs_out() {
    in_realm(|test| async move {
        let scene = Scene::new(test).await;
        let mut browser = scene.browser();
        let page = scene.log_in(&mut browser, "/open/runs?tab=logs").await;
        assert_eq!(page.url, scene.place("/open/runs?tab=logs"), "where ann wanted to go");
        let told = |name: &str| page.html.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        assert_eq!(told("x-keywire-subject: "), scene.user, "{}", page.html);
        let mut roles: Vec<_> = told("x-keywire-roles: ").split(',').collect();
        roles.sort_unstable();
        assert_eq!(roles, ["grant.viewers", "read"]);
        assert!(!page.html.contains("cookie:"), "the application gets no cookie of ours: {}", page.html);

        // Her token ends; another one is had with the same session.
        assert_eq!(scene.test.raw.put("", &json!({"accessTokenLifespan": 600})).await.0, 204);
        scene.clock.fetch_add(100, Ordering::SeqCst);
        let page = browser.open(&scene.place("/open/x")).await;
        assert_eq!(page.url, scene.place("/open/x"));

        let question = browser.open(&scene.place("/.keywire/sign-out")).await;
        let page = browser.submit(&question, &[]).await;
        assert_eq!(page.url.path(), "/.keywire/signed-out", "{}", page.html);
        assert_eq!(browser.fetch(&scene.place("/open/x")).await, 401);
        // At Keycloak too: it asks for the password again.
        let form = browser.open(&scene.place("/open/x")).await;
        assert!(form.html.contains("name=\"password\""), "{}", form.url);
    })
    .await;
}

/// Whoever is signed out at Keycloak is at the application, before any token ends.
#[tokio::test]
async fn keycloak_tells_the_guard_who_signed_out() {
    in_realm(|test| async move {
        let scene = Scene::new(test).await;
        let mut browser = scene.browser();
        scene.log_in(&mut browser, "/open/x").await;
        assert_eq!(browser.fetch(&scene.place("/open/x")).await, 200);
        let (status, answer) = scene.test.raw.post(&format!("/users/{}/logout", scene.user), &json!({})).await;
        assert_eq!(status, 204, "{answer}");
        assert_eq!(browser.fetch(&scene.place("/open/x")).await, 401);
    })
    .await;
}
