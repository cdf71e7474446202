//! A kubelet's probe of an application that listens on loopback, where no kubelet reaches: the sidecar makes it instead.
//!
//! Admission moves each to a path of the sidecar's admin port and hands over what it was as an argument: this type, as JSON.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where these paths begin.
pub const PREFIX: &str = "/app-health/";

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppProbe {
    /// The container that it is of.
    pub container: String,
    /// Which of its probes.
    pub kind: ProbeKind,
    /// What is tried, on 127.0.0.1.
    pub action: Action,
    /// How long that may take, in seconds.
    pub timeout: u16,
}

/// Which of a container's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::EnumIter)]
#[serde(rename_all = "camelCase")]
pub enum ProbeKind {
    /// `livenessProbe`.
    Liveness,
    /// `readinessProbe`.
    Readiness,
    /// `startupProbe`.
    Startup,
}

/// What a probe tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// GET over HTTP/1.1: a status from 200 to 399 is good.
    HttpGet {
        /// TCP port.
        port: u16,
        /// Path and query.
        path: String,
        /// More header fields.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        headers: Vec<(String, String)>,
    },
    /// A connection: that it is accepted is good.
    TcpSocket {
        /// TCP port.
        port: u16,
    },
    /// `grpc.health.v1.Health/Check`: SERVING is good.
    Grpc {
        /// TCP port.
        port: u16,
        /// The service that is asked for; empty: the server as a whole.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        service: String,
    },
}

impl ProbeKind {
    /// The field of a container that holds it.
    pub fn field(self) -> &'static str {
        match self {
            Self::Liveness => "livenessProbe",
            Self::Readiness => "readinessProbe",
            Self::Startup => "startupProbe",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Liveness => "livez",
            Self::Readiness => "readyz",
            Self::Startup => "startupz",
        }
    }
}

impl AppProbe {
    /// Where the sidecar answers for it.
    pub fn path(&self) -> String {
        path(&self.container, self.kind)
    }
}

/// Where the sidecar answers for a container's probe.
pub fn path(container: &str, kind: ProbeKind) -> String {
    format!("{PREFIX}{container}/{}", kind.path())
}

impl FromStr for AppProbe {
    type Err = serde_json::Error;

    fn from_str(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_through_an_argument() {
        let headers = vec![("Host".to_owned(), "a".to_owned())];
        for action in [
            Action::HttpGet { port: 8080, path: "/ready?deep=1".into(), headers },
            Action::TcpSocket { port: 8080 },
            Action::Grpc { port: 8081, service: String::new() },
        ] {
            let probe = AppProbe { container: "app".into(), kind: ProbeKind::Readiness, action, timeout: 1 };
            let text = serde_json::to_string(&probe).expect("JSON");
            assert_eq!(text.parse::<AppProbe>().ok(), Some(probe), "{text}");
        }
        let unknown = r#"{"container":"a","kind":"liveness","action":{"exec":{}},"timeout":1}"#;
        assert!(unknown.parse::<AppProbe>().is_err());
        assert_eq!(path("app", ProbeKind::Startup), "/app-health/app/startupz");
    }
}
