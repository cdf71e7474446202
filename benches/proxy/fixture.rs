//! What the contestants are given: a key, tokens of Keycloak's shape, policies.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener, runtime::Builder};

use crate::Result;

/// The realm.
pub const ISSUER: &str = "http://auth.example.com/realms/ml";
/// The endpoint's client.
pub const AUDIENCE: &str = "iris.vision.endpoint";
/// The caller.
pub const CLIENT: &str = "labeler.agents.workload";
const KID: &str = "0PQVKLXxAlNxcZ8H1zGRkp7GSCyCnFeTbFjzFdqMkOk";

/// A key, and the set that it is published in.
pub struct Fixture {
    key: RsaKeyPair,
    /// RFC 7517.
    pub jwks: Value,
}

impl Fixture {
    /// Makes both.
    pub fn new() -> Result<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let public = key.public_key();
        let jwks = json!({"keys": [{"kty": "RSA", "kid": KID, "alg": "RS256", "use": "sig",
            "n": encode(public.modulus().big_endian_without_leading_zero()),
            "e": encode(public.exponent().big_endian_without_leading_zero())}]});
        Ok(Self { key, jwks })
    }

    /// A token, RS256, about 1.2 kB; each number gives another one.
    pub fn token(&self, number: usize) -> Result<String> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": KID});
        let claims = claims(number)?.to_string();
        let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.as_bytes()));
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)?;
        Ok(format!("{message}.{}", encode(&signature)))
    }

    /// So many tokens, signed by all processors.
    pub fn tokens(&self, count: usize) -> Result<Vec<String>> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let part = |at: usize| move || (1 + at..=count).step_by(threads).map(|number| self.token(number)).collect();
            let parts: Vec<_> = (0..threads).map(|at| scope.spawn(part(at))).collect();
            let mut all = Vec::with_capacity(count);
            for part in parts {
                let signed: Result<Vec<String>> = part.join().map_err(|_| "a thread died")?;
                all.extend(signed?);
            }
            Ok(all)
        })
    }
}

/// A policy of `protocol` in which the caller may predict and read.
pub fn policy(protocol: &str, upstream: u16, keys: u16) -> Value {
    json!({
        "number": 1, "endpoint": {"namespace": "vision", "name": "iris"}, "audience": AUDIENCE, "roleClient": AUDIENCE,
        "issuers": [{"issuer": ISSUER, "jwksUrl": format!("http://127.0.0.1:{keys}/certs")}], "protocol": protocol,
        "listeners": [{"name": "http", "listen": 0, "upstream": upstream}], "models": ["iris", "rose"],
        "rules": [{"methods": ["GET"], "path": "/metrics", "access": {"permission": "admin"}},
                  {"path": "/by-path/{model}/chat", "access": {"permission": "predict"}}],
        "grants": [{"name": "labelers", "subject": {"client": CLIENT}, "permissions": ["predict", "read"], "models": ["iris"]}],
    })
}

/// A request, as it goes over the wire.
pub fn request(line: &str, token: &str, fields: &str, body: &str) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    format!("{line} HTTP/1.1\r\nHost: iris\r\nAuthorization: Bearer {token}\r\n{fields}{length}\r\n{body}").into_bytes()
}

/// Serves a key set until the process ends.
pub fn serve_keys(listen: SocketAddr, file: &Path) -> Result<()> {
    let keys = fs::read_to_string(file)?;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{keys}", keys.len());
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let (mut stream, _) = listener.accept().await?;
            let mut head = [0; 1024];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn claims(number: usize) -> Result<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(json!({
        "exp": now + 3600, "iat": now, "jti": format!("trrtcc:6f3c9a5e-5e0a-4b7e-9f3e-{number:012x}"), "iss": ISSUER,
        "aud": AUDIENCE, "sub": "9f6e2a54-8f63-4a3e-8c0e-0d6d3a5b7f11", "typ": "Bearer", "azp": CLIENT, "acr": "1",
        "resource_access": {AUDIENCE: {"roles": ["read", "predict"]}},
        "scope": "iris.vision.endpoint:read iris.vision.endpoint:predict", "clientHost": "10.85.0.17",
        "preferred_username": "service-account-labeler.agents.workload", "clientAddress": "10.85.0.17",
        "client_id": CLIENT, "dataset_scope": ["public"], "model_version": "2",
    }))
}
