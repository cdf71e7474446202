//! The binaries under measurement, ended by their own pids.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tokio::time::sleep;

/// Where the binaries are.
pub struct Binaries {
    pub operator: String,
    pub proxy: String,
}

pub struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Starts it; what it logs goes into `log`.
    pub fn start(binary: &str, arguments: &[String], log: &Path) -> Self {
        let log = fs::File::create(log).expect("a log");
        let child = Command::new(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{binary}: {error}"));
        Self(child)
    }

    /// Waits until it is ready, as its admin port tells.
    pub async fn until_ready(&mut self, http: &reqwest::Client, admin: &str) {
        loop {
            let answer = http.get(format!("http://{admin}/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(self.0.try_wait().expect("a child").is_none(), "it ended: see its log");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// CPU time so far, in seconds: hundredths, as /proc has it.
    pub fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("it runs");
        let fields: Vec<_> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("ticks");
        (ticks(11) + ticks(12)) / 100.0
    }
}
