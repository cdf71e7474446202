//! The certificates as they lie in their two Secrets.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use super::{CA_SECRET, Material, Pair, TLS_SECRET, inspect};

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const BUNDLE: &str = "ca.crt";
const PREVIOUS: &str = "previous.crt";

/// What both Secrets hold. No `Debug`: it holds keys.
#[derive(Clone, Default)]
pub struct Stored {
    /// The CA that signs.
    pub ca: Option<Pair>,
    /// The CA before, without its key.
    pub previous: Option<String>,
    /// What the servers serve with.
    pub leaf: Option<Pair>,
    /// The bundle as written beside the leaf.
    pub written_bundle: String,
    /// Versions of both Secrets, for writing only over what was read.
    pub ca_version: Option<String>,
    /// As above.
    pub tls_version: Option<String>,
}

impl Stored {
    /// Reads both Secrets. What is unreadable counts as absent.
    pub fn read(ca: Option<&Secret>, tls: Option<&Secret>) -> Self {
        let bundle = tls.and_then(|secret| text(secret, BUNDLE)).unwrap_or_default();
        Self {
            ca: ca.and_then(pair),
            previous: ca.and_then(|secret| text(secret, PREVIOUS)).filter(|pem| inspect(pem.as_bytes()).is_some()),
            leaf: tls.and_then(pair),
            written_bundle: bundle,
            ca_version: ca.and_then(|secret| secret.metadata.resource_version.clone()),
            tls_version: tls.and_then(|secret| secret.metadata.resource_version.clone()),
        }
    }

    /// What `due` decides upon.
    pub fn material(&self) -> Material {
        let read = |pem: &String| inspect(pem.as_bytes());
        Material {
            ca: self.ca.as_ref().and_then(|pair| read(&pair.certificate)),
            previous: self.previous.as_ref().and_then(read),
            leaf: self.leaf.as_ref().and_then(|pair| read(&pair.certificate)),
        }
    }

    /// The CAs to trust: the current one and, during a change, the one before.
    pub fn bundle(&self) -> String {
        let current = self.ca.as_ref().map(|pair| pair.certificate.as_str());
        current.into_iter().chain(self.previous.as_deref()).collect()
    }

    /// Puts a new CA in; the one before stays trusted.
    pub fn rotate(&mut self, ca: Pair) {
        self.previous = self.ca.replace(ca).map(|before| before.certificate);
    }

    /// The CA's Secret.
    pub fn ca_secret(&self, namespace: &str) -> Secret {
        let mut data = pair_data(self.ca.as_ref());
        if let Some(previous) = &self.previous {
            data.insert(PREVIOUS.into(), ByteString(previous.clone().into_bytes()));
        }
        secret(CA_SECRET, namespace, self.ca_version.clone(), data)
    }

    /// The servers' Secret.
    pub fn tls_secret(&self, namespace: &str) -> Secret {
        let mut data = pair_data(self.leaf.as_ref());
        data.insert(BUNDLE.into(), ByteString(self.bundle().into_bytes()));
        secret(TLS_SECRET, namespace, self.tls_version.clone(), data)
    }
}

fn text(secret: &Secret, key: &str) -> Option<String> {
    String::from_utf8(secret.data.as_ref()?.get(key)?.0.clone()).ok()
}

// A key that is not the certificate's would sign what nobody trusts: such a pair counts as absent.
fn pair(secret: &Secret) -> Option<Pair> {
    let pair = Pair { certificate: text(secret, CERTIFICATE)?, key: text(secret, KEY)? };
    crate::server::Certificates::default().replace(pair.certificate.as_bytes(), pair.key.as_bytes()).ok()?;
    Some(pair)
}

fn pair_data(pair: Option<&Pair>) -> BTreeMap<String, ByteString> {
    let bytes =
        |text: fn(&Pair) -> &String| ByteString(pair.map(|pair| text(pair).clone().into_bytes()).unwrap_or_default());
    BTreeMap::from([(CERTIFICATE.into(), bytes(|pair| &pair.certificate)), (KEY.into(), bytes(|pair| &pair.key))])
}

fn secret(name: &str, namespace: &str, version: Option<String>, data: BTreeMap<String, ByteString>) -> Secret {
    let labels = BTreeMap::from([("app.kubernetes.io/managed-by".to_owned(), "keywire".to_owned())]);
    Secret {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some(namespace.into()),
            resource_version: version,
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        type_: Some("kubernetes.io/tls".into()),
        data: Some(data),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::certificates::{new_ca, new_leaf};

    #[test]
    fn secrets_read_back() {
        let (first, second) = (new_ca(1_800_000_000).unwrap(), new_ca(1_800_000_000).unwrap());
        let mut stored = Stored { ca: Some(first.clone()), ..Stored::default() };
        stored.rotate(second.clone());
        stored.leaf = Some(new_leaf(1_800_000_000, &second, i64::MAX, &["a".to_owned()]).unwrap());
        let (ca, tls) = (stored.ca_secret("ns"), stored.tls_secret("ns"));
        let read = Stored::read(Some(&ca), Some(&tls));
        assert_eq!(read.material(), stored.material());
        assert_eq!(read.written_bundle, format!("{}{}", second.certificate, first.certificate));
        assert!(!tls.data.unwrap().values().any(|value| value.0 == second.key.as_bytes()), "the CA's key stays apart");
    }

    #[test]
    fn what_is_no_pair_counts_as_absent() {
        let (first, second) = (new_ca(1_800_000_000).unwrap(), new_ca(1_800_000_000).unwrap());
        let mixed = Pair { certificate: first.certificate, key: second.key };
        let stored = Stored { ca: Some(mixed), previous: Some("nonsense".into()), ..Stored::default() };
        let read = Stored::read(Some(&stored.ca_secret("ns")), Some(&Secret::default()));
        assert_eq!(read.material(), Material::default());
        assert_eq!(read.bundle(), "");
    }
}
