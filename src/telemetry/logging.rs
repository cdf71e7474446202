//! Logs: one line per event, on standard output.

use serde::Deserialize;
use tracing_subscriber::{EnvFilter, filter::ParseError, fmt};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    #[default]
    Json,
    /// For people.
    Text,
}

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum LogError {
    /// The filter is not of the form `info,keywire=debug`.
    #[error("the log filter is invalid: {0}")]
    Filter(#[from] ParseError),
    /// Logs were set up before.
    #[error("logs were set up twice")]
    Twice,
}

/// Sets up logs for the whole process. `filter` is of the form `info,keywire=debug`.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(filter)?;
    let builder = fmt().with_env_filter(filter);
    let set = match format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    set.map_err(|_| LogError::Twice)
}
