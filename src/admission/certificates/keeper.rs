//! The task that keeps the certificates: for the controller's leader.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream::select_all};
use jiff::Timestamp;
use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher::watch_object},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    Action, CA_SECRET, Error, FIELD_MANAGER, TLS_SECRET, WEBHOOK_CONFIGURATION, due, new_ca, new_leaf,
    publish::publish_ca_bundle, server_names, stored::Stored,
};

/// The CAs that clients of the policy stream must trust, PEM.
pub type CaBundle = Arc<str>;

/// The client's own retries could hold a step for many minutes.
const STEP: Duration = Duration::from_secs(30);
/// Between two steps: whoever fights over a field with us cannot make us spin.
const PAUSE: Duration = Duration::from_secs(1);
/// After a failure.
const RETRY: Duration = Duration::from_secs(10);
/// At the latest, whatever the watches say.
const SWEEP: Duration = Duration::from_secs(600);
/// A CA, a leaf and the bundle: more steps than a whole rotation can take at once.
const STEPS: usize = 5;

/// Makes, renews and publishes the certificates. Run it while, and only while, leading.
pub struct CertificateKeeper {
    client: Client,
    namespace: String,
    names: Vec<String>,
    bundle: watch::Sender<Option<CaBundle>>,
}

impl CertificateKeeper {
    /// A keeper for the servers in the operator's own namespace.
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        let namespace = namespace.into();
        let mut names = server_names(&namespace);
        names.sort();
        Self { client, namespace, names, bundle: watch::channel(None).0 }
    }

    /// The current CA bundle, for the key `stream-ca.crt` of policy ConfigMaps. `None` until
    /// the Secrets were read or made for the first time.
    pub fn bundle(&self) -> watch::Receiver<Option<CaBundle>> {
        self.bundle.subscribe()
    }

    /// Keeps the certificates until it is dropped: it may be at any point, each write is whole.
    pub async fn run(self) {
        let mut changes = self.changes();
        loop {
            let wait = match timeout(STEP, self.keep()).await {
                Ok(Ok(until)) => wait(until),
                // Another leader was faster; what it wrote is read at once.
                Ok(Err(Error::Conflict(name))) => {
                    tracing::info!(secret = name, "written by another replica meanwhile");
                    Duration::ZERO
                }
                Ok(Err(error)) => {
                    tracing::error!(reason = <&str>::from(&error), %error, "cannot keep the certificates, will try again");
                    RETRY
                }
                Err(_) => {
                    tracing::error!("the API server does not answer: the certificates wait");
                    RETRY
                }
            };
            sleep(PAUSE).await;
            tokio::select! {
                () = sleep(wait) => (),
                Some(()) = changes.next() => (),
            }
        }
    }

    /// Something changed that we keep.
    fn changes(&self) -> impl Stream<Item = ()> + Unpin + use<> {
        let secrets = || Api::<Secret>::namespaced(self.client.clone(), &self.namespace);
        let configurations = Api::<MutatingWebhookConfiguration>::all(self.client.clone());
        select_all([
            watch_object(secrets(), CA_SECRET).default_backoff().map(drop).boxed(),
            watch_object(secrets(), TLS_SECRET).default_backoff().map(drop).boxed(),
            watch_object(configurations, WEBHOOK_CONFIGURATION).default_backoff().map(drop).boxed(),
        ])
    }

    /// Does all that is due, and says until when nothing more is.
    async fn keep(&self) -> Result<i64, Error> {
        for _ in 0..STEPS {
            let now = Timestamp::now().as_second();
            let mut stored = self.load().await?;
            match due(now, &stored.material(), &self.names) {
                Action::NewCa => {
                    stored.rotate(new_ca(now)?);
                    self.store(&stored.ca_secret(&self.namespace), "a new CA").await?;
                }
                Action::NewLeaf => {
                    let Some((ca, read)) = stored.ca.as_ref().zip(stored.material().ca) else { continue };
                    let leaf = new_leaf(now, ca, read.not_after, &self.names)?;
                    // Where servers serve already, the API server must trust the CA first.
                    if stored.leaf.replace(leaf).is_some() {
                        self.publish(&stored).await?;
                    }
                    self.store(&stored.tls_secret(&self.namespace), "a new server certificate").await?;
                }
                Action::DropPrevious => {
                    stored.previous = None;
                    self.store(&stored.ca_secret(&self.namespace), "no previous CA any more").await?;
                }
                Action::WaitUntil(then) => {
                    if stored.written_bundle != stored.bundle() {
                        self.store(&stored.tls_secret(&self.namespace), "the CA bundle").await?;
                    }
                    self.publish(&stored).await?;
                    return Ok(then);
                }
            }
        }
        Ok(0)
    }

    async fn load(&self) -> Result<Stored, Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let read = |name| {
            let secrets = &secrets;
            async move {
                let failed = |source| Error::Kube { what: "cannot read a certificate's Secret", source };
                secrets.get_opt(name).await.map_err(failed)
            }
        };
        Ok(Stored::read(read(CA_SECRET).await?.as_ref(), read(TLS_SECRET).await?.as_ref()))
    }

    async fn publish(&self, stored: &Stored) -> Result<(), Error> {
        let bundle = stored.bundle();
        self.bundle.send_if_modified(|current| {
            let changed = current.as_deref() != Some(&bundle);
            if changed {
                *current = Some(bundle.as_str().into());
            }
            changed
        });
        publish_ca_bundle(&self.client, &bundle).await
    }

    /// Writes a Secret over the version that was read: a second leader loses with a conflict.
    async fn store(&self, secret: &Secret, what: &'static str) -> Result<(), Error> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = secret.metadata.name.as_deref().unwrap_or_default();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        match secrets.patch(name, &params, &Patch::Apply(secret)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => return Err(Error::Conflict(name.to_owned())),
            Err(source) => return Err(Error::Kube { what: "cannot write a certificate's Secret", source }),
            Ok(_) => (),
        }
        tracing::info!(secret = name, what, "stored");
        Ok(())
    }
}

fn wait(until: i64) -> Duration {
    let seconds = (until - Timestamp::now().as_second()).max(0).unsigned_abs();
    Duration::from_secs(seconds).min(SWEEP)
}
