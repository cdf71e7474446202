//! Follows the Secret that holds a listener's certificate.

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher::watch_object},
};

use super::{CertificateError, Certificates, Pending};

/// Serves with whatever pair the Secret holds, from now on. `first` is done with the
/// first good pair; a bad or vanished Secret later leaves the last good one in use.
pub async fn follow_secret(
    client: Client,
    namespace: String,
    name: &'static str,
    certificates: Arc<Certificates>,
    first: Pending,
) {
    let secrets: Api<Secret> = Api::namespaced(client, &namespace);
    let mut first = Some(first);
    let mut changes = std::pin::pin!(watch_object(secrets, name).default_backoff());
    while let Some(change) = changes.next().await {
        match change {
            Ok(Some(secret)) => match take(&certificates, &secret) {
                Ok(()) => {
                    tracing::info!(secret = name, "serving with the certificate of the Secret");
                    if let Some(first) = first.take() {
                        first.done();
                    }
                }
                Err(error) => tracing::error!(secret = name, %error, "keeping the last good certificate"),
            },
            Ok(None) => {
                tracing::warn!(secret = name, %namespace, "no certificate yet: the controller makes this Secret")
            }
            Err(error) => tracing::warn!(secret = name, %error, "cannot watch the certificate's Secret"),
        }
    }
}

fn take(certificates: &Certificates, secret: &Secret) -> Result<(), CertificateError> {
    let value = |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map_or(&[][..], |value| &value.0);
    certificates.replace(value("tls.crt"), value("tls.key"))
}
