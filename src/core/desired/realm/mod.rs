//! A realm: its settings where they are ours, and the trust in a cluster's ServiceAccount tokens; [`objects`] has what is in it.

mod described;
mod full;
mod keys;
pub mod objects;
mod settings;
mod smtp;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::core::desired::endpoint::text_map;
use crate::core::desired::identifier::object_id;
use crate::core::desired::owner::{OWNER_ATTRIBUTE, Owner};
use crate::core::desired::representation::{IdentityProviderRepresentation, PUSHED_KEYS, RealmRepresentation};

pub use described::{ClientPolicies, FULL_SCOPE, Named, RequiredAction, UserProfile};
pub(crate) use described::{annotated_owner, signed_owner};
pub use full::FullRealm;
pub use keys::{KEY_PROVIDER, KeyComponent, KeyGenerator, KeyRotation, KeyState};
pub use settings::RealmSettings;
pub use smtp::{SMTP_VERSION, SmtpServer};

/// How far a Kubernetes node's clock may be from Keycloak's, in seconds. Keycloak's own default is none at all.
const ALLOWED_CLOCK_SKEW: Seconds = Seconds(30);

/// How long the records of a new realm's admin events are kept: they are on, and without a limit the table only grows.
const ADMIN_EVENTS_EXPIRY: Seconds = Seconds(30 * 24 * 3600);

/// What one realm should be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DesiredRealm {
    /// The realm's name in Keycloak.
    pub realm: String,
    /// The object that it is made from.
    pub owner: Owner,
    /// How much of the realm is ours.
    pub management: Management,
    /// The cluster whose ServiceAccount tokens are good in this realm.
    pub workload_issuer: Option<WorkloadIssuer>,
    /// Whether an existing realm or identity provider that is not ours is taken over.
    pub adopt: bool,
}

/// How much of a realm is ours.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Management {
    /// The realm itself: made, kept and, where asked for, deleted.
    Full(Box<FullRealm>),
    /// Only what we put into it; the realm has to exist and its settings are someone else's.
    ClientsOnly,
}

/// A number of seconds, as Keycloak counts lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub u32);

/// The entry of an identity provider's config that holds [`WorkloadIssuer::cluster_uid`].
pub const CLUSTER_UID: &str = "keywire.dev/cluster-uid";

/// The trust in one cluster's ServiceAccount tokens, its public keys pushed to Keycloak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WorkloadIssuer {
    /// The identity provider's alias; fixed once made.
    pub alias: String,
    /// The `iss` of the cluster's tokens. Unique in a realm.
    pub issuer: String,
    /// The cluster's public keys: a JSON Web Key Set (RFC 7517, section 5).
    pub jwks: Value,
    /// The greatest lifetime of an assertion that Keycloak accepts.
    pub max_assertion_age: Seconds,
    /// The uid of the cluster's namespace `kube-system`: tells it from another cluster that has the same name and, as
    /// most have, the same issuer. `None` where it cannot be read.
    pub cluster_uid: Option<String>,
}

impl WorkloadIssuer {
    /// The keys as Keycloak is to hold them.
    #[must_use]
    pub fn canonical_keys(&self) -> String {
        canonical_jwks(&self.jwks)
    }

    /// Whether an identity provider was made by another cluster, whatever it calls itself.
    #[must_use]
    pub fn is_anothers(&self, found: &IdentityProviderRepresentation) -> bool {
        let uid = found.config.get(CLUSTER_UID);
        self.cluster_uid.as_ref().zip(uid).is_some_and(|(ours, theirs)| ours != theirs)
    }

    /// The identity provider as Keycloak is to hold it.
    ///
    /// `oidc` with pushed keys rather than `kubernetes`: Keycloak then needs no way into the cluster, and a key that is
    /// taken away is refused at once.
    #[must_use]
    pub fn identity_provider(&self, owner: &Owner) -> IdentityProviderRepresentation {
        let max_age = self.max_assertion_age.0.to_string();
        let mut config = text_map([
            ("issuer", self.issuer.as_str()),
            ("useJwksUrl", "false"),
            (PUSHED_KEYS, self.canonical_keys().as_str()),
            ("validateSignature", "true"),
            ("supportsClientAssertions", "true"),
            // A projected token serves for many logins until the kubelet renews it.
            ("supportsClientAssertionReuse", "true"),
            ("fedClientAssertionMaxExp", max_age.as_str()),
            ("allowedClockSkew", ALLOWED_CLOCK_SKEW.0.to_string().as_str()),
            (OWNER_ATTRIBUTE, owner.to_attribute().as_str()),
        ]);
        config.extend(self.cluster_uid.iter().map(|uid| (CLUSTER_UID.to_owned(), uid.clone())));
        IdentityProviderRepresentation {
            alias: self.alias.clone(),
            provider_id: "oidc".into(),
            enabled: true,
            hide_on_login: true,
            config,
        }
    }
}

impl DesiredRealm {
    /// The realm as Keycloak is to create it; none where its settings are someone else's.
    ///
    /// Without its settings: one that Keycloak refuses would keep the whole realm from being made.
    #[must_use]
    pub fn new_realm(&self) -> Option<RealmRepresentation> {
        self.full()?;
        let attributes = text_map([
            (OWNER_ATTRIBUTE, self.owner.to_attribute().as_str()),
            ("adminEventsExpiration", ADMIN_EVENTS_EXPIRY.0.to_string().as_str()),
        ]);
        let settings = RealmSettings::default().with("enabled", true);
        Some(RealmRepresentation { realm: self.realm.clone(), settings, attributes })
    }

    /// The realm as Keycloak is to hold it, but for its mail server; none where its settings are someone else's.
    #[must_use]
    pub fn representation(&self) -> Option<RealmRepresentation> {
        let FullRealm { settings, attributes, .. } = self.full()?;
        let mut attributes = attributes.clone();
        attributes.insert(OWNER_ATTRIBUTE.to_owned(), self.owner.to_attribute());
        Some(RealmRepresentation { realm: self.realm.clone(), settings: settings.in_order(), attributes })
    }

    /// What the realm is to be; none where its settings are someone else's.
    #[must_use]
    pub fn full(&self) -> Option<&FullRealm> {
        match &self.management {
            Management::Full(full) => Some(full),
            Management::ClientsOnly => None,
        }
    }

    /// The id that stands for the realm where ids are derived.
    #[must_use]
    pub fn id(&self) -> Uuid {
        let Owner { cluster, kind, name, .. } = &self.owner;
        object_id(cluster, &self.realm, kind, "", name)
    }
}

/// A key set as text that does not depend on the order in which the keys, or their members, were written down.
pub(crate) fn canonical_jwks(jwks: &Value) -> String {
    let mut jwks = sorted(jwks);
    if let Some(keys) = jwks.get_mut("keys").and_then(Value::as_array_mut) {
        keys.sort_by_cached_key(ToString::to_string);
    }
    jwks.to_string()
}

/// The same value with every object's members in order, whichever map serde_json was built with.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let ordered: BTreeMap<_, _> = members.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        scalar => scalar.clone(),
    }
}
