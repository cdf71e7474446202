//! What the process is, said in the file instead of flags.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use serde::Deserialize;

use crate::{core::policy::document::Audit, proxy::args::Args, telemetry::logging::LogFormat};

/// Settings of the process. They count from its next start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Settings {
    /// Address of the admin port (`/livez`, `/readyz`, `/metrics`, `/config`).
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub admin: Option<SocketAddr>,
    /// Address that the guard listens on.
    pub bind: Option<IpAddr>,
    /// Serve TLS on the guard's ports with `tls.crt` and `tls.key` of this directory, followed as they change.
    pub guard_tls: Option<PathBuf>,
    /// Directory of what signs browsers' sessions in: `cookie.key`, `cookie.previous.key` and `client-secret`.
    pub sign_in: Option<PathBuf>,
    /// Directory of the tokens that the egress half logs in with: the file `keycloak` in it.
    pub tokens: Option<PathBuf>,
    /// Worker threads; 0: one per CPU, at most 4.
    #[cfg_attr(test, schemars(range(max = 64)))]
    pub workers: Option<u16>,
    /// Memory for request bodies that are read as a whole, all together, in MiB.
    #[cfg_attr(test, schemars(range(min = 16, max = 65_536)))]
    pub body_memory: Option<usize>,
    /// How long an upstream may take to begin its answer, in seconds.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub upstream_timeout: Option<u64>,
    /// How long requests in flight may take to finish at SIGTERM, in seconds.
    pub drain: Option<u64>,
    /// The audit log.
    pub audit: AuditSettings,
    /// The other log.
    pub log: LogSettings,
}

/// The audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuditSettings {
    /// Which decisions are recorded.
    pub decisions: Option<Audit>,
    /// The file that they are appended to; none: they are in the other log.
    pub file: Option<PathBuf>,
}

/// The log of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LogSettings {
    /// Of the form `info,keywire=debug`.
    pub filter: Option<String>,
    /// How a line looks.
    pub format: Option<LogFormat>,
}

impl Settings {
    /// Puts what is said here in the place of what the flags say.
    pub fn put_into(self, args: &mut Args) {
        fn put<T>(said: Option<T>, flag: &mut T) {
            if let Some(said) = said {
                *flag = said;
            }
        }
        let Self { admin, bind, guard_tls, sign_in, tokens, workers, body_memory, upstream_timeout, drain, audit, log } =
            self;
        put(admin, &mut args.admin);
        put(bind, &mut args.bind);
        put(guard_tls.map(Some), &mut args.guard_tls);
        put(sign_in.map(Some), &mut args.sign_in);
        put(tokens, &mut args.tokens);
        put(workers.map(|workers| workers.min(64)), &mut args.workers);
        put(body_memory.map(|mebibytes| mebibytes.clamp(16, 65_536)), &mut args.body_memory);
        put(upstream_timeout.map(|seconds| seconds.max(1)), &mut args.upstream_timeout);
        put(drain, &mut args.drain);
        put(audit.decisions, &mut args.audit);
        put(audit.file.map(Some), &mut args.audit_file);
        put(log.filter, &mut args.log);
        put(log.format, &mut args.log_format);
    }
}
