//! What the proxy counts. Labels are reason codes and names from documents,
//! never anything that a caller chooses.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::telemetry::metrics::registry;

/// Labels of a guard's decision.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DecisionLabels {
    /// `allowed`, `denied`, `limited` (429), `refused` (400), `unavailable` or `failed` (the upstream).
    pub decision: &'static str,
    /// The reason code.
    pub reason: &'static str,
    /// The permission that was asked for; empty where it did not come to that.
    pub permission: String,
    /// The model, where the policy names it; else `other`, `*` for every model, or empty for none.
    pub model: String,
}

/// Labels of what happened to something of one half.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct HalfLabels {
    /// `guard` or `egress`.
    pub half: &'static str,
    /// A result code.
    pub result: &'static str,
}

/// Labels of what happened to something with a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct NamedLabels {
    /// The issuer's URL, or the endpoint as `namespace/name`.
    pub name: String,
    /// A result code.
    pub result: &'static str,
}

/// Every metric, and the registry that holds them.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Guard decisions.
    pub decisions: Family<DecisionLabels, Counter>,
    /// From a request's head to the decision on it, the body not counted: what the guard adds to a call. Of every 64th
    /// request of each worker, since a histogram takes a lock.
    pub decision_time: Histogram,
    /// Records of the audit log that were lost.
    pub audit_lost: Counter,
    /// Tokens met again on the same connection.
    pub tokens_same_connection: Counter,
    /// Tokens found in the cache.
    pub tokens_cached: Counter,
    /// Tokens verified by signature.
    pub tokens_verified: Counter,
    /// Policy documents offered, by what became of them.
    pub documents: Family<HalfLabels, Counter>,
    /// 1 while the configuration file as it is now is in force, 0 where it was refused; 0 without one.
    pub config_good: Gauge<i64>,
    /// The number of the document in force, by half.
    pub guard_number: Gauge<i64>,
    /// As `guard_number`.
    pub egress_number: Gauge<i64>,
    /// Policy stream connections, by what became of them.
    pub streams: Family<HalfLabels, Counter>,
    /// Key set fetches.
    pub key_fetches: Family<NamedLabels, Counter>,
    /// Seconds since each issuer's keys were fetched; set when scraped.
    pub key_age: Family<NamedLabels, Gauge<f64, AtomicU64>>,
    /// This clock less each issuer's, in seconds; set when scraped.
    pub clock_skew: Family<NamedLabels, Gauge<f64, AtomicU64>>,
    /// Calls through the egress half.
    pub egress_calls: Family<NamedLabels, Counter>,
    /// Tokens asked for by the egress half.
    pub token_fetches: Family<NamedLabels, Counter>,
    /// Certificates offered to the guard, by what became of them.
    pub certificates: Family<HalfLabels, Counter>,
    /// Connections open now.
    pub connections: Gauge,
    /// Memory taken by request bodies that are held as a whole; set when scraped.
    pub body_bytes: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut metrics = Self {
            registry: registry(),
            decisions: Family::default(),
            // 1 µs to 16 ms: a known token takes a few, a signature some tens, new keys the rest.
            decision_time: Histogram::new(exponential_buckets(1e-6, 2.0, 15)),
            audit_lost: Counter::default(),
            tokens_same_connection: Counter::default(),
            tokens_cached: Counter::default(),
            tokens_verified: Counter::default(),
            documents: Family::default(),
            config_good: Gauge::default(),
            guard_number: Gauge::default(),
            egress_number: Gauge::default(),
            streams: Family::default(),
            key_fetches: Family::default(),
            key_age: Family::default(),
            clock_skew: Family::default(),
            egress_calls: Family::default(),
            token_fetches: Family::default(),
            certificates: Family::default(),
            connections: Gauge::default(),
            body_bytes: Gauge::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    /// The registry, for the admin port.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "guard_requests",
            "Requests by decision, reason, permission and model",
            self.decisions.clone(),
        );
        registry.register_with_unit(
            "guard_decision",
            "Time from a request's head to the decision on it, of every 64th request",
            Unit::Seconds,
            self.decision_time.clone(),
        );
        registry.register("guard_audit_lost", "Audit records that could not be written", self.audit_lost.clone());
        registry.register(
            "guard_tokens_same_connection",
            "Tokens recognised from the request before on the same connection",
            self.tokens_same_connection.clone(),
        );
        registry.register("guard_tokens_cached", "Tokens found in the cache", self.tokens_cached.clone());
        registry.register("guard_tokens_verified", "Tokens verified by their signature", self.tokens_verified.clone());
        registry.register("documents", "Policy documents offered, by result", self.documents.clone());
        registry.register(
            "config_last_reload_successful",
            "Whether the configuration file as it is now is in force (1), or was refused (0); 0 without one",
            self.config_good.clone(),
        );
        registry.register("guard_policy_number", "Number of the guard policy in force", self.guard_number.clone());
        registry.register("egress_policy_number", "Number of the egress document in force", self.egress_number.clone());
        registry.register("policy_streams", "Policy stream connections, by result", self.streams.clone());
        registry.register("key_fetches", "Key set fetches, by issuer and result", self.key_fetches.clone());
        registry.register_with_unit(
            "key_age",
            "Time since the issuer's keys were fetched",
            Unit::Seconds,
            self.key_age.clone(),
        );
        registry.register_with_unit(
            "clock_skew",
            "This node's clock less the issuer's, when its keys were fetched",
            Unit::Seconds,
            self.clock_skew.clone(),
        );
        registry.register(
            "egress_requests",
            "Calls through the egress half, by endpoint and result",
            self.egress_calls.clone(),
        );
        registry.register(
            "egress_token_fetches",
            "Tokens asked for, by endpoint and result",
            self.token_fetches.clone(),
        );
        registry.register("certificates", "Certificates offered, by result", self.certificates.clone());
        registry.register("connections", "Connections open now", self.connections.clone());
        registry.register_with_unit(
            "guard_bodies",
            "Memory taken by request bodies that are held as a whole",
            Unit::Bytes,
            self.body_bytes.clone(),
        );
    }
}
