//! The operator: the real process, which dies without a warning.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client, api::DeleteParams};

use crate::eventually::eventually;

/// This cluster's name.
pub const CLUSTER: &str = "crash";
/// Where it serves its metrics. Fixed, and out of the range of which the system gives ports away: a free one that is
/// looked for could be taken before the operator has it.
const ADMIN: &str = "127.0.0.1:18981";
const BINARY: &str = env!("CARGO_BIN_EXE_keywire-operator");

/// How to start one.
pub struct Operators {
    kubeconfig: PathBuf,
    log: PathBuf,
    client: Client,
    http: reqwest::Client,
}

/// One that runs, with an empty memory at first.
pub struct Operator {
    process: Child,
}

impl Operators {
    /// Those that reach the API server at this URL. `client` goes straight to it.
    pub fn new(api_server: &str, client: Client) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let kubeconfig = folder.join("crash-kubeconfig");
        std::fs::write(&kubeconfig, kubeconfig_for(api_server)).expect("a kubeconfig");
        let log = folder.join("crash-operator.log");
        File::create(&log).expect("a log");
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        Self { kubeconfig, log, client, http }
    }

    /// Starts one in this namespace and waits until it leads.
    pub async fn start(&self, namespace: &str) -> Operator {
        self.free_lease(namespace).await;
        let log = File::options().append(true).open(&self.log).expect("the log");
        // The test's own environment is none of its business: a proxy for the Internet, say.
        let process = Command::new(BINARY)
            .args(["controller", "--namespace", namespace, "--admin", ADMIN, "--cluster-name", CLUSTER])
            .args(["--feed-interval", "1s", "--sweep-interval", "1h", "--log-format", "text"])
            .env_clear()
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("the operator starts");
        let mut operator = Operator { process };
        eventually("the operator leads", async || {
            operator.assert_runs(&self.log);
            if self.metric("keywire_leader").await == 1 { Ok(()) } else { Err(format!("see {}", self.log.display())) }
        })
        .await;
        operator
    }

    /// The one that died has it for a quarter of a minute more, and nobody else wants it.
    async fn free_lease(&self, namespace: &str) {
        let leases = Api::<Lease>::namespaced(self.client.clone(), namespace);
        match leases.delete("keywire-controller", &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            result => drop(result.expect("the Lease goes")),
        }
    }

    /// Who leads, as the Lease says.
    pub async fn leader(&self, namespace: &str) -> Option<String> {
        let leases = Api::<Lease>::namespaced(self.client.clone(), namespace);
        let lease = leases.get("keywire-controller").await.expect("the Lease");
        lease.spec.and_then(|spec| spec.holder_identity).filter(|holder| !holder.is_empty())
    }

    /// Passes over objects of a kind that ended well.
    pub async fn passes(&self, kind: &str) -> usize {
        self.metric(&format!("keywire_reconciles_total{{kind=\"{kind}\",outcome=\"ok\"}}")).await
    }

    /// A metric; 0 while the operator does not answer.
    async fn metric(&self, name: &str) -> usize {
        let Ok(answer) = self.http.get(format!("http://{ADMIN}/metrics")).send().await else { return 0 };
        let text = answer.text().await.unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_default()
    }
}

impl Operator {
    /// SIGTERM, as at a rolling upgrade: it ends what it is at.
    pub fn go(mut self) {
        let told = Command::new("kill").arg(self.process.id().to_string()).status().expect("kill");
        assert!(told.success(), "kill: {told}");
        self.process.wait().expect("it ends");
    }

    /// SIGKILL: it ends where it stands.
    pub fn die(self) {
        drop(self);
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        self.process.wait().expect("it ends");
    }

    fn assert_runs(&mut self, log: &Path) {
        if let Some(status) = self.process.try_wait().expect("a child") {
            panic!("the operator ended with {status}; see {}", log.display());
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.end();
    }
}

fn kubeconfig_for(server: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters: [{{name: crash, cluster: {{server: \"{server}\"}}}}]
users: [{{name: crash, user: {{}}}}]
contexts: [{{name: crash, context: {{cluster: crash, user: crash}}}}]
current-context: crash
"
    )
}
