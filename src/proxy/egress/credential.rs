//! The credential of an identity that keeps one: from its file and from the stream, the newest wins.
//!
//! A new one counts once it has opened Keycloak's door; until then the one before is tried beside it, so that a replacement
//! that Keycloak was not told of yet, or that this pod has not heard of yet, fails no call.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use base64::{Engine, prelude::BASE64_STANDARD};
use jsonwebtoken::EncodingKey;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{files, state::EgressState};
use crate::{
    core::{
        credential::{CredentialDocument, Hidden, Material},
        name::Ref,
    },
    proxy::documents::{ApplyError, Consumer, Numbered},
};

/// How long a login that was refused waits for a newer credential: the one at hand may just have been revoked.
const NEWER: Duration = Duration::from_secs(2);
/// The waits between two attempts to use a new one: doubled from the first up to the last.
const AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A credential, ready to log in with.
pub struct Credential {
    /// Of two, the later has the higher.
    pub number: u64,
    /// The client that logs in.
    pub client_id: String,
    /// How.
    pub secret: Secret,
    document: CredentialDocument,
}

/// What is proven.
pub enum Secret {
    /// A key for ES256, and its name.
    Key(String, EncodingKey),
    /// A text.
    Text(Hidden),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credential({} of {})", self.number, self.client_id)
    }
}

impl Credential {
    fn new(document: CredentialDocument) -> Result<Self, ApplyError> {
        let secret = match &document.material {
            Material::ClientSecret { secret } => Secret::Text(secret.clone()),
            Material::PrivateKeyJwt { jwk, pkcs8 } => {
                let der = BASE64_STANDARD.decode(pkcs8.expose()).map_err(|_| ApplyError::Key)?;
                Secret::Key(jwk.kid.clone(), EncodingKey::from_ec_der(&der))
            }
        };
        Ok(Self { number: document.number, client_id: document.client_id.clone(), secret, document })
    }

    /// As it was given.
    pub fn document(&self) -> &CredentialDocument {
        &self.document
    }
}

/// Those at hand: the newest, and while that has not been used yet, the one before.
#[derive(Clone, Debug, Default)]
struct AtHand {
    newest: Option<Arc<Credential>>,
    before: Option<Arc<Credential>>,
}

/// The credentials of the process. Shared by all threads.
#[derive(Debug)]
pub struct Credentials {
    named: Option<Ref>,
    files: Option<PathBuf>,
    at_hand: ArcSwap<AtHand>,
    used: AtomicU64,
    changed: watch::Sender<u64>,
    writing: Mutex<()>,
}

impl Credentials {
    /// None yet. With `identity` only that one's are taken; `files`: the directory where the application finds them.
    pub fn new(identity: Option<Ref>, files: Option<PathBuf>) -> Arc<Self> {
        let (changed, _) = watch::channel(0);
        let (at_hand, used, writing) = Default::default();
        Arc::new(Self { named: identity, files, at_hand, used, changed, writing })
    }

    /// Those to log in with, the newest first.
    pub fn at_hand(&self) -> Vec<Arc<Credential>> {
        let at_hand = self.at_hand.load();
        at_hand.newest.iter().chain(&at_hand.before).cloned().collect()
    }

    /// The number of the newest; 0: none.
    pub fn newest(&self) -> u64 {
        self.at_hand.load().newest.as_ref().map(|credential| credential.number).unwrap_or_default()
    }

    /// The number of the newest that has opened Keycloak's door; 0: none.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Acquire)
    }

    /// Keycloak took this one.
    pub fn note_used(&self, number: u64) {
        if self.used.fetch_max(number, Ordering::AcqRel) >= number {
            return;
        }
        if number < self.newest() {
            return;
        }
        self.at_hand.rcu(|at_hand| AtHand { newest: at_hand.newest.clone(), before: None });
        self.show(number);
    }

    /// Waits for one that is newer than this, for a moment.
    pub async fn newer_than(&self, number: u64) -> bool {
        let mut changes = self.changed.subscribe();
        timeout(NEWER, changes.wait_for(|newest| *newest > number)).await.is_ok_and(|found| found.is_ok())
    }

    /// Gives the application the newest, where it asks for that.
    fn show(&self, number: u64) {
        let Some(directory) = &self.files else { return };
        // Each is written as a whole before the next.
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(newest) = self.at_hand.load().newest.clone().filter(|newest| newest.number == number) else { return };
        if let Err(error) = files::write(directory, &newest) {
            tracing::error!(%error, "the credential's files cannot be written; the application keeps those that it has");
        }
    }
}

/// Sees to it that each new credential is used soon, for ever: whoever waits to end the one before is told then.
pub async fn prove(credentials: Arc<Credentials>, egress: Arc<EgressState>) {
    let mut changes = credentials.changed.subscribe();
    let mut pause = AGAIN.0;
    loop {
        let newest = *changes.borrow_and_update();
        if newest <= credentials.used() {
            pause = AGAIN.0;
            if changes.changed().await.is_err() {
                return;
            }
        } else if egress.log_in(newest).await {
            pause = AGAIN.0;
        } else {
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(AGAIN.1),
                _ = changes.changed() => pause = AGAIN.0,
            }
        }
    }
}

impl Consumer for Credentials {
    type Document = CredentialDocument;

    fn apply(self: &Arc<Self>, document: CredentialDocument) -> Result<(), ApplyError> {
        if self.named.as_ref().is_some_and(|named| *named != document.identity) {
            return Err(ApplyError::WrongObject(document.identity));
        }
        let newest = Arc::new(Credential::new(document)?);
        let number = newest.number;
        let is_first = self.at_hand.load().newest.is_none();
        self.at_hand.rcu(|at_hand| {
            let before = at_hand.newest.clone().filter(|before| before.number <= self.used());
            AtHand { newest: Some(Arc::clone(&newest)), before: before.or_else(|| at_hand.before.clone()) }
        });
        if is_first {
            // The application may look for them as soon as it starts.
            self.show(number);
        }
        self.changed.send_replace(number);
        Ok(())
    }

    /// What is at hand stays so: Keycloak decides what it is worth, and the egress document who may call.
    fn delete(self: &Arc<Self>, _: u64) {}

    fn identity(&self) -> Option<Ref> {
        self.named.clone().or_else(|| Some(self.at_hand.load().newest.as_ref()?.document.identity.clone()))
    }

    fn ports(&self) -> Vec<u16> {
        Vec::new()
    }
}

impl Numbered for CredentialDocument {
    const HALF: &'static str = "credential";

    fn number(&self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(number: u64) -> CredentialDocument {
        CredentialDocument {
            number,
            identity: Ref::new("agents", "labeler"),
            service_account: "labeler".into(),
            client_id: "labeler.agents.workload".into(),
            material: Material::ClientSecret { secret: Hidden::new(format!("secret {number}")) },
        }
    }

    fn numbers(credentials: &Credentials) -> Vec<u64> {
        credentials.at_hand().iter().map(|credential| credential.number).collect()
    }

    #[test]
    fn the_one_before_stays_at_hand_until_the_new_one_is_used() {
        let credentials = Credentials::new(Some(Ref::new("agents", "labeler")), None);
        let put = |number| assert!(credentials.apply(document(number)).is_ok());
        put(1);
        credentials.note_used(1);
        put(2);
        assert_eq!((numbers(&credentials), credentials.used()), (vec![2, 1], 1));
        put(3);
        assert_eq!(numbers(&credentials), [3, 1], "the one that is known to work");
        credentials.note_used(1);
        assert_eq!(numbers(&credentials), [3, 1]);
        credentials.note_used(3);
        assert_eq!((numbers(&credentials), credentials.used()), (vec![3], 3));
        credentials.delete(9);
        assert_eq!(numbers(&credentials), [3]);
    }

    #[test]
    fn another_identitys_is_not_taken() {
        let credentials = Credentials::new(Some(Ref::new("agents", "other")), None);
        assert!(matches!(credentials.apply(document(1)), Err(ApplyError::WrongObject(_))));
        let mut broken = document(1);
        let jwk = crate::core::credential::Jwk { kid: "k".into(), x: "x".into(), y: "y".into() };
        broken.material = Material::PrivateKeyJwt { jwk, pkcs8: Hidden::new("%".into()) };
        let anybody = Credentials::new(None, None);
        assert!(matches!(anybody.apply(broken), Err(ApplyError::Key)));
        assert_eq!(numbers(&anybody), Vec::<u64>::new());
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let credentials = Credentials::new(None, None);
        assert!(credentials.apply(document(7)).is_ok());
        let shown = format!("{credentials:?}");
        assert!(shown.contains('7') && !shown.contains("secret 7"), "{shown}");
    }
}
