//! The command line. The admission webhook writes exactly these flags.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use clap::{Parser, ValueEnum, builder::PossibleValue};
use url::{Host, Url};

use crate::{
    core::{app_probe::AppProbe, name::Ref, policy::document::Audit},
    telemetry::logging::LogFormat,
};

const EXAMPLES: &str = "\
Examples:
  An endpoint's guard, policy from a ConfigMap and from the operator's stream:
    keywire-proxy --guard /etc/keywire/guard --guard-port 18080:8080 \\
      --tokens /var/run/keywire/tokens --stream https://keywire-policy.keywire-system.svc:8443
  A workload's egress half, which the application calls on 127.0.0.1:15100:
    keywire-proxy --egress /etc/keywire/egress --egress-port 15100 --tokens /var/run/keywire/tokens
  Without an operator, everything in one file:
    keywire-proxy --config /etc/keywire-proxy.yaml
  Check the documents and leave:
    keywire-proxy --guard ./guard --egress ./egress --check

Until its document (and, for the guard, its issuers' keys) are there, a port answers 503 with Retry-After.";

/// The Keywire sidecar: guard (inbound) and egress (outbound).
#[derive(Clone, Debug, Parser)]
#[command(name = "keywire-proxy", version, about, after_long_help = EXAMPLES)]
pub struct Args {
    /// One file (YAML or JSON) instead of --guard, --egress, their documents and the other flags; what it names counts before a
    /// flag. Looked at every second
    #[arg(long, value_name = "FILE", env = "KEYWIRE_CONFIG", conflicts_with_all = ["guard", "guard_port", "guard_identity", "egress", "egress_port", "egress_identity", "stream"])]
    pub config: Option<PathBuf>,

    /// Directory of the guard's documents (guard.json, stream-ca.crt); may be empty at start
    #[arg(long, value_name = "DIR", env = "KEYWIRE_GUARD")]
    pub guard: Option<PathBuf>,

    /// Guard port and the application's port behind it; bound at once, more come with the document
    #[arg(long, value_name = "LISTEN:UPSTREAM", env = "KEYWIRE_GUARD_PORTS", value_delimiter = ',')]
    pub guard_port: Vec<PortPair>,

    /// The ModelEndpoint this guard stands for; needed where guard.json may be absent at start
    #[arg(long, value_name = "NAMESPACE/NAME", env = "KEYWIRE_GUARD_IDENTITY", value_parser = reference)]
    pub guard_identity: Option<Ref>,

    /// Serve TLS on the guard's ports with tls.crt and tls.key of this directory, followed as they change
    #[arg(long, value_name = "DIR", env = "KEYWIRE_GUARD_TLS")]
    pub guard_tls: Option<PathBuf>,

    /// Directory of what signs browsers' sessions in: cookie.key (base64 of 32 random bytes), cookie.previous.key while a key
    /// is replaced, and client-secret where the client has one; followed as they change
    #[arg(long, value_name = "DIR", env = "KEYWIRE_SIGN_IN")]
    pub sign_in: Option<PathBuf>,

    /// Directory of the egress half's documents (egress.json, stream-ca.crt); may be empty at start
    #[arg(long, value_name = "DIR", env = "KEYWIRE_EGRESS")]
    pub egress: Option<PathBuf>,

    /// Loopback port for the application's calls; bound at once, more come with the document
    #[arg(long, value_name = "PORT", env = "KEYWIRE_EGRESS_PORTS", value_delimiter = ',')]
    pub egress_port: Vec<u16>,

    /// The WorkloadIdentity this egress half carries; needed where egress.json may be absent at start
    #[arg(long, value_name = "NAMESPACE/NAME", env = "KEYWIRE_EGRESS_IDENTITY", value_parser = reference)]
    pub egress_identity: Option<Ref>,

    /// Directory of the credential that this identity keeps (credential.json), where it logs in with one; may be empty at start
    #[arg(long, value_name = "DIR", env = "KEYWIRE_EGRESS_CREDENTIAL")]
    pub egress_credential: Option<PathBuf>,

    /// Directory where that credential is written for the application: client-id, and client-secret or private-key.pem with key-id
    #[arg(long, value_name = "DIR", env = "KEYWIRE_EGRESS_CREDENTIAL_FILES", requires = "egress_credential")]
    pub egress_credential_files: Option<PathBuf>,

    /// Directory of the projected ServiceAccount tokens: `keycloak` and `policy`
    #[arg(long, value_name = "DIR", env = "KEYWIRE_TOKENS", default_value = "/var/run/keywire/tokens")]
    pub tokens: PathBuf,

    /// The operator's policy stream; without it, only the files count
    #[arg(long, value_name = "URL", env = "KEYWIRE_STREAM", value_parser = stream_url)]
    pub stream: Option<String>,

    /// Address of the admin port (/livez, /readyz, /metrics, /config)
    #[arg(long, value_name = "ADDRESS", env = "KEYWIRE_ADMIN", default_value = "0.0.0.0:15090")]
    pub admin: SocketAddr,

    /// A probe of an application on loopback, answered for at /app-health/CONTAINER/{livez,readyz,startupz} of the admin port;
    /// JSON, as the admission webhook writes it. May be given more than once
    #[arg(long, value_name = "JSON", env = "KEYWIRE_APP_PROBE")]
    pub app_probe: Vec<AppProbe>,

    /// Address that the guard listens on
    #[arg(long, value_name = "IP", env = "KEYWIRE_BIND", default_value_t = IpAddr::V6(Ipv6Addr::UNSPECIFIED))]
    pub bind: IpAddr,

    /// Worker threads; 0: one per CPU this container may use, at most 4
    #[arg(long, value_name = "N", env = "KEYWIRE_WORKERS", default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=64))]
    pub workers: u16,

    /// Which decisions are written to the audit log; `all` costs a line per request
    #[arg(long, value_enum, env = "KEYWIRE_AUDIT", default_value_t)]
    pub audit: Audit,

    /// File that the audit log is appended to, instead of the other log; opened anew at SIGHUP and when it was moved. Records
    /// are lost (and counted) rather than calls held up
    #[arg(long, value_name = "PATH", env = "KEYWIRE_AUDIT_FILE")]
    pub audit_file: Option<PathBuf>,

    /// Memory for request bodies that are read as a whole (the model is in them), all together, in MiB; over it: 503
    #[arg(long, value_name = "MIB", env = "KEYWIRE_BODY_MEMORY", default_value_t = 256, value_parser = body_memory)]
    pub body_memory: usize,

    /// How long an upstream may take to begin its answer, in seconds
    #[arg(long, value_name = "SECONDS", env = "KEYWIRE_UPSTREAM_TIMEOUT", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    pub upstream_timeout: u64,

    /// How long requests in flight may take to finish at SIGTERM, in seconds
    #[arg(long, value_name = "SECONDS", env = "KEYWIRE_DRAIN", default_value_t = 20)]
    pub drain: u64,

    /// Log filter
    #[arg(long, value_name = "FILTER", env = "KEYWIRE_LOG", default_value = "info")]
    pub log: String,

    /// Log format
    #[arg(long, value_enum, env = "KEYWIRE_LOG_FORMAT", default_value_t)]
    pub log_format: LogFormat,

    /// Check the file of --config, or the documents in --guard and --egress, say what is wrong, and leave
    #[arg(long)]
    pub check: bool,

    /// Print the JSON Schema of the file of --config, and leave
    #[arg(long)]
    pub schema: bool,
}

/// `18080:8080`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortPair {
    /// The guard's port.
    pub listen: u16,
    /// The application's. The document in force is what counts; this is for
    /// whoever reads the pod.
    pub upstream: u16,
}

/// Why the flags make no sense together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ArgsError {
    /// Neither half was asked for.
    #[error("nothing to do: give --guard DIR, --egress DIR, or both; or --config FILE")]
    NoHalf,
    /// A guard flag without a guard.
    #[error("--guard-port, --guard-identity and --guard-tls need --guard DIR, the last one or --config FILE")]
    NoGuard,
    /// An egress flag without an egress half.
    #[error("--egress-port and --egress-identity need --egress DIR")]
    NoEgress,
    /// One port for two things.
    #[error("port {0} is given twice")]
    PortTwice(u16),
}

impl Args {
    /// Checks what clap cannot.
    pub fn validate(&self) -> Result<(), ArgsError> {
        let has_guard_flag = !self.guard_port.is_empty() || self.guard_identity.is_some();
        let may_guard = self.guard.is_some() || self.config.is_some();
        if (self.guard.is_none() && has_guard_flag) || (!may_guard && self.guard_tls.is_some()) {
            return Err(ArgsError::NoGuard);
        }
        if self.egress.is_none() && (!self.egress_port.is_empty() || self.egress_identity.is_some()) {
            return Err(ArgsError::NoEgress);
        }
        if self.guard.is_none() && self.egress.is_none() && self.config.is_none() {
            return Err(ArgsError::NoHalf);
        }
        let mut ports: Vec<u16> = self.guard_port.iter().map(|pair| pair.listen).collect();
        ports.extend(&self.egress_port);
        ports.push(self.admin.port());
        ports.retain(|port| *port != 0);
        ports.sort_unstable();
        match ports.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(ArgsError::PortTwice(pair[0])),
            None => Ok(()),
        }
    }
}

// The type is a document's, and the core knows of no command line.
impl ValueEnum for Audit {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::All, Self::Denied, Self::Off]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::All => {
                ("all", "Every decision. Costs a log line per request: a third of the call itself with --audit-file")
            }
            Self::Denied => ("denied", "What was not allowed. Allowed requests are counted in the metrics only"),
            Self::Off => ("off", "Nothing"),
        };
        Some(PossibleValue::new(name).help(help))
    }
}

impl FromStr for PortPair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| {
            text.parse::<u16>().map_err(|_| format!("{text:?} is no port; write LISTEN:UPSTREAM, such as 18080:8080"))
        };
        let (listen, upstream) = text.split_once(':').ok_or("write LISTEN:UPSTREAM, such as 18080:8080")?;
        Ok(Self { listen: port(listen)?, upstream: port(upstream)? })
    }
}

fn reference(text: &str) -> Result<Ref, String> {
    let label = |label: &str| {
        let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
        !label.is_empty() && label.len() <= 63 && label.as_bytes().iter().all(inner)
    };
    match text.split_once('/') {
        Some((namespace, name)) if label(namespace) && label(name) => Ok(Ref::new(namespace, name)),
        _ => Err("write NAMESPACE/NAME, such as vision/iris".to_owned()),
    }
}

/// The largest body must fit, or it could never be served.
fn body_memory(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(mebibytes @ 16..=65_536) => Ok(mebibytes),
        Ok(_) | Err(_) => Err("write a number of MiB from 16 to 65536".to_owned()),
    }
}

/// The stream carries a bearer token, so it must be https; plain http only to
/// this very machine, for tests.
fn stream_url(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    };
    match url.scheme() {
        "https" => Ok(text.to_owned()),
        "http" if local => Ok(text.to_owned()),
        _ => Err("the policy stream must be an https:// URL".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        let args = Args::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?;
        args.validate().map_err(|error| error.to_string())?;
        Ok(args)
    }

    #[test]
    fn the_webhooks_line_is_understood() {
        Args::command().debug_assert();
        let line = "keywire-proxy --guard /etc/keywire/guard --guard-port 18080:8080 --guard-port 18081:8081 \
            --egress /etc/keywire/egress --egress-port 15100 --egress-port 15101 --tokens /var/run/keywire/tokens \
            --stream https://keywire-policy.keywire-system.svc:8443 --admin 0.0.0.0:15090 --guard-identity vision/iris";
        let args = parse(line);
        assert!(
            matches!(&args, Ok(args) if args.guard_port.len() == 2 && args.egress_port == [15100, 15101]
                && args.guard_identity == Some(Ref::new("vision", "iris"))),
            "{args:?}"
        );
    }

    #[test]
    fn a_file_and_a_certificate_go_together() {
        assert!(parse("p --config f --guard-tls t").is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        for (line, said) in [
            ("p", "nothing to do"),
            ("p --config f --guard d", "cannot be used with"),
            ("p --guard-port 1:2 --egress d", "need --guard DIR"),
            ("p --egress-port 1 --guard d", "need --egress DIR"),
            ("p --guard-tls t --egress d", "need --guard DIR"),
            ("p --guard d --guard-port 8080", "LISTEN:UPSTREAM"),
            ("p --guard d --guard-port 99999:1", "no port"),
            ("p --guard d --guard-port 80:1 --guard-port 80:2", "port 80 is given twice"),
            ("p --guard d --egress e --guard-port 80:1 --egress-port 80", "port 80 is given twice"),
            ("p --guard d --guard-identity iris", "NAMESPACE/NAME"),
            ("p --guard d --guard-identity ../iris", "NAMESPACE/NAME"),
            ("p --guard d --stream http://policy:8443", "https"),
            ("p --guard d --admin 15090", "invalid socket address"),
            ("p --guard d --body-memory 15", "from 16 to 65536"),
        ] {
            assert!(parse(line).is_err_and(|error| error.contains(said)), "{line}");
        }
    }
}
