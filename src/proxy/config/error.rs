//! Why a configuration file is refused: which file, where in it, and what was expected.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    core::policy::compiled::CompileError,
    proxy::{egress::state::EgressError, http::connect::OriginError},
};

/// Why a file is no configuration. The last good one stays in force.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ConfigError {
    /// It cannot be read.
    #[error("{0:?} cannot be read: {1}")]
    Read(PathBuf, io::Error),
    /// Larger than 4 MiB.
    #[error("{0:?} is larger than 4 MiB")]
    TooLarge(PathBuf),
    /// Not YAML of the expected form.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// From 1; 0 where it is not known.
        line: u64,
        /// From 1; 0 where it is not known.
        column: u64,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// Nothing to do.
    #[error("{0:?} has neither \"guard\" nor \"egress\": give one of them, or both")]
    NoHalf(PathBuf),
    /// A certificate, and nobody to show it.
    #[error("{0:?} has \"process.guardTls\", but no \"guard\" that would serve with it")]
    NoGuard(PathBuf),
    /// A guard policy that cannot be.
    #[error("{}: {}: {error}", path.display(), field(error))]
    Guard {
        /// The file.
        path: PathBuf,
        /// Why.
        error: CompileError,
    },
    /// An introspection endpoint that cannot be used.
    #[error("{}: guard.introspection: {error}", path.display())]
    Introspection {
        /// The file.
        path: PathBuf,
        /// Why.
        error: OriginError,
    },
    /// An egress configuration that cannot be.
    #[error("{}: egress: {error}", path.display())]
    Egress {
        /// The file.
        path: PathBuf,
        /// Why.
        error: EgressError,
    },
    /// A half came or went, which needs sockets and readiness of its own.
    #[error("{}: {half}: a half cannot come or go while the process runs; restart it", path.display())]
    HalfChanged {
        /// The file.
        path: PathBuf,
        /// Which.
        half: &'static str,
    },
}

impl ConfigError {
    pub(super) fn of_syntax(path: &Path, error: &serde_saphyr::Error) -> Self {
        let location = error.location();
        let (line, column) = location.map_or((0, 0), |at| (at.line(), at.column()));
        let mut message = error.without_snippet().to_string();
        // The place comes first, once.
        if let Some(at) = message.rfind(" at line ") {
            message.truncate(at);
        }
        Self::Malformed { path: path.to_owned(), line, column, message }
    }

    /// The code for the metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Guard { error, .. } => error.into(),
            Self::Egress { error, .. } => error.into(),
            other => other.into(),
        }
    }
}

/// The part of the file that an error is about.
fn field(error: &CompileError) -> &'static str {
    match error {
        CompileError::NoAudience => "guard.audience, guard.roleClient",
        CompileError::NoCaller => "guard.onBehalfOf",
        CompileError::NoIssuer | CompileError::DuplicateIssuer(_) => "guard.issuers",
        CompileError::InvalidListener(_) => "guard.listeners",
        CompileError::Rule(_) => "guard.rules",
        CompileError::Resource(_) => "guard.resource",
        CompileError::Origin(_) => "guard.cors.origins",
        CompileError::SignIn(_) => "guard.signIn",
        CompileError::Limits(_) => "guard.limits",
        CompileError::Requirement(_) => "guard.require, guard.grants.claims",
    }
}
