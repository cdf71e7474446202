//! A guard before a real server, and who calls it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    process::{Program, Server, run},
    support::{
        client::{self, Answer, raw},
        issuer::Issuer,
        proxy::{ENDPOINT, Proxy, Setup},
    },
};

/// Every permission that a protocol may ask for: what a token holds is never what a test refuses by.
const EVERY: &[&str] = &["read", "predict", "execute", "train", "fine-tune", "deploy", "admin", "work"];

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Without a token.
    Nobody,
    /// With what the test grants on every model.
    Granted,
    /// With what the test grants on some models.
    Narrowed,
    /// With fewer permissions.
    Reader,
    /// With a good token and no grant.
    Stranger,
}

impl Who {
    fn client(self) -> Option<&'static str> {
        match self {
            Self::Nobody => None,
            Self::Granted => Some("granted.agents.workload"),
            Self::Narrowed => Some("narrowed.agents.workload"),
            Self::Reader => Some("reader.agents.workload"),
            Self::Stranger => Some("stranger.agents.workload"),
        }
    }
}

/// A grant of `permissions`, on all models or on `models`.
pub fn grant(who: Who, permissions: &[&str], models: Option<&[&str]>) -> Value {
    let mut grant = json!({"name": "test", "subject": {"client": who.client()}, "permissions": permissions});
    if let Some(models) = models {
        grant["models"] = json!(models);
    }
    grant
}

/// A server, its guard, and the issuer of its callers' tokens.
pub struct Guarded {
    issuer: Issuer,
    proxy: Proxy,
    server: Server,
}

impl Guarded {
    /// A guard that speaks `protocol`. Who is granted has `permissions`, who is narrowed has them on `models`.
    pub async fn new(server: Server, protocol: &str, permissions: &[&str], models: &[&str]) -> Self {
        let grants = [grant(Who::Granted, permissions, None), grant(Who::Narrowed, permissions, Some(models))];
        let port = server.address.port();
        Self::granting(server, port, protocol, &grants).await
    }

    /// A guard before a port of the server.
    pub async fn granting(server: Server, port: u16, protocol: &str, grants: &[Value]) -> Self {
        let issuer = Issuer::start().await;
        let mut proxy = Proxy::prepare();
        let mut policy = json!({
            "number": 100, "endpoint": {"namespace": "vision", "name": "iris"}, "audience": ENDPOINT, "roleClient": ENDPOINT,
            "issuers": [{"issuer": issuer.url(), "jwksUrl": issuer.jwks_url()}], "protocol": protocol, "grants": grants,
            "listeners": [{"name": "http", "listen": 0, "upstream": port}],
        });
        // Clients of these are told by the guard where it is.
        if let Some(path) =
            [("A2A", ""), ("MCP", "/mcp")].iter().find_map(|(known, path)| (*known == protocol).then_some(path))
        {
            policy["resource"] = json!(format!("http://{}{path}", proxy.guard_address()));
        }
        proxy.write("guard/guard.json", &proxy.with_ports(&policy).to_string());
        proxy.start(&Setup { guard: true, ..Setup::default() });
        proxy.until_ready().await;
        Self { issuer, proxy, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.proxy.guard_address()
    }

    pub fn token(&self, who: Who) -> Option<String> {
        who.client().map(|client| self.issuer.token(ENDPOINT, client, EVERY, self.proxy.now()))
    }

    /// A plain call.
    pub async fn call(&self, who: Who, method: &str, path: &str) -> Answer {
        client::call(self.address(), method, path, self.token(who).as_deref()).await
    }

    /// A call with a JSON body, and more lines of its head.
    pub async fn post(&self, who: Who, path: &str, head: &str, body: &Value) -> Answer {
        let token = self.token(who).map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let body = body.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\n{token}{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address(),
            body.len()
        );
        raw(self.address(), request).await.expect("an answer")
    }

    /// Runs a client that finds the guard in `BASE_URL` and its token in `TOKEN`; what it printed.
    pub async fn client(&self, who: Who, program: Program) -> Value {
        let program = program.env("BASE_URL", format!("http://{}", self.address()));
        run(program.env("TOKEN", self.token(who).unwrap_or_default())).await
    }

    /// What the same client prints where there is no guard.
    pub async fn unguarded(&self, program: Program) -> Value {
        run(program.env("BASE_URL", format!("http://{}", self.server.address)).env("TOKEN", "")).await
    }
}
