//! The logins at Keycloak, one per KeycloakServer, and the way from a realm's name to it.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use tokio::sync::mpsc;

use super::{
    condition::{SYNCED, Verdict, is_true},
    context::Context,
    watch::Caches,
};
use crate::{
    api::{DriftPolicy, KeycloakServer, Realm},
    controller::trust::Told,
    core::{
        build::{RealmUrls, Site, default_alias},
        graph::{Problem, ProblemReason},
    },
    keycloak::{Admin, RealmAdmin},
};

/// An account at a server that can be used.
#[derive(Clone)]
pub struct Login {
    /// The Admin API.
    pub admin: Admin,
    /// CA certificates that pods have to trust, PEM.
    pub ca: Option<String>,
    /// What the login was made from: made anew when it changes.
    pub fingerprint: u64,
    /// What the login realm was last told of the cluster's keys.
    pub told: Told,
}

/// Whose login it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// A KeycloakServer's, by name: for every Realm that names none.
    Server(String),
    /// A Realm's own, by name.
    Realm(String),
}

impl Account {
    /// The account by which a realm is administered.
    pub fn of(realm: &Realm) -> Self {
        match &realm.spec.credentials {
            Some(_) => Self::Realm(realm.metadata.name.clone().unwrap_or_default()),
            None => Self::Server(realm.spec.server.clone()),
        }
    }
}

/// Every login.
pub struct Servers {
    logins: RwLock<HashMap<Account, Login>>,
    turns: mpsc::UnboundedSender<String>,
}

impl Servers {
    /// No login yet; the receiver is told the name of each KeycloakServer that is lost or found again.
    pub fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (turns, turned) = mpsc::unbounded_channel();
        (Self { logins: RwLock::default(), turns }, turned)
    }

    /// The login of an account; `None` until its object was looked at.
    pub fn get(&self, account: &Account) -> Option<Login> {
        self.logins.read().unwrap_or_else(PoisonError::into_inner).get(account).cloned()
    }

    /// Keeps a login.
    pub fn put(&self, account: Account, login: Login) {
        if let Account::Server(name) = &account {
            self.follow(name.clone(), &login.admin);
        }
        self.logins.write().unwrap_or_else(PoisonError::into_inner).insert(account, login);
    }

    /// Forgets a login.
    pub fn remove(&self, account: &Account) {
        self.logins.write().unwrap_or_else(PoisonError::into_inner).remove(account);
    }

    /// Tells of each time that the server is lost or found again, until the login is replaced by another.
    fn follow(&self, server: String, admin: &Admin) {
        let (mut is_down, turns) = (admin.is_down(), self.turns.clone());
        tokio::spawn(async move { while is_down.changed().await.is_ok() && turns.send(server.clone()).is_ok() {} });
    }
}

/// A realm as its endpoints and workloads use it.
pub struct RealmLink {
    /// The Admin API of the realm.
    pub admin: RealmAdmin,
    /// As tokens and pods know it.
    pub urls: RealmUrls,
    /// Alias of the identity provider that holds this cluster's keys; `None`: the realm trusts no cluster.
    pub issuer_alias: Option<String>,
    /// What becomes of others' changes.
    pub drift_policy: DriftPolicy,
    /// Whether Keycloak holds the realm. Until then nothing in it can be read or written; what else a Realm lists, an
    /// identity provider perhaps, is no matter of endpoints and workloads.
    pub ready: bool,
}

impl RealmLink {
    /// The place in Keycloak that objects of this realm are built for.
    pub fn site<'a>(&'a self, ctx: &'a Context) -> Site<'a> {
        Site { cluster: &ctx.cluster, realm: self.admin.name() }
    }

    /// What `Synced` says while Keycloak does not hold the realm: its becoming ready triggers the next pass.
    pub fn not_ready(&self) -> Verdict {
        Verdict::waiting(SYNCED, format!("for Realm {:?} to be ready", self.admin.name()))
    }
}

/// The alias of this cluster's identity provider in a realm; `None` where the realm is not to trust the cluster.
pub fn issuer_alias(realm: &Realm, cluster: &str) -> Option<String> {
    let issuer = realm.spec.workload_issuer.as_ref()?;
    Some(issuer.alias.clone().unwrap_or_else(|| default_alias(cluster)))
}

/// Whether Keycloak holds a realm. Not `Ready`: a setting that Keycloak refuses is no reason to keep workloads waiting,
/// nor to stop watching them.
pub fn is_held(realm: &Realm) -> bool {
    realm.status.as_ref().is_some_and(|status| is_true(&status.conditions, SYNCED))
}

/// The way to a realm for an object in `namespace`, or what is in the way.
pub fn link(ctx: &Context, realm: &str, namespace: &str) -> Result<RealmLink, Problem> {
    let found = realm_of(&ctx.caches, realm)?;
    let labels = ctx.caches.namespace_labels(namespace);
    if !found.spec.namespaces.as_ref().is_some_and(|allowed| allowed.allows(&labels)) {
        return Err(Problem::new(
            ProblemReason::NamespaceNotAllowed,
            format!(
                "Realm {realm:?} does not admit namespace {namespace:?}: its spec.namespaces selects by labels that the namespace lacks; ask the platform team"
            ),
        ));
    }
    let server = server_of(&ctx.caches, &found)?;
    let login = login_of(ctx, &found, &server)?;
    Ok(RealmLink {
        urls: RealmUrls::new(&server.spec.url, server.spec.reachable_url(), &found.spec.realm, login.ca)
            .not_before(found.status.as_ref().and_then(|status| status.not_before)),
        admin: login.admin.realm(&found.spec.realm),
        issuer_alias: issuer_alias(&found, &ctx.cluster),
        drift_policy: found.spec.drift_policy,
        ready: is_held(&found),
    })
}

/// The way to a realm for a clean-up: who may use the realm does not matter any more.
pub fn link_for_cleanup(ctx: &Context, realm: &str) -> Result<RealmAdmin, Problem> {
    let found = realm_of(&ctx.caches, realm)?;
    let server = server_of(&ctx.caches, &found)?;
    let login = login_of(ctx, &found, &server)?;
    Ok(login.admin.realm(&found.spec.realm))
}

/// The login by which a realm is administered, once there is one.
fn login_of(ctx: &Context, realm: &Realm, server: &KeycloakServer) -> Result<Login, Problem> {
    ctx.servers.get(&Account::of(realm)).ok_or_else(|| match realm.spec.credentials {
        None => not_ready(server),
        Some(_) => Problem::new(
            ProblemReason::ServerNotReady,
            format!("Realm {:?} cannot log in by its spec.credentials; see its conditions", realm.spec.realm),
        ),
    })
}

fn realm_of(caches: &Caches, name: &str) -> Result<std::sync::Arc<Realm>, Problem> {
    Caches::cluster(&caches.realms, name).ok_or_else(|| {
        Problem::new(
            ProblemReason::RealmNotFound,
            format!("Realm {name:?} does not exist; create it or correct spec.realm"),
        )
    })
}

/// The KeycloakServer of a realm.
pub fn server_of(caches: &Caches, realm: &Realm) -> Result<std::sync::Arc<KeycloakServer>, Problem> {
    let name = &realm.spec.server;
    Caches::cluster(&caches.servers, name).ok_or_else(|| {
        Problem::new(
            ProblemReason::ServerNotFound,
            format!("KeycloakServer {name:?} does not exist; create it or correct spec.server of the Realm"),
        )
    })
}

/// Why a server's login cannot be used yet.
pub fn not_ready(server: &KeycloakServer) -> Problem {
    let name = server.metadata.name.as_deref().unwrap_or_default();
    let message = server.status.as_ref().and_then(|status| super::condition::ready(&status.conditions));
    let message = message.map_or("it was not looked at yet", |ready| ready.message.as_str());
    Problem::new(ProblemReason::ServerNotReady, format!("KeycloakServer {name:?} is not ready: {message}"))
}
