//! One file instead of flags and documents: for a guard or an egress half without an operator.
//!
//! YAML, and so JSON too. It is looked at every second. Documents of a file that changed are put in force together or not at
//! all: one that is broken leaves the last good one in force, loudly. Settings of the process count from the next start.

mod error;
mod settings;
mod watch;

#[cfg(test)]
mod schema;

use std::{fs, path::Path};

use serde::Deserialize;

pub use error::ConfigError;
pub use settings::Settings;
pub use watch::{Halves, start};

use super::{args::Args, egress::state::EgressState, http::fetch::Resource};
use crate::core::policy::{
    compiled::CompiledPolicy,
    document::{EgressConfig, GuardPolicy, Introspection},
};

/// The file's JSON Schema, as `--schema` prints it; a test keeps it current.
pub const SCHEMA: &str = include_str!("../../../schemas/keywire-proxy.json");
/// The largest file read, in bytes.
const MAX_SIZE: u64 = 4 << 20;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// What the process is; what is left out is as the flags say.
    #[serde(default)]
    pub process: Settings,
    /// The guard's policy: the same as its document `guard.json`. Its number may be left out.
    pub guard: Option<GuardPolicy>,
    /// The egress half's configuration: the same as its document `egress.json`. Its number may be left out.
    pub egress: Option<EgressConfig>,
}

impl Config {
    /// Reads and checks a file, as starting would.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::Read(path.to_owned(), error);
        if fs::metadata(path).map_err(unreadable)?.len() > MAX_SIZE {
            return Err(ConfigError::TooLarge(path.to_owned()));
        }
        Self::parse(path, &fs::read(path).map_err(unreadable)?)
    }

    /// Reads and checks the text of the file at `path`.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, ConfigError> {
        let options = serde_saphyr::options! { with_snippet: false };
        let config: Self = serde_saphyr::from_slice_with_options(text, options)
            .map_err(|error| ConfigError::of_syntax(path, &error))?;
        config.check(path).map(|()| config)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        if self.guard.is_none() && self.egress.is_none() {
            return Err(ConfigError::NoHalf(path.to_owned()));
        }
        if self.guard.is_none() && self.process.guard_tls.is_some() {
            return Err(ConfigError::NoGuard(path.to_owned()));
        }
        if let Some(policy) = &self.guard {
            let refused = |error| ConfigError::Guard { path: path.to_owned(), error };
            CompiledPolicy::compile(policy.clone()).map_err(refused)?;
            if let Some(Introspection { url, ca }) = &policy.introspection {
                let refused = |error| ConfigError::Introspection { path: path.to_owned(), error };
                Resource::new(url, ca.as_deref()).map_err(refused)?;
            }
        }
        if let Some(egress) = &self.egress {
            EgressState::check(egress).map_err(|error| ConfigError::Egress { path: path.to_owned(), error })?;
        }
        Ok(())
    }
}

/// The flags with what the file says in their place, where there is one.
pub fn settle(args: &Args) -> Result<Args, ConfigError> {
    let mut args = args.clone();
    if let Some(path) = &args.config {
        Config::read(path)?.process.put_into(&mut args);
    }
    Ok(args)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
process: {workers: 2, audit: {decisions: all}, log: {format: text}}
guard:
  endpoint: {namespace: vision, name: iris}
  audience: iris
  roleClient: iris
  issuers:
  - issuer: https://kc/realms/ml
    jwksUrl: https://kc/certs
  protocol: HTTP
  listeners: [{name: http, listen: 18080, upstream: 8080}]
  rules:
  - path: /x/{model}
    access: {permission: read}
  - path: /health
    access: public
  limits: {requestsPerSecond: 10}
  grants:
  - {name: g, subject: {client: c}, permissions: [read]}
";

    /// JSON behind one key: good YAML by itself, good JSON in braces.
    const EGRESS: &str = r#""egress": {"identity": {"namespace": "a", "name": "b"}, "clientId": "c",
        "tokenSource": {"tokenUrl": "https://kc/token", "assertionAudience": "https://kc"},
        "targets": [{"endpoint": {"namespace": "v", "name": "i"}, "listen": 15100, "upstream": "http://i:80", "audience": "i",
            "scopes": ["i:read"]}]}"#;

    fn said(text: &str) -> String {
        Config::parse(Path::new("k.yaml"), text.as_bytes())
            .map(|_| ())
            .map_err(|error| error.to_string())
            .err()
            .unwrap_or_default()
    }

    #[test]
    fn yaml_and_json_are_read() {
        assert_eq!(said(GOOD), "");
        assert_eq!(said(EGRESS), "");
        assert_eq!(said(&format!("{{{EGRESS}}}")), "");
    }

    /// Each says the file, the place, and what was expected.
    #[test]
    fn what_is_wrong_is_said() {
        let mut unsaid = Vec::new();
        for (from, to, expected) in [
            ("protocol: HTTP", "protocol: Http", &["k.yaml:10:", ", HTTP"][..]),
            ("audience: iris", "audienz: iris", &["k.yaml:5:", "audienz", "audience"]),
            ("listen: 18080", "listen: 99999", &["k.yaml:11:", "u16"]),
            ("permission: read", "permission: Read", &["k.yaml:14:", "no permission name"]),
            ("workers: 2", "workers: 2, wat: 1", &["k.yaml:2:", "wat", "drain"]),
            ("decisions: all", "decisions: some", &["k.yaml:2:", "some", "all"]),
            ("  grants:", "  - grants:", &["k.yaml:"]),
            ("path: /health", "path: health", &["k.yaml", "guard.rules", "health"]),
            ("listen: 18080", "listen: 0", &["k.yaml", "guard.listeners"]),
            ("requestsPerSecond: 10", "burst: 10", &["k.yaml", "guard.limits"]),
            ("audience: iris", "audience: \"\"", &["k.yaml", "guard.audience"]),
            (
                "  grants:",
                "  signIn: {url: \"https://a/b\", clientId: a, authorizationUrl: \"https://kc/a\", logoutUrl: \"https://kc/b\", tokenUrl: \"https://kc/c\"}\n  grants:",
                &["k.yaml", "guard.signIn", "https://HOST"],
            ),
            ("audience: iris", "audience: iris\n  audience: rose", &["k.yaml:6:", "audience"]),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let said = said(&GOOD.replace(from, to));
            if !expected.iter().all(|part| said.contains(part)) {
                unsaid.push(format!("{from} -> {to}: {said}"));
            }
        }
        assert!(unsaid.is_empty(), "{}", unsaid.join("\n"));
        assert!(said("{}").contains("neither"), "{}", said("{}"));
        let tls = "process: {guardTls: /tls}\n";
        assert_eq!(said(&GOOD.replace("process: {", "process: {guardTls: /tls, ")), "");
        assert!(said(&[tls, EGRESS].concat()).contains("guardTls"));
    }
}
