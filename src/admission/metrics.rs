//! What the webhook counts.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// How a review ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Outcome {
    /// `injected`, `untouched`, or why not.
    outcome: &'static str,
}

/// Counts and times of admission reviews.
#[derive(Clone, Debug)]
pub struct Metrics {
    reviews: Family<Outcome, Counter>,
    seconds: Histogram,
}

impl Metrics {
    /// Registers them.
    pub fn new(registry: &mut Registry) -> Self {
        let reviews = Family::default();
        let seconds = Histogram::new([0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25]);
        registry.register("keywire_admission_reviews", "Pods reviewed, by how it ended", reviews.clone());
        registry.register("keywire_admission_review_seconds", "Time to review one pod", seconds.clone());
        Self { reviews, seconds }
    }

    /// Counts one review.
    pub fn reviewed(&self, outcome: &'static str, took: Duration) {
        self.reviews.get_or_create(&Outcome { outcome }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
