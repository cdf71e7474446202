//! Reading the values that cluster-scoped objects name in Secrets.
//!
//! One Secret at a time, by name: the operator may list none. A value is sealed as soon as it is read.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, ResourceExt};

use super::context::Context;
use crate::{
    admission::certificates::{CA_SECRET, TLS_SECRET},
    api::SecretKeyRef,
    core::desired::Sealed,
};

/// Why a value cannot be had. Holds nothing of any value.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum SecretError {
    /// There is no such Secret.
    #[error("Secret {secret} does not exist: create it with the key {key:?}, or correct {field}")]
    NotFound {
        /// The field that names it.
        field: String,
        /// Namespace and name.
        secret: String,
        /// The key.
        key: String,
    },
    /// The API server does not let the operator read it.
    #[error(
        "Secret {secret} may not be read by the operator ({field}): add its namespace to the chart value secretNamespaces ({reason})"
    )]
    Forbidden {
        /// The field that names it.
        field: String,
        /// Namespace and name.
        secret: String,
        /// What the API server said.
        reason: String,
    },
    /// The Secret has no such key, or nothing in it.
    #[error("Secret {secret} has no value under {key:?} ({field}), or one that is no text")]
    Key {
        /// The field that names it.
        field: String,
        /// Namespace and name.
        secret: String,
        /// The key.
        key: String,
    },
    /// One of the operator's own: its private keys are sent nowhere.
    #[error("Secret {secret} is the operator's own and is given to nobody: name another in {field}")]
    Own {
        /// The field that names it.
        field: String,
        /// Namespace and name.
        secret: String,
    },
    /// The API server was away, or failed.
    #[error("Secret {secret} could not be read ({field}): {source}")]
    Unreachable {
        /// The field that names it.
        field: String,
        /// Namespace and name.
        secret: String,
        /// Why.
        source: Box<kube::Error>,
    },
}

impl SecretError {
    /// The condition's reason.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "SecretNotFound",
            Self::Forbidden { .. } => "SecretForbidden",
            Self::Key { .. } => "SecretIncomplete",
            Self::Own { .. } => "InvalidField",
            Self::Unreachable { .. } => "SecretUnreadable",
        }
    }
}

/// The value that `field` of a cluster-scoped object names. Its version changes with every change of the Secret.
///
/// A line break at the end is not part of the value: files and `echo` add one.
///
/// # Errors
/// [`SecretError`], which says what to do.
pub async fn read(ctx: &Context, field: &str, from: &SecretKeyRef) -> Result<Sealed, SecretError> {
    let secret = format!("{}/{}", from.namespace, from.name);
    if is_own(&ctx.namespace, from) {
        return Err(SecretError::Own { field: field.to_owned(), secret });
    }
    let api = Api::<Secret>::namespaced(ctx.client.clone(), &from.namespace);
    let found = api.get(&from.name).await.map_err(|error| unreadable(field, from, error))?;
    sealed(from, &found).ok_or_else(|| SecretError::Key { field: field.to_owned(), secret, key: from.key.clone() })
}

fn is_own(namespace: &str, from: &SecretKeyRef) -> bool {
    from.namespace == namespace && [CA_SECRET, TLS_SECRET].contains(&from.name.as_str())
}

/// The value under the key; none if there is none, or no text.
fn sealed(from: &SecretKeyRef, found: &Secret) -> Option<Sealed> {
    let ByteString(bytes) = found.data.as_ref()?.get(&from.key)?;
    let text = std::str::from_utf8(bytes).ok()?.trim_end_matches(['\r', '\n']);
    let version = found.resource_version().unwrap_or_default();
    let version = format!("{}/{}/{}@{version}", from.namespace, from.name, from.key);
    (!text.is_empty()).then(|| Sealed::new(version, text))
}

fn unreadable(field: &str, from: &SecretKeyRef, error: kube::Error) -> SecretError {
    let (secret, key, field) = (format!("{}/{}", from.namespace, from.name), from.key.clone(), field.to_owned());
    match error {
        kube::Error::Api(status) if status.code == 404 => SecretError::NotFound { field, secret, key },
        kube::Error::Api(status) if status.code == 403 => {
            SecretError::Forbidden { field, secret, reason: status.message.clone() }
        }
        error => SecretError::Unreachable { field, secret, source: Box::new(error) },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn reference(namespace: &str, name: &str) -> SecretKeyRef {
        SecretKeyRef { namespace: namespace.into(), name: name.into(), key: "password".into() }
    }

    fn secret(key: &str, value: &[u8]) -> Secret {
        let mut secret =
            Secret { data: Some(BTreeMap::from([(key.to_owned(), ByteString(value.to_vec()))])), ..Default::default() };
        secret.metadata.resource_version = Some("7".into());
        secret
    }

    #[test]
    fn a_value_is_sealed_with_its_version() {
        let from = reference("corp", "mail");
        for (value, expected) in [(&b"hunter2"[..], "hunter2"), (b"hunter2\r\n", "hunter2"), (b" a b ", " a b ")] {
            let sealed = sealed(&from, &secret("password", value)).unwrap();
            assert_eq!((sealed.expose(), sealed.version.as_str()), (expected, "corp/mail/password@7"));
        }
        for (key, value) in [("other", &b"x"[..]), ("password", b""), ("password", b"\n"), ("password", b"\xff")] {
            assert_eq!(sealed(&from, &secret(key, value)), None, "{key} {value:?}");
        }
        assert_eq!(sealed(&from, &Secret::default()), None);
    }

    #[test]
    fn the_operators_own_private_keys_are_no_values() {
        assert!(is_own("keywire-system", &reference("keywire-system", CA_SECRET)));
        assert!(is_own("keywire-system", &reference("keywire-system", TLS_SECRET)));
        assert!(!is_own("keywire-system", &reference("elsewhere", CA_SECRET)));
        assert!(!is_own("keywire-system", &reference("keywire-system", "mail")));
    }

    #[test]
    fn a_refusal_says_what_to_do_by_its_kind() {
        let status =
            |code| kube::Error::Api(Box::new(kube::core::Status { code, message: "no".into(), ..Default::default() }));
        for (code, reason, says) in [
            (404, "SecretNotFound", "create it with the key \"password\""),
            (403, "SecretForbidden", "secretNamespaces"),
            (500, "SecretUnreadable", "corp/mail could not be read"),
        ] {
            let error = unreadable("spec.smtp.password", &reference("corp", "mail"), status(code));
            assert_eq!(error.reason(), reason);
            let text = error.to_string();
            assert!(text.contains(says) && text.contains("spec.smtp.password"), "{text}");
        }
    }
}
