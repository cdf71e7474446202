//! The cluster's keys, followed: Keycloak is told of a new one before the API server signs with it.
//!
//! The API server publishes a key for as long as tokens by it are good, and a rotation that is done well publishes the
//! new one first. What is published is what Keycloak holds: nothing is added early, nothing taken away early.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use kube::ResourceExt;

use super::{condition::Verdict, context::Context, servers::Login, sync::api_reason, watch::Queues};
use crate::{
    cluster::{IssuerError, workload_issuer},
    core::{build::default_alias, desired::WorkloadIssuer},
    keycloak::{ApiError, IssuerStep},
};

/// How often the API server is asked for its keys. Well below the lifetime of any login, so that the one at hand is good
/// for telling Keycloak of a key that signs already.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often Keycloak's own copy is looked at although nothing has changed here.
const SWEEP: Duration = Duration::from_secs(600);
/// The login realm is told of the cluster's keys.
const KEYS_FOLLOWED: &str = "KeysFollowed";

/// What a login realm was told last, and when.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<Mutex<Option<(WorkloadIssuer, Instant)>>>);

impl Told {
    fn is_fresh(&self, issuer: &WorkloadIssuer) -> bool {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.as_ref().is_some_and(|(last, at)| last == issuer && at.elapsed() < SWEEP)
    }

    fn note(&self, issuer: WorkloadIssuer) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((issuer, Instant::now()));
    }
}

/// Whether a login realm knows the cluster's keys.
#[derive(Debug)]
pub enum Following {
    /// It does.
    Done,
    /// It trusts the cluster in a way that Keywire did not make, so others see to it.
    ByOthers {
        /// The login realm.
        realm: String,
    },
    /// The API server did not say which they are.
    Unknown(IssuerError),
    /// Keycloak could not be told.
    Failed {
        /// The login realm.
        realm: String,
        /// Why.
        error: ApiError,
    },
}

impl Following {
    /// The condition that says so. `Ready` does not depend on it: logins work until the cluster changes its key.
    pub fn verdict(&self) -> Verdict {
        let bad = |reason: &str, message: String| Verdict::bad(KEYS_FOLLOWED, reason, message).aside();
        match self {
            Self::Done => {
                Verdict::good(KEYS_FOLLOWED, "Followed", "the login realm is told of each new key of this cluster")
                    .aside()
            }
            Self::ByOthers { realm } => {
                let message = format!(
                    "realm {realm} trusts this cluster in a way that Keywire did not make: whoever did has to tell it of new keys"
                );
                Verdict::good(KEYS_FOLLOWED, "ByOthers", message).aside()
            }
            Self::Unknown(error) => bad("KeysUnknown", error.to_string()),
            Self::Failed { realm, error } => {
                let message = format!(
                    "realm {realm} cannot be told of the cluster's keys, so the operator loses its login when they change: {error}; `keywire bootstrap` gives the right, and mends a lock-out"
                );
                bad(api_reason(error), message)
            }
        }
    }
}

/// Tells the login realm of the cluster's keys, where it does not know them yet.
pub async fn follow_login(ctx: &Context, login: &Login) -> Following {
    let issuer = match workload_issuer(&ctx.client, default_alias(&ctx.cluster)).await {
        Ok(issuer) => issuer,
        Err(error) => return Following::Unknown(error),
    };
    if login.told.is_fresh(&issuer) {
        return Following::Done;
    }
    let realm = login.admin.login_realm().to_owned();
    match login.admin.realm(&realm).follow_issuer(&issuer, &ctx.cluster).await {
        Ok(IssuerStep::NotOurs) => Following::ByOthers { realm },
        Ok(step) => {
            if step == IssuerStep::Updated {
                tracing::info!(realm, "told Keycloak of the cluster's new keys");
            }
            login.told.note(issuer);
            Following::Done
        }
        Err(error) => Following::Failed { realm, error },
    }
}

/// Looks at the API server's keys for ever; when they change, at everything in Keycloak that depends on them.
pub async fn follow(ctx: &Context, queues: &Queues) {
    let mut last = None;
    loop {
        match workload_issuer(&ctx.client, String::new()).await {
            Ok(issuer) => {
                if last.as_ref().is_some_and(|last| *last != issuer) {
                    tracing::info!(issuer = issuer.issuer, "the cluster's keys have changed");
                    tell_all(ctx, queues);
                }
                last = Some(issuer);
            }
            Err(error) => tracing::warn!(%error, "cannot look at the cluster's keys"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Servers first: everything else needs their logins.
fn tell_all(ctx: &Context, queues: &Queues) {
    ctx.caches.servers.state().iter().for_each(|server| queues.server(&server.name_any()));
    let realms = ctx.caches.realms.state();
    let trusting =
        realms.iter().filter(|realm| realm.spec.workload_issuer.is_some() || realm.spec.credentials.is_some());
    trusting.for_each(|realm| queues.realm(&realm.name_any()));
}
