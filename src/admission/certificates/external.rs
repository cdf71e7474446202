//! Certificates that somebody else keeps, cert-manager as a rule: only what proxies have to trust is read of them.

use std::time::Duration;

use futures::{Stream, StreamExt, stream::select_all};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher::watch_object},
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::{CA_SECRET, CaBundle, Error, TLS_SECRET, inspect};

/// The client's own retries could hold a reading for many minutes.
const STEP: Duration = Duration::from_secs(30);
/// Between two readings.
const PAUSE: Duration = Duration::from_secs(1);
/// After a failure.
const RETRY: Duration = Duration::from_secs(10);
/// At the latest, whatever the watches say.
const SWEEP: Duration = Duration::from_secs(600);
/// The issuer's certificate, beside the server's own.
const BUNDLE: &str = "ca.crt";
/// A CA's own certificate, in its Secret.
const CERTIFICATE: &str = "tls.crt";

/// Follows the Secrets that others write. Writes nothing.
pub struct ExternalCertificates {
    secrets: Api<Secret>,
    bundle: watch::Sender<Option<CaBundle>>,
}

impl ExternalCertificates {
    /// Those of the servers in the operator's own namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self { secrets: Api::namespaced(client, namespace), bundle: watch::channel(None).0 }
    }

    /// As of [`CertificateKeeper`](super::CertificateKeeper): `None` until there is a CA.
    pub fn bundle(&self) -> watch::Receiver<Option<CaBundle>> {
        self.bundle.subscribe()
    }

    /// Follows them until it is dropped.
    pub async fn run(self) {
        let mut changes = self.changes();
        loop {
            let wait = match timeout(STEP, self.read()).await {
                Ok(Ok(())) => SWEEP,
                Ok(Err(error)) => {
                    tracing::error!(reason = <&str>::from(&error), %error, "cannot read the certificates, will try again");
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

    fn changes(&self) -> impl Stream<Item = ()> + Unpin + use<> {
        let of = |name| watch_object(self.secrets.clone(), name).default_backoff().map(drop).boxed();
        select_all([of(TLS_SECRET), of(CA_SECRET)])
    }

    async fn read(&self) -> Result<(), Error> {
        let get = async |name| {
            let failed = |source| Error::Kube { what: "cannot read a certificate's Secret", source };
            self.secrets.get_opt(name).await.map_err(failed)
        };
        let (tls, ca) = (get(TLS_SECRET).await?, get(CA_SECRET).await?);
        match trusted(tls.as_ref(), ca.as_ref()) {
            // What is trusted already stays so: a Secret that is written anew has nothing in it for a moment.
            None => tracing::warn!(secret = TLS_SECRET, "no {BUNDLE} in it yet: no policy is published until there is"),
            Some(bundle) => {
                self.bundle.send_if_modified(|current| {
                    let changed = current.as_deref() != Some(&bundle);
                    if changed {
                        tracing::info!(secret = TLS_SECRET, "proxies are to trust another CA");
                        *current = Some(bundle.as_str().into());
                    }
                    changed
                });
            }
        }
        Ok(())
    }
}

/// What vouches for the servers: the CA of their certificate, and the CA that will sign the next one, where it is known. So
/// proxies trust a new CA before anything is signed with it.
fn trusted(tls: Option<&Secret>, ca: Option<&Secret>) -> Option<String> {
    let text = |secret: Option<&Secret>, key: &str| {
        let pem = String::from_utf8(secret?.data.as_ref()?.get(key)?.0.clone()).ok()?;
        inspect(pem.as_bytes()).is_some().then(|| format!("{}\n", pem.trim_end()))
    };
    let current = text(tls, BUNDLE)?;
    let next = text(ca, CERTIFICATE).filter(|next| *next != current).unwrap_or_default();
    Some(format!("{current}{next}"))
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;
    use crate::admission::certificates::new_ca;

    fn secret(entries: &[(&str, &str)]) -> Secret {
        let data = entries.iter().map(|(key, text)| ((*key).to_owned(), ByteString(text.as_bytes().to_vec())));
        Secret { data: Some(data.collect()), ..Secret::default() }
    }

    #[test]
    fn the_next_ca_is_trusted_before_it_signs() {
        let pem = || new_ca(1_800_000_000).expect("a CA").certificate;
        let (old, new) = (pem(), pem());
        let leaf_of = |ca: &str| secret(&[("ca.crt", ca)]);
        let of = |leaf: &Secret, ca: Option<&Secret>| trusted(Some(leaf), ca).unwrap_or_default();
        let names = |bundle: &str| [bundle.contains(old.trim()), bundle.contains(new.trim())];
        assert_eq!(names(&of(&leaf_of(&old), None)), [true, false], "an issuer that we know nothing of");
        assert_eq!(names(&of(&leaf_of(&old), Some(&secret(&[("tls.crt", &old)])))), [true, false]);
        assert_eq!(of(&leaf_of(&old), Some(&secret(&[("tls.crt", &old)]))).matches("BEGIN").count(), 1);
        assert_eq!(names(&of(&leaf_of(&old), Some(&secret(&[("tls.crt", &new)])))), [true, true]);
        assert_eq!(names(&of(&leaf_of(&new), Some(&secret(&[("tls.crt", &new)])))), [false, true]);
        for unusable in [secret(&[]), secret(&[("ca.crt", "")]), secret(&[("ca.crt", "nonsense")])] {
            assert_eq!(trusted(Some(&unusable), Some(&secret(&[("tls.crt", &new)]))), None);
        }
        assert_eq!(trusted(None, None), None);
    }
}
