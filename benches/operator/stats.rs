//! Latencies in words.

use std::time::Duration;

use serde_json::{Value, json};

/// What a set of latencies comes to, in milliseconds.
pub fn summary(mut all: Vec<Duration>) -> Value {
    all.sort_unstable();
    let at = |share: f64| {
        let index = ((all.len() as f64 * share).ceil() as usize).clamp(1, all.len()) - 1;
        (all[index].as_secs_f64() * 1e5).round() / 100.0
    };
    json!({"count": all.len(), "p50Ms": at(0.5), "p90Ms": at(0.9), "p99Ms": at(0.99), "p999Ms": at(0.999), "maxMs": at(1.0)})
}
