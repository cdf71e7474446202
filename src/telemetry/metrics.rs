//! Metrics in the OpenMetrics text format.

use prometheus_client::{encoding::text::encode, registry::Registry};

/// The content type of [`render`]'s text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A registry whose metric names begin with `keywire_`, with the build in it.
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("keywire");
    let build = prometheus_client::metrics::info::Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The version that runs", build);
    registry
}

/// All metrics as text.
pub fn render(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing into a string fails only if an encoder of ours does; the scrape is then short.
    if encode(&mut text, registry).is_err() {
        tracing::warn!("metrics could not be encoded");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_told() {
        let text = render(&registry());
        assert!(text.contains("keywire_build_info{version=\"") && text.ends_with("# EOF\n"), "{text}");
    }
}
