//! What the controllers count.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::ledger::Actor;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabel {
    change: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DriftLabel {
    kind: &'static str,
    field: String,
    actor: String,
    action: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RealmLabel {
    realm: String,
}

/// How many people, and how many fields, have a label of their own: what others choose must not fill our memory.
const LABELS_MAX: usize = 200;

/// The controllers' metrics.
#[derive(Clone, Default)]
pub struct Metrics {
    reconciles: Family<Outcome, Counter>,
    changes: Family<ChangeLabel, Counter>,
    drift: Family<DriftLabel, Counter>,
    orphans: Family<RealmLabel, Gauge>,
    sweeps: Family<RealmLabel, Counter>,
    drift_labels: Arc<Mutex<BTreeSet<String>>>,
    leader: Gauge,
}

impl Metrics {
    /// Makes and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self { reconciles, changes, drift, orphans, sweeps, leader, .. } = &metrics;
        registry.register(
            "keywire_reconciles",
            "Reconciles by kind and outcome (the error's name, or ok)",
            reconciles.clone(),
        );
        registry.register("keywire_keycloak_changes", "Changes made in Keycloak, by kind of change", changes.clone());
        registry.register(
            "keywire_drift",
            "Changes by others in Keycloak of what is ours, by kind of object, field, who made it, and what became of it",
            drift.clone(),
        );
        registry.register("keywire_sweeps", "Comparisons of a whole realm that came to their end", sweeps.clone());
        registry.register(
            "keywire_orphans",
            "Clients in Keycloak that carry this cluster's mark and belong to no object, as the last sweep saw them",
            orphans.clone(),
        );
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

    /// Somebody changed what is ours in Keycloak.
    pub fn drifted(&self, kind: &'static str, field: &str, actor: &Actor, action: &'static str) {
        let actor = match actor {
            Actor::Known(who) => self.bounded(who),
            Actor::Unknown => "unknown".to_owned(),
        };
        let field = self.bounded(field);
        self.drift.get_or_create(&DriftLabel { kind, field, actor, action }).inc();
    }

    /// A sweep of a realm came to its end.
    pub fn swept(&self, realm: &str, orphans: usize) {
        let label = RealmLabel { realm: realm.to_owned() };
        self.sweeps.get_or_create(&label).inc();
        self.orphans.get_or_create(&label).set(i64::try_from(orphans).unwrap_or(i64::MAX));
    }

    fn bounded(&self, label: &str) -> String {
        let mut known = self.drift_labels.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(label) || (known.len() < LABELS_MAX && known.insert(label.to_owned())) {
            return label.to_owned();
        }
        "other".to_owned()
    }

    /// This replica leads.
    pub fn leads(&self) {
        self.leader.set(1);
    }
}
