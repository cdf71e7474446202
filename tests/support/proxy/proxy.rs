//! A proxy in this process, with its documents in a directory of its own.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use clap::Parser;
use keywire::proxy::{
    args::Args,
    clock::Clock,
    run::{self, Running},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    app::App,
    client::{self, Answer},
    issuer::{Issuer, now},
    operator::{self, Operator},
    until,
};

/// The endpoint's client id and audience.
pub const ENDPOINT: &str = "iris.vision.endpoint";
/// The client with a grant.
pub const LABELER: &str = "labeler.agents.workload";

pub struct Proxy {
    pub directory: TempDir,
    pub clock: Arc<AtomicI64>,
    guard_port: u16,
    egress_port: u16,
    running: Option<Running>,
}

/// What a proxy is started with.
#[derive(Default)]
pub struct Setup {
    pub guard: bool,
    pub egress: bool,
    pub stream: Option<String>,
    /// With what is in its directory `tls`.
    pub tls: bool,
    /// With what is in its directory `sign-in`.
    pub sign_in: bool,
    pub one_worker: bool,
    pub extra: Vec<&'static str>,
}

impl Proxy {
    /// A guard whose policy file is `policy`, without waiting for it to be ready.
    pub fn guard(policy: Option<&Value>, extra: &[&'static str]) -> Self {
        let mut proxy = Self::prepare();
        if let Some(policy) = policy {
            proxy.write("guard/guard.json", &proxy.with_ports(policy).to_string());
        }
        proxy.start(&Setup { guard: true, extra: extra.to_vec(), ..Setup::default() });
        proxy
    }

    /// Directories, tokens and free ports.
    pub fn prepare() -> Self {
        let directory = tempfile::tempdir().expect("directory");
        for name in ["guard", "egress", "tokens", "tls", "sign-in"] {
            fs::create_dir(directory.path().join(name)).expect("directory");
        }
        let proxy = Self {
            directory,
            clock: Arc::new(AtomicI64::new(now())),
            guard_port: free_port(),
            egress_port: free_port(),
            running: None,
        };
        proxy.write("tokens/keycloak", "the.assertion.itself\n");
        proxy.write("tokens/policy", operator::TOKEN);
        proxy
    }

    pub fn start(&mut self, setup: &Setup) {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let mut line = vec!["keywire-proxy".to_owned()];
        let mut add = |flags: &[&str]| line.extend(flags.iter().map(|flag| (*flag).to_owned()));
        add(&["--admin", "127.0.0.1:0", "--bind", "127.0.0.1", "--drain", "2"]);
        let workers = if setup.one_worker { "1" } else { "2" };
        add(&["--workers", workers]);
        add(&["--tokens", &path("tokens")]);
        if setup.guard {
            add(&["--guard", &path("guard"), "--guard-port", &format!("{}:1", self.guard_port)]);
            add(&["--guard-identity", "vision/iris"]);
        }
        if setup.tls {
            add(&["--guard-tls", &path("tls")]);
        }
        if setup.sign_in {
            add(&["--sign-in", &path("sign-in")]);
        }
        if setup.egress {
            add(&["--egress", &path("egress"), "--egress-port", &self.egress_port.to_string()]);
            add(&["--egress-identity", "agents/labeler"]);
        }
        if let Some(stream) = &setup.stream {
            add(&["--stream", stream]);
        }
        add(&setup.extra);
        let args = Args::try_parse_from(line).expect("flags");
        args.validate().expect("flags");
        let started = run::start(&args, Clock::Manual(Arc::clone(&self.clock)));
        self.running = Some(started.unwrap_or_else(|error| panic!("{error}")));
    }

    /// A guard in front of `app`, ready.
    pub async fn ready(issuer: &Issuer, app: &App, change: impl FnOnce(&mut Value)) -> Self {
        let mut policy = policy(issuer, app);
        change(&mut policy);
        let proxy = Self::guard(Some(&policy), &[]);
        proxy.until_ready().await;
        proxy
    }

    pub async fn until_ready(&self) {
        until("readiness", || async { self.admin("/readyz").await.status == 200 }).await;
    }

    /// Writes a file as a ConfigMap does: whole or not at all.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.directory.path().join(name);
        let staged = self.directory.path().join("staged");
        fs::write(&staged, text).and_then(|()| fs::rename(&staged, &path)).expect("written");
    }

    /// The guard's document as it was written last.
    pub fn document(&self) -> Value {
        let text = fs::read_to_string(self.directory.path().join("guard/guard.json")).expect("read");
        serde_json::from_str(&text).expect("JSON")
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.directory.path().join(name)).expect("removed");
    }

    /// The document with this proxy's ports in it.
    pub fn with_ports(&self, document: &Value) -> Value {
        let mut document = document.clone();
        if let Some(listener) = document.pointer_mut("/listeners/0") {
            listener["listen"] = json!(self.guard_port);
        }
        if let Some(target) = document.pointer_mut("/targets/0") {
            target["listen"] = json!(self.egress_port);
        }
        document
    }

    pub fn trust(&self, operator: &Operator) {
        self.write("guard/stream-ca.crt", &operator.ca);
        self.write("egress/stream-ca.crt", &operator.ca);
    }

    pub fn guard_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.guard_port))
    }

    pub fn egress_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.egress_port))
    }

    pub async fn admin(&self, path: &str) -> Answer {
        let address = self.running.as_ref().expect("running").admin();
        client::call(address, "GET", path, None).await
    }

    /// The value of a metric's line that begins with `name`; 0 where it is absent.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.admin("/metrics").await.body;
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }

    pub fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    pub fn now(&self) -> i64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Drains and ends it; gives the thread that waits for that.
    pub fn stop(&mut self) -> std::thread::JoinHandle<()> {
        let running = self.running.take().expect("running");
        std::thread::spawn(move || running.stop())
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.local_addr().expect("address").port()
}

/// A policy in which the labeler may read and predict.
pub fn policy(issuer: &Issuer, app: &App) -> Value {
    json!({
        "number": 100, "endpoint": {"namespace": "vision", "name": "iris"}, "audience": ENDPOINT, "roleClient": ENDPOINT,
        "issuers": [{"issuer": issuer.url(), "jwksUrl": issuer.jwks_url()}], "protocol": "OpenInference",
        "listeners": [{"name": "http", "listen": 0, "upstream": app.address.port()}],
        "rules": [{"methods": ["GET"], "path": "/hello", "access": "public"},
                  {"path": "/tools/{model}/**", "access": {"permission": "execute"}},
                  {"path": "/open/**", "access": {"permission": "read"}}],
        "grants": [{"name": "labelers", "subject": {"client": LABELER}, "permissions": ["predict", "read"]}],
    })
}

/// An egress document whose one target is `upstream`.
pub fn egress(issuer: &Issuer, upstream: SocketAddr) -> Value {
    json!({
        "number": 100, "identity": {"namespace": "agents", "name": "labeler"}, "clientId": LABELER,
        "tokenSource": {"tokenUrl": issuer.token_url(), "assertionAudience": issuer.url()},
        "targets": [{"endpoint": {"namespace": "vision", "name": "iris"}, "listen": 0, "upstream": format!("http://{upstream}"),
            "audience": ENDPOINT, "scopes": [format!("{ENDPOINT}:predict"), format!("{ENDPOINT}:read")]}],
    })
}
