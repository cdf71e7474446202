//! The trust in a cluster, as the operator's own login needs it: made by a person, followed by the operator.

use crate::core::desired::representation::{IdentityProviderRepresentation, PUSHED_KEYS};
use crate::core::desired::{Owner, WorkloadIssuer};
use crate::core::diff::Conflict;

use super::admin::RealmAdmin;
use super::bootstrap::{BootstrapError, Step};
use super::error::ApiError;

/// What became of the trust in a cluster's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerStep {
    /// Keycloak knew them.
    Unchanged,
    /// Keycloak was told of them.
    Updated,
    /// No identity provider of this cluster's operator has this issuer: not ours to change.
    NotOurs,
}

/// Makes a realm trust the cluster's current keys.
///
/// # Errors
/// [`BootstrapError::AliasTaken`] if the alias is not this cluster's, [`BootstrapError::IssuerTaken`] if the issuer is
/// another identity provider's.
pub async fn ensure_issuer(realm: &RealmAdmin, issuer: &WorkloadIssuer, owner: &Owner) -> Result<Step, BootstrapError> {
    let wanted = issuer.identity_provider(owner);
    let existing = realm.list_identity_providers().await?;
    let has_issuer = |found: &&IdentityProviderRepresentation| found.issuer() == Some(issuer.issuer.as_str());
    if let Some(other) = existing.iter().filter(has_issuer).find(|found| found.alias != wanted.alias) {
        return Err(BootstrapError::IssuerTaken(Box::new(Conflict::issuer_taken(other))));
    }
    match existing.iter().find(|found| found.alias == wanted.alias) {
        None => {
            realm.create_identity_provider(&wanted).await?;
            Ok(Step::Created)
        }
        Some(found) if !is_of_cluster(found, &owner.cluster) => Err(BootstrapError::AliasTaken { alias: wanted.alias }),
        Some(found) if issuer.is_anothers(found) => {
            let (alias, cluster) = (wanted.alias, owner.cluster.clone());
            Err(BootstrapError::IssuerTaken(Box::new(Conflict::ClusterNameTaken { alias, cluster })))
        }
        Some(found) if found.with_canonical_keys() == wanted => Ok(Step::Unchanged),
        Some(_) => {
            realm.update_identity_provider(&wanted).await?;
            Ok(Step::Updated)
        }
    }
}

fn is_of_cluster(found: &IdentityProviderRepresentation, cluster: &str) -> bool {
    found.owner().is_some_and(|owner| owner.cluster == cluster)
}

impl RealmAdmin {
    /// Tells the realm of the cluster's current keys, where an identity provider of this cluster's operator has its
    /// issuer. The keys and nothing else are changed.
    ///
    /// # Errors
    /// `Forbidden` without `manage-identity-providers`.
    pub async fn follow_issuer(&self, issuer: &WorkloadIssuer, cluster: &str) -> Result<IssuerStep, ApiError> {
        let existing = self.list_identity_providers().await?;
        let mut ours = existing.into_iter().filter(|found| is_of_cluster(found, cluster) && !issuer.is_anothers(found));
        let Some(found) = ours.find(|found| found.issuer() == Some(issuer.issuer.as_str())) else {
            return Ok(IssuerStep::NotOurs);
        };
        let (mut wanted, keys) = (found.with_canonical_keys(), issuer.canonical_keys());
        if wanted.config.get(PUSHED_KEYS) == Some(&keys) {
            return Ok(IssuerStep::Unchanged);
        }
        wanted.config.insert(PUSHED_KEYS.to_owned(), keys);
        self.update_identity_provider(&wanted).await?;
        Ok(IssuerStep::Updated)
    }
}
