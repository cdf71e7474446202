//! What the policy stream counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::DocumentKind;

/// Of which kind of document.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

/// Why a request got no stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Streams, pushes and refusals.
#[derive(Clone, Debug)]
pub struct Metrics {
    connected: Family<OfKind, Gauge>,
    pushes: Family<OfKind, Counter>,
    refused: Family<Reason, Counter>,
}

/// A stream, counted as connected while this lives.
#[derive(Debug)]
pub struct Connected {
    gauge: Gauge,
    pushes: Counter,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &mut Registry) -> Self {
        let (connected, pushes, refused) = (Family::default(), Family::default(), Family::default());
        registry.register("keywire_policy_connected", "Streams that are open", connected.clone());
        registry.register("keywire_policy_pushes", "Documents and deletions sent", pushes.clone());
        registry.register("keywire_policy_refused", "Requests without a stream, by reason", refused.clone());
        Self { connected, pushes, refused }
    }

    /// Counts a stream, for as long as the answer lives.
    pub fn connected(&self, kind: DocumentKind) -> Connected {
        let kind = OfKind { kind: kind.into() };
        let gauge = self.connected.get_or_create(&kind).clone();
        gauge.inc();
        Connected { gauge, pushes: self.pushes.get_or_create(&kind).clone() }
    }

    /// Counts a refusal.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }
}

impl Connected {
    /// Counts a push.
    pub fn pushed(&self) {
        self.pushes.inc();
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
