//! What the controllers count.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabel {
    change: &'static str,
}

/// The controllers' metrics.
#[derive(Clone, Default)]
pub struct Metrics {
    reconciles: Family<Outcome, Counter>,
    changes: Family<ChangeLabel, Counter>,
    leader: Gauge,
}

impl Metrics {
    /// Makes and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { reconciles, changes, leader } = &metrics;
        registry.register(
            "keywire_reconciles",
            "Reconciles by kind and outcome (the error's name, or ok)",
            reconciles.clone(),
        );
        registry.register("keywire_keycloak_changes", "Changes made in Keycloak, by kind of change", changes.clone());
        registry.register("keywire_leader", "1 while this replica is the leader", leader.clone());
        metrics
    }

    /// A reconcile ended.
    pub fn reconciled(&self, kind: &'static str, outcome: &'static str) {
        self.reconciles.get_or_create(&Outcome { kind, outcome }).inc();
    }

    /// A change was made in Keycloak.
    pub fn changed(&self, change: &'static str) {
        self.changes.get_or_create(&ChangeLabel { change }).inc();
    }

    /// This replica leads.
    pub fn leads(&self) {
        self.leader.set(1);
    }
}
