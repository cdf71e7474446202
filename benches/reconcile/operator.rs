//! The operator as a process beside the cluster.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::sleep;

const ADMIN: &str = "127.0.0.1:18980";
const POLL: Duration = Duration::from_millis(50);

pub struct Operator {
    process: Child,
    http: reqwest::Client,
}

impl Operator {
    pub fn start(binary: &str, sweep: &str) -> Self {
        let log = std::fs::File::create("target/bench/operator.log").expect("a log");
        let process = Command::new(binary)
            .args(["controller", "--namespace", "keywire-system", "--admin", ADMIN, "--sweep-interval", sweep])
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("the operator starts");
        Self { process, http: reqwest::Client::new() }
    }

    /// Resident memory in KiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Waits until so many passes over identities ended well.
    pub async fn wait_reconciled(&self, identities: usize) {
        let wanted = u64::try_from(identities).expect("a count");
        while self.counter(r#"keywire_reconciles_total{kind="WorkloadIdentity",outcome="ok"}"#).await < wanted {
            sleep(POLL).await;
        }
    }

    /// Waits until so many sweeps are over; says how many are.
    pub async fn wait_sweeps(&self, wanted: u64) -> u64 {
        loop {
            let sweeps = self.counter("keywire_sweeps_total").await;
            if sweeps >= wanted {
                return sweeps;
            }
            sleep(POLL).await;
        }
    }

    /// Changes made in Keycloak.
    pub async fn changes(&self) -> u64 {
        self.counter("keywire_keycloak_changes_total").await
    }

    /// The sum of all metrics whose line begins so; 0 while the operator does not answer.
    async fn counter(&self, prefix: &str) -> u64 {
        let Ok(answer) = self.http.get(format!("http://{ADMIN}/metrics")).send().await else { return 0 };
        let text = answer.text().await.unwrap_or_default();
        let lines = text.lines().filter(|line| line.starts_with(prefix));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    pub async fn stop(mut self) {
        let pid = i32::try_from(self.process.id()).expect("a pid");
        Command::new("kill").arg(pid.to_string()).status().expect("kill");
        while self.process.try_wait().expect("a child").is_none() {
            sleep(POLL).await;
        }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.process.kill();
    }
}
