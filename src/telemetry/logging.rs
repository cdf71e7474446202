//! Logs: one line per event, on standard output.

use serde::Deserialize;
use tracing_subscriber::{
    filter::{ParseError, Targets},
    fmt,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

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
    /// A name or a level is missing, which the library takes for something.
    #[error("the log filter is invalid: {0:?} lacks a name or a level")]
    Incomplete(String),
    /// Logs were set up before.
    #[error("logs were set up twice")]
    Twice(#[from] TryInitError),
}

/// Sets up logs for the whole process. `filter` is of the form `info,keywire=debug`.
pub fn init(format: LogFormat, filter: &str) -> Result<(), LogError> {
    let all = tracing_subscriber::registry().with(targets(filter)?);
    match format {
        LogFormat::Json => all.with(fmt::layer().json().flatten_event(true).with_current_span(false)).try_init(),
        LogFormat::Text => all.with(fmt::layer()).try_init(),
    }?;
    Ok(())
}

fn targets(filter: &str) -> Result<Targets, LogError> {
    match filter.split(',').find(|directive| directive.split('=').any(|part| part.trim().is_empty())) {
        Some(directive) => Err(LogError::Incomplete(directive.to_owned())),
        None => Ok(filter.parse()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for good in ["info", "off", "info,keywire=debug", "warn,audit=info", "keywire::proxy=trace"] {
            assert!(targets(good).is_ok(), "{good}");
        }
        for bad in ["", "=,=", "info,", "keywire=", "=debug", "info,keywire=loud"] {
            assert!(targets(bad).is_err(), "{bad}");
        }
    }
}
