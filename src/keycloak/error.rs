//! Why a call failed.

use std::time::Duration;

use super::login_error::LoginError;
use super::rights::MissingRole;
use super::transport::TransportError;

/// A call to the Admin API that failed. `call` is method and path; the server's own words are passed on, no secrets.
#[derive(Clone, Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "the fields' names say it")]
pub enum ApiError {
    /// The operator could not log in, so nothing was asked.
    #[error("cannot log in: {0}")]
    Login(#[from] LoginError),
    /// No connection: the call was not carried out.
    #[error("{0}")]
    Unreachable(TransportError),
    /// No whole answer in time: the call may have been carried out.
    #[error("{call}: {source}")]
    Timeout { call: String, source: TransportError },
    /// Keycloak does not accept a fresh login.
    #[error(
        "{call}: Keycloak refuses a token that it has just issued: check that its hostname settings and our URL agree, and, \
         from Keycloak 26.8.2 on, that the client has the client scope kc-admin-api among its default scopes"
    )]
    Unauthorized { call: String },
    /// The operator's service account lacks a role.
    #[error("{call}: forbidden; the operator's service account needs the {missing}")]
    Forbidden { call: String, missing: MissingRole },
    /// Keycloak lets nobody give a role of administration that he has not himself.
    #[error(
        "{call}: forbidden; the operator's service account needs the {missing}, and, as nobody gives a role of administration that he has not himself, the role {role}"
    )]
    NotToGive { call: String, missing: MissingRole, role: String },
    /// There is no such object.
    #[error("{call}: not found")]
    NotFound { call: String },
    /// An object of this id or name exists already.
    #[error("{call}: {message}")]
    Conflict { call: String, message: String },
    /// Keycloak finds fault with what was sent; the same call will fail again.
    #[error("{call}: {message}")]
    Invalid { call: String, message: String },
    /// Keycloak failed.
    #[error("{call}: status {status}: {message}")]
    Server { call: String, status: u16, message: String },
    /// Keycloak, or something before it, asks for patience.
    #[error("{call}: too many requests, or not ready")]
    Throttled { call: String, retry_after: Option<Duration> },
    /// The answer was not what the Admin API answers.
    #[error("{call}: the answer cannot be read: {reason}")]
    Unreadable { call: String, reason: String },
}

impl ApiError {
    /// Whether the object that was asked for does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether Keycloak has an object of this id or name already.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }

    /// Whether nothing answered at all, to the call or to the login before it.
    #[must_use]
    pub fn is_out_of_reach(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Timeout { .. } | Self::Login(LoginError::Transport(_)))
    }

    /// Whether waiting may help; else someone has to change something.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Login(error) => !error.is_lasting(),
            Self::Unreachable(_) | Self::Timeout { .. } | Self::Throttled { .. } => true,
            Self::Server { status, .. } => *status != 500,
            _ => false,
        }
    }

    /// None for an object that does not exist.
    pub fn none_if_missing<T>(result: Result<T, Self>) -> Result<Option<T>, Self> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Success where the object to be removed does not exist.
    pub(super) fn fine_if_missing<T>(result: Result<T, Self>) -> Result<(), Self> {
        Self::none_if_missing(result).map(|_| ())
    }
}
