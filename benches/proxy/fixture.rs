//! What the contestants are given: a key, a token of Keycloak's shape, a policy.

use std::{
    env, fs,
    net::SocketAddr,
    path::Path,
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

const ISSUER: &str = "http://auth.example.com/realms/ml";
const AUDIENCE: &str = "iris.vision.endpoint";
const CLIENT: &str = "labeler.agents.workload";

/// A key set and a token that it verifies.
pub struct Fixture {
    /// RFC 7517.
    pub jwks: Value,
    /// RS256, about 1.2 kB.
    pub token: String,
}

impl Fixture {
    /// Makes both.
    pub fn new() -> Result<Self> {
        let key = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = key.public_key();
        let jwks = json!({"keys": [{"kty": "RSA", "kid": "0PQVKLXxAlNxcZ8H1zGRkp7GSCyCnFeTbFjzFdqMkOk", "alg": "RS256", "use": "sig",
            "n": encode(public.modulus().big_endian_without_leading_zero()),
            "e": encode(public.exponent().big_endian_without_leading_zero())}]});
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": jwks["keys"][0]["kid"]});
        let message = format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims()?.to_string().as_bytes()));
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature)?;
        Ok(Self { jwks, token: format!("{message}.{}", encode(&signature)) })
    }

    /// Writes the guard's policy into `directory`.
    pub fn write_policy(&self, directory: &Path, listen: u16, upstream: u16, jwks: SocketAddr) -> Result<()> {
        let policy = json!({
            "number": 1, "endpoint": {"namespace": "vision", "name": "iris"}, "audience": AUDIENCE, "roleClient": AUDIENCE,
            "issuers": [{"issuer": ISSUER, "jwksUrl": format!("http://{jwks}/certs")}], "protocol": "OpenInference",
            "listeners": [{"name": "http", "listen": listen, "upstream": upstream}], "models": ["iris", "rose"],
            "rules": [{"methods": ["GET"], "path": "/metrics", "access": {"permission": "admin"}}],
            "grants": [{"name": "labelers", "subject": {"client": CLIENT}, "permissions": ["predict", "read"], "models": ["iris"]}],
        });
        Ok(fs::write(directory.join("guard.json"), policy.to_string())?)
    }

    /// Envoy as people set it up, and in its cheapest form: signature (cached),
    /// issuer, audience and times by jwt_authn, method and path by RBAC. Ours
    /// checks client, role, model and grant besides. With `BENCH_ENVOY=claims`
    /// Envoy checks client and role too, which costs it much more.
    pub fn envoy(&self, listen: u16, upstream: u16) -> Value {
        let claims = env::var("BENCH_ENVOY").is_ok_and(|text| text == "claims");
        let mut provider = json!({"issuer": ISSUER, "audiences": [AUDIENCE], "forward": false,
            "jwt_cache_config": {"jwt_cache_size": 1000}, "local_jwks": {"inline_string": self.jwks.to_string()}});
        let mut principal = json!({"any": true});
        if claims {
            provider["payload_in_metadata"] = json!("token");
            let role = json!({"list_match": {"one_of": {"string_match": {"exact": "read"}}}});
            let client = json!({"string_match": {"exact": CLIENT}});
            principal = json!({"and_ids": {"ids": [claim(&["azp"], client), claim(&["resource_access", AUDIENCE, "roles"], role)]}});
        }
        let permission = json!({"and_rules": {"rules": [
            {"header": {"name": ":method", "string_match": {"exact": "GET"}}},
            {"url_path": {"path": {"prefix": "/v2/models/iris"}}}]}});
        let filters = json!([
            {"name": "envoy.filters.http.jwt_authn", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": {"keycloak": provider},
                "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "keycloak"}}]}},
            {"name": "envoy.filters.http.rbac", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
                "rules": {"action": "ALLOW", "policies": {"read": {"permissions": [permission], "principals": [principal]}}}}},
            {"name": "envoy.filters.http.router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}},
        ]);
        let address = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
        json!({"static_resources": {
            "listeners": [{"address": address(listen), "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "http", "http_filters": filters, "route_config": {"virtual_hosts": [{
                        "name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}]}]}}}]}]}],
            "clusters": [{"name": "app", "type": "STATIC", "load_assignment": {"cluster_name": "app",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}]}}],
        }})
    }
}

/// A condition on a claim in the token's metadata.
fn claim(path: &[&str], value: Value) -> Value {
    let mut keys = vec![json!({"key": "token"})];
    keys.extend(path.iter().map(|key| json!({ "key": key })));
    json!({"metadata": {"filter": "envoy.filters.http.jwt_authn", "path": keys, "value": value}})
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

fn claims() -> Result<Value> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(json!({
        "exp": now + 3600, "iat": now, "jti": "trrtcc:6f3c9a5e-5e0a-4b7e-9f3e-0c7d1a2b3c4d", "iss": ISSUER, "aud": AUDIENCE,
        "sub": "9f6e2a54-8f63-4a3e-8c0e-0d6d3a5b7f11", "typ": "Bearer", "azp": CLIENT, "acr": "1",
        "resource_access": {AUDIENCE: {"roles": ["read", "predict"]}},
        "scope": "iris.vision.endpoint:read iris.vision.endpoint:predict", "clientHost": "10.85.0.17",
        "preferred_username": "service-account-labeler.agents.workload", "clientAddress": "10.85.0.17",
        "client_id": CLIENT, "dataset_scope": ["public"], "model_version": "2",
    }))
}
