//! The handles to a server and to its realms.

use std::sync::Arc;

use reqwest::{Certificate, Method};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use url::Url;

use super::call::Call;
use super::credentials::Credentials;
use super::directory::{Directories, Directory};
use super::error::ApiError;
use super::limiter::Limiter;
use super::locks::ClientLocks;
use super::rights::Area;
use super::server_info::LastCheck;
use super::server_types::TypeMemory;
use super::session::Session;
use super::transport::{Timeouts, Transport};
use crate::core::diff::Change;

/// What it takes to administer a server.
#[derive(Clone, Debug)]
pub struct AdminConfig {
    /// Where Keycloak is reached from here, with the path before `/realms` if there is one.
    pub url: Url,
    /// The realm in which the operator has its account, usually `master`.
    pub login_realm: String,
    /// How the operator logs in.
    pub credentials: Credentials,
    /// Certificates (PEM, one or more) to trust besides the system's.
    pub trust: Option<Vec<u8>>,
    /// How fast Keycloak is asked.
    pub limits: Limits,
}

/// How fast, and how much at once, a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests per second; 0 is no limit.
    pub requests_per_second: u32,
    /// Requests in flight, at least 1. Keycloak does best with 4 to 8.
    pub concurrent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_second: 200, concurrent: 8 }
    }
}

/// Why no handle could be made. Nothing was sent yet.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum SetupError {
    /// Neither http nor https, or without a host.
    #[error("{url} is not an http or https URL")]
    Url {
        /// The URL.
        url: String,
    },
    /// The extra certificates cannot be read.
    #[error("the CA certificates are not PEM: {0}")]
    Trust(#[source] reqwest::Error),
    /// The HTTP client cannot be made, for example because the machine has no CA certificates.
    #[error("no HTTP client can be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// The handle to one server. Cheap to clone; all clones share one login, one limiter and one set of locks.
#[derive(Clone, Debug)]
pub struct Admin {
    server: Arc<Server>,
    account: Arc<Account>,
}

/// What all accounts at a server share: it has one capacity, and one writer per client.
#[derive(Debug)]
struct Server {
    url: Url,
    transport: Transport,
    locks: ClientLocks,
    last_check: LastCheck,
    types: TypeMemory,
}

/// What is one account's own. What it sees of a realm, another one need not see.
#[derive(Debug)]
struct Account {
    session: Session,
    directories: Directories,
}

/// The handle to one realm of a server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RealmAdmin {
    admin: Admin,
    realm: Arc<str>,
    directory: Arc<Directory>,
    writes: Writes,
    reads: Reads,
}

/// Which changes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    All,
    /// Only those that time itself asks for.
    Due,
}

/// Which parts of a realm are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    All,
    /// Only those that something is wanted of.
    Named,
}

impl Admin {
    /// A handle; nothing is sent yet.
    ///
    /// The process has to have installed a rustls provider.
    ///
    /// # Errors
    /// [`SetupError`] for a URL or certificates that cannot be used.
    pub fn new(config: AdminConfig) -> Result<Self, SetupError> {
        Self::with_timeouts(config, Timeouts::default())
    }

    pub(super) fn with_timeouts(config: AdminConfig, timeouts: Timeouts) -> Result<Self, SetupError> {
        let AdminConfig { url, login_realm, credentials, trust, limits } = config;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(SetupError::Url { url: url.to_string() });
        }
        let roots = Certificate::from_pem_bundle(&trust.unwrap_or_default()).map_err(SetupError::Trust)?;
        let limiter = Limiter::new(limits.requests_per_second, limits.concurrent);
        let transport = Transport::new(&url, roots, limiter, timeouts).map_err(SetupError::Client)?;
        let account = Account::new(&url, login_realm, credentials);
        let server = Server {
            url,
            transport,
            locks: ClientLocks::new(),
            last_check: LastCheck::default(),
            types: TypeMemory::default(),
        };
        Ok(Self { server: Arc::new(server), account: Arc::new(account) })
    }

    /// Another account at the same server: one limiter and one breaker for both.
    #[must_use]
    pub fn logged_in_at(&self, login_realm: &str, credentials: Credentials) -> Self {
        let account = Account::new(self.server_url(), login_realm.to_owned(), credentials);
        Self { server: Arc::clone(&self.server), account: Arc::new(account) }
    }

    /// The handle to the realm of this name, whether it exists or not.
    #[must_use]
    pub fn realm(&self, realm: &str) -> RealmAdmin {
        let directory = self.account.directories.of(realm);
        RealmAdmin { admin: self.clone(), realm: realm.into(), directory, writes: Writes::All, reads: Reads::All }
    }

    /// Where the server is reached.
    #[must_use]
    pub fn server_url(&self) -> &Url {
        &self.server.url
    }

    /// Whether the server is taken for dead, and each change of that: nothing is sent then but one request per interval.
    #[must_use]
    pub fn is_down(&self) -> watch::Receiver<bool> {
        self.transport().is_down()
    }

    /// The realm in which the operator has its account.
    #[must_use]
    pub fn login_realm(&self) -> &str {
        self.session().realm()
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.server.transport
    }

    pub(super) fn session(&self) -> &Session {
        &self.account.session
    }

    pub(super) fn last_check(&self) -> &LastCheck {
        &self.server.last_check
    }

    pub(super) fn type_memory(&self) -> &TypeMemory {
        &self.server.types
    }

    pub(super) fn locks(&self) -> &ClientLocks {
        &self.server.locks
    }
}

impl Account {
    fn new(server: &Url, login_realm: String, credentials: Credentials) -> Self {
        let token_url = token_url(server, &login_realm);
        Self { session: Session::new(login_realm, token_url, credentials), directories: Directories::default() }
    }
}

impl RealmAdmin {
    /// The realm's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.realm
    }

    /// The same realm, left as it is: changes are told of as if they had been made, and are not. Only what is due in time,
    /// such as the next signing key, is done.
    #[must_use]
    pub fn as_it_is(&self) -> Self {
        Self { writes: Writes::Due, ..self.clone() }
    }

    /// The same realm, looked at only where something is wanted of it: for whoever knows that nothing is left of what was
    /// wanted earlier.
    #[must_use]
    pub fn named_parts(&self) -> Self {
        Self { reads: Reads::Named, ..self.clone() }
    }

    /// Whether a part is to be looked at.
    pub(super) fn reads(&self, is_named: bool) -> bool {
        self.reads == Reads::All || is_named
    }

    /// Whether a change is to be made.
    pub(super) fn writes(&self, change: &Change) -> bool {
        self.writes == Writes::All || change.is_due()
    }

    /// The server that the realm is on.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The realm's token endpoint, as reached from here.
    #[must_use]
    pub fn token_url(&self) -> Url {
        token_url(self.admin.server_url(), &self.realm)
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// A call to `/admin/realms/{realm}/{path}`.
    pub(super) fn call(&self, area: Area, method: Method, path: &[&str]) -> Call {
        let path: Vec<&str> = ["realms", &self.realm].into_iter().chain(path.iter().copied()).collect();
        Call::new(area, method, &self.realm, &path)
    }

    /// Reads `/admin/realms/{realm}/{path}`.
    pub(super) async fn get<T: DeserializeOwned>(&self, area: Area, path: &[&str]) -> Result<T, ApiError> {
        self.admin.read(self.call(area, Method::GET, path)).await
    }
}

/// The token endpoint of a realm.
fn token_url(server: &Url, realm: &str) -> Url {
    let mut url = server.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["realms", realm, "protocol", "openid-connect", "token"]);
    }
    url
}
