//! Giving the operator its first login, and mending it after a lock-out. Run once, with an administrator's password.

mod client;
mod grants;

use std::collections::{BTreeMap, BTreeSet};

use crate::core::desired::representation::RealmRepresentation;
use crate::core::desired::{RealmSettings, WorkloadIssuer};
use crate::core::diff::Conflict;

use super::admin::Admin;
use super::error::ApiError;
use super::issuer::ensure_issuer;

/// What the operator's login consists of.
#[derive(Clone, Debug)]
pub struct BootstrapSpec {
    /// The cluster's name, for the owner mark.
    pub cluster: String,
    /// The realm in which the operator logs in.
    pub login_realm: String,
    /// The operator's client.
    pub client_id: String,
    /// The trust in the cluster's ServiceAccount tokens. To follow the cluster's keys later by
    /// [`follow_issuer`](super::RealmAdmin::follow_issuer), the operator needs a grant of `manage-identity-providers` in
    /// the login realm.
    pub issuer: WorkloadIssuer,
    /// `system:serviceaccount:NAMESPACE:NAME` of the operator.
    pub subject: String,
    /// Whether it may make realms, in which it has all rights then. From `master` only.
    pub creates_realms: bool,
    /// Rights in realms that exist already.
    pub grants: Vec<RealmGrant>,
}

/// Rights in one realm that exists already. From `master` rights in any realm can be given; from another login realm only
/// rights in itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmGrant {
    /// The realm.
    pub realm: String,
    /// Roles such as `manage-clients`.
    pub roles: BTreeSet<String>,
}

/// What became of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It was not there.
    Created,
    /// It was there and was made what it should be.
    Updated,
    /// It was as it should be.
    Unchanged,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapReport {
    /// The trust in the cluster.
    pub identity_provider: Step,
    /// The operator's client.
    pub client: Step,
    /// The role to create realms (under `realm`), and the roles in realms that exist, by the client that has them.
    pub roles: BTreeMap<String, Step>,
    /// Administrative roles that the account holds beyond these, under the same names. Nobody took them away.
    pub surplus: BTreeMap<String, BTreeSet<String>>,
}

/// Why the operator has no login.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum BootstrapError {
    /// A call failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The alias is that of an identity provider that this cluster's operator did not make.
    #[error(
        "identity provider {alias} exists already and is not this cluster's: give the cluster another name \
         (--cluster-name, and clusterName in the chart), or remove it"
    )]
    AliasTaken {
        /// The alias.
        alias: String,
    },
    /// The server takes no ServiceAccount tokens.
    #[error(
        "Keycloak {version} takes no ServiceAccount tokens, since its feature client-auth-federated is off: start it \
         with --features=client-auth-federated, or upgrade to 26.6 or later, where it is on"
    )]
    FeatureOff {
        /// The server's version, or nothing where it does not say.
        version: String,
    },
    /// The client is the way in of another cluster's operator.
    #[error("client {client_id} is that of the operator of cluster {cluster}: choose another with --client-id")]
    ClientTaken {
        /// The client id.
        client_id: String,
        /// The cluster.
        cluster: String,
    },
    /// The cluster's issuer is another identity provider's.
    #[error(transparent)]
    IssuerTaken(Box<Conflict>),
    /// The account does not hold what it was given a moment ago.
    #[error(
        "the operator's account does not hold {roles} of {container} although they were given to it: see Keycloak's log"
    )]
    NotHeld {
        /// The roles.
        roles: String,
        /// The client that has them.
        container: String,
    },
    /// The realm whose rights are to be given does not exist, or is out of the login realm's reach.
    #[error("no rights in realm {realm} can be given: it does not exist, or the login realm is neither it nor master")]
    RealmMissing {
        /// The realm.
        realm: String,
    },
}

/// Makes sure that a realm is there to log in at. One that is made has nothing but a name: the Realm object that adopts
/// it says the rest.
///
/// # Errors
/// [`BootstrapError::RealmMissing`] if there is none and it may not be made.
pub async fn ensure_realm(admin: &Admin, name: &str, may_make: bool) -> Result<Step, BootstrapError> {
    let realm = admin.realm(name);
    if ApiError::none_if_missing(realm.get_realm().await)?.is_some() {
        return Ok(Step::Unchanged);
    }
    if !may_make {
        return Err(BootstrapError::RealmMissing { realm: name.to_owned() });
    }
    let settings = RealmSettings::default().with("enabled", true).with("sslRequired", "external");
    realm.create_realm(&RealmRepresentation { realm: name.to_owned(), settings, attributes: BTreeMap::new() }).await?;
    Ok(Step::Created)
}

/// Makes the operator able to log in with its own ServiceAccount token. Can be run again at any time.
///
/// A client of this id is taken over unless another cluster's operator made it: the administrator who runs this says so.
///
/// # Errors
/// [`BootstrapError`]; what was done before stays, and running it again goes on.
pub async fn bootstrap_operator(admin: &Admin, spec: &BootstrapSpec) -> Result<BootstrapReport, BootstrapError> {
    let server = admin.check().await?;
    if server.federated_login == Some(false) {
        return Err(BootstrapError::FeatureOff { version: server.version.unwrap_or_default() });
    }
    let realm = admin.realm(&spec.login_realm);
    let identity_provider = ensure_issuer(&realm, &spec.issuer, &spec.owner()).await?;
    let (id, client) = client::ensure_client(&realm, spec).await?;
    let operator = grants::Operator { account: realm.get_service_account(&id).await?.id, client: id };
    let mut roles = BTreeMap::new();
    if spec.creates_realms {
        roles.insert("realm".to_owned(), grants::ensure_create_realm(&realm, &operator).await?);
    }
    for grant in &spec.grants {
        let (container, step) = grants::ensure_grant(&realm, &operator, grant, !spec.creates_realms).await?;
        roles.insert(container, step);
    }
    let surplus = grants::check(&realm, &operator, spec).await?;
    Ok(BootstrapReport { identity_provider, client, roles, surplus })
}
