//! A stand-in for Keycloak: a key set and a token endpoint, both counted.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinHandle};

use super::keys::{self, Signer};

/// The `kid` of the issuer's RSA key.
pub const KID: &str = "rsa-1";

pub struct Issuer {
    pub address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

struct State {
    keys: Mutex<Vec<Value>>,
    key_fetches: AtomicUsize,
    token_fetches: AtomicUsize,
    /// What the token endpoint answers.
    answer: Mutex<TokenAnswer>,
    forms: Mutex<Vec<String>>,
    /// Token requests wait for a permit: full to begin with.
    gate: Semaphore,
    url: String,
}

/// What the token endpoint does.
#[derive(Clone)]
pub enum TokenAnswer {
    /// A token with these roles of `endpoint`, and the scopes that go with them.
    Grant { endpoint: String, client: String, roles: Vec<String>, lifetime: i64 },
    /// A status and a body.
    Plain(u16, Value),
}

impl Issuer {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("address")).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("binds");
        let address = listener.local_addr().expect("address");
        let state = Arc::new(State {
            keys: Mutex::new(vec![keys::issuer().jwk(KID, "RS256"), encryption_key()]),
            key_fetches: AtomicUsize::new(0),
            token_fetches: AtomicUsize::new(0),
            answer: Mutex::new(TokenAnswer::Plain(401, json!({"error": "invalid_client"}))),
            forms: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            url: format!("http://{address}/realms/ml"),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { address, state, task }
    }

    /// The issuer's URL, its `iss`.
    pub fn url(&self) -> &str {
        &self.state.url
    }

    pub fn jwks_url(&self) -> String {
        format!("{}/protocol/openid-connect/certs", self.url())
    }

    pub fn token_url(&self) -> String {
        format!("{}/protocol/openid-connect/token", self.url())
    }

    pub fn set_keys(&self, keys: Vec<Value>) {
        *self.state.keys.lock().expect("lock") = keys;
    }

    pub fn set_answer(&self, answer: TokenAnswer) {
        *self.state.answer.lock().expect("lock") = answer;
    }

    pub fn key_fetches(&self) -> usize {
        self.state.key_fetches.load(Ordering::SeqCst)
    }

    pub fn token_fetches(&self) -> usize {
        self.state.token_fetches.load(Ordering::SeqCst)
    }

    /// The bodies of the token requests so far.
    pub fn forms(&self) -> Vec<String> {
        self.state.forms.lock().expect("lock").clone()
    }

    /// From now on token requests wait.
    pub fn hold_tokens(&self) {
        self.state.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// They wait no more.
    pub fn release_tokens(&self) {
        self.state.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// The claims of a good token for `audience` of `client` with `roles`.
    pub fn claims(&self, audience: &str, client: &str, roles: &[&str], now: i64, lifetime: i64) -> Value {
        claims(self.url(), audience, client, roles, now, lifetime)
    }

    /// A good token, as Keycloak would sign it.
    pub fn token(&self, audience: &str, client: &str, roles: &[&str], now: i64) -> String {
        self.signed(keys::issuer(), &self.claims(audience, client, roles, now, 300))
    }

    /// One whose claims are written just so.
    pub fn signed_text(&self, claims: &str) -> String {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": KID});
        keys::token_of_text(keys::issuer(), "RS256", &header, claims)
    }

    pub fn signed(&self, signer: &Signer, claims: &Value) -> String {
        keys::token(signer, &json!({"alg": "RS256", "typ": "JWT", "kid": KID}), claims)
    }

    /// Keycloak goes down: its port closes.
    pub async fn stop(self) -> SocketAddr {
        let address = self.address;
        self.task.abort();
        let _ = self.task.await;
        address
    }
}

pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("clock");
    i64::try_from(since.as_secs()).expect("clock")
}

fn claims(issuer: &str, audience: &str, client: &str, roles: &[&str], now: i64, lifetime: i64) -> Value {
    json!({
        "exp": now + lifetime, "iat": now, "jti": format!("trrtcc:{client}"), "iss": issuer, "aud": audience,
        "sub": "9f6e2a54-8f63-4a3e-8c0e-0d6d3a5b7f11", "typ": "Bearer", "azp": client, "acr": "1",
        "resource_access": {audience: {"roles": roles}}, "scope": "profile email",
        "client_id": client, "preferred_username": format!("service-account-{client}"),
    })
}

/// Keycloak publishes one: a token signed by it must not pass.
fn encryption_key() -> Value {
    let mut key = keys::attacker().jwk("enc-1", "RSA-OAEP");
    key["use"] = json!("enc");
    key
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path().ends_with("/certs") {
        state.key_fetches.fetch_add(1, Ordering::SeqCst);
        let keys = state.keys.lock().expect("lock").clone();
        return Ok(reply(StatusCode::OK, &json!({ "keys": keys })));
    }
    state.token_fetches.fetch_add(1, Ordering::SeqCst);
    let form = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    state.forms.lock().expect("lock").push(String::from_utf8_lossy(&form).into_owned());
    drop(state.gate.acquire().await);
    let answer = state.answer.lock().expect("lock").clone();
    Ok(match answer {
        TokenAnswer::Plain(status, body) => reply(StatusCode::from_u16(status).expect("status"), &body),
        TokenAnswer::Grant { endpoint, client, roles, lifetime } => {
            let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
            let count = state.token_fetches.load(Ordering::SeqCst);
            let mut claims = claims(&state.url, &endpoint, &client, &roles, now(), lifetime);
            claims["jti"] = json!(format!("token-{count}"));
            if roles.is_empty() {
                // As Keycloak does it: the scopes vanish, and the audience with them.
                claims.as_object_mut().expect("object").remove("aud");
            }
            let token = keys::token(keys::issuer(), &json!({"alg": "RS256", "typ": "JWT", "kid": KID}), &claims);
            let scopes: Vec<String> = roles.iter().map(|role| format!("{endpoint}:{role}")).collect();
            let scope = format!("profile email {}", scopes.join(" "));
            let body =
                json!({"access_token": token, "token_type": "Bearer", "expires_in": lifetime, "scope": scope.trim()});
            reply(StatusCode::OK, &body)
        }
    })
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    response
}
