//! The figures, for people and as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Size;

/// What was measured at one size.
pub struct Figures {
    pub size: Size,
    pub raw: Duration,
    pub ours: Duration,
    pub new_identity: Duration,
    /// Resident memory in KiB: with the endpoints alone, after all was made, and after restart and sweeps.
    pub empty: u64,
    pub memory: u64,
    pub memory_after: u64,
    pub restart: Duration,
    pub converged: Converged,
    /// Objects that a restart and the sweeps wrote to.
    pub writes: usize,
    /// Changes that they made in Keycloak.
    pub changes: u64,
}

/// What Keycloak was asked while there was nothing to do.
pub struct Converged {
    pub sweeps: u64,
    /// Readings of the admin events, by the clock.
    pub feed: u64,
    /// Everything else.
    pub others: u64,
}

impl Figures {
    /// Identities and grants.
    fn objects(&self) -> usize {
        self.size.identities * 2 + self.size.endpoints
    }

    fn per_hundred(&self) -> f64 {
        self.converged.others as f64 / self.converged.sweeps.max(1) as f64 * 100.0 / self.objects() as f64
    }

    /// The table that a person reads.
    pub fn print(&self) {
        let rate = |taken: Duration| self.size.identities as f64 / taken.as_secs_f64();
        println!("  raw {:.0}/s, operator {:.0}/s: {:.0} %", rate(self.raw), rate(self.ours), 100.0 * self.ratio());
        println!(
            "  converged: {:.2} requests per 100 objects and sweep, and {} readings of the admin events in {} sweeps",
            self.per_hundred(),
            self.converged.feed,
            self.converged.sweeps
        );
        println!(
            "  restart: {:.1} s, {} objects written, {} changes in Keycloak",
            self.restart.as_secs_f64(),
            self.writes,
            self.changes
        );
        println!("  one new identity: token after {:.2} s", self.new_identity.as_secs_f64());
        println!(
            "  memory: {} → {} MiB, {} after restart and sweeps",
            self.empty / 1024,
            self.memory / 1024,
            self.memory_after / 1024
        );
    }

    fn ratio(&self) -> f64 {
        self.raw.as_secs_f64() / self.ours.as_secs_f64()
    }

    fn json(&self) -> Value {
        json!({
            "identities": self.size.identities, "endpoints": self.size.endpoints,
            "rawSeconds": self.raw.as_secs_f64(), "operatorSeconds": self.ours.as_secs_f64(), "ratio": self.ratio(),
            "newIdentitySeconds": self.new_identity.as_secs_f64(),
            "restartSeconds": self.restart.as_secs_f64(), "restartWrites": self.writes, "restartChanges": self.changes,
            "requestsPer100ObjectsAndSweep": self.per_hundred(), "feedRequests": self.converged.feed,
            "memoryKiB": {"empty": self.empty, "made": self.memory, "swept": self.memory_after},
        })
    }
}

/// All sizes.
pub struct Report {
    sizes: Vec<Value>,
}

impl Report {
    pub fn new() -> Self {
        Self { sizes: Vec::new() }
    }

    pub fn add(&mut self, figures: Figures) {
        self.sizes.push(figures.json());
    }

    pub fn write(&self, path: &str) {
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let report = json!({"cores": cores, "sizes": self.sizes});
        std::fs::write(path, format!("{report:#}\n")).expect("the report can be written");
        println!("figures: {path}");
    }
}
