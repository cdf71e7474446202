//! Observe, compare, apply: for one object at a time.

use crate::core::desired::{DesiredEndpoint, DesiredRealm, DesiredWorkload};
use crate::core::diff::{Change, Conflict, plan_endpoint, plan_realm, plan_workload};

use super::admin::RealmAdmin;
use super::apply::ApplyError;
use super::error::ApiError;
use super::observe::{EndpointKey, WorkloadKey};

/// Why an object is not as desired.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ReconcileError {
    /// It could not be read.
    #[error("cannot read what is there: {0}")]
    Observe(#[from] ApiError),
    /// Something that is not ours is in the way.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A change failed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl ReconcileError {
    /// Whether the plan was outdated: something that it creates was there already.
    fn is_outdated_plan(&self) -> bool {
        matches!(self, Self::Apply(error) if error.source.is_conflict())
    }
}

impl RealmAdmin {
    /// Makes the realm what is desired, and says what was changed.
    ///
    /// # Errors
    /// [`ReconcileError`] with the step that failed.
    pub async fn reconcile_realm(&self, desired: &DesiredRealm) -> Result<Vec<Change>, ReconcileError> {
        at_most_twice(|| self.realm_pass(desired)).await
    }

    /// Makes the endpoint what is desired, and says what was changed.
    ///
    /// # Errors
    /// [`ReconcileError`] with the step that failed.
    pub async fn reconcile_endpoint(&self, desired: &DesiredEndpoint) -> Result<Vec<Change>, ReconcileError> {
        at_most_twice(|| self.endpoint_pass(desired)).await
    }

    /// Makes the workload what is desired, and says what was changed. Its endpoints have to exist.
    ///
    /// # Errors
    /// [`ReconcileError`] with the step that failed.
    pub async fn reconcile_workload(&self, desired: &DesiredWorkload) -> Result<Vec<Change>, ReconcileError> {
        at_most_twice(|| self.workload_pass(desired)).await
    }

    async fn realm_pass(&self, desired: &DesiredRealm) -> Result<Vec<Change>, ReconcileError> {
        let observed = self.observe_realm().await?;
        Ok(self.apply(plan_realm(desired, &observed)?).await?)
    }

    async fn endpoint_pass(&self, desired: &DesiredEndpoint) -> Result<Vec<Change>, ReconcileError> {
        let observed = self.observe_endpoint(&EndpointKey::from(desired)).await?;
        Ok(self.apply(plan_endpoint(desired, &observed)?).await?)
    }

    async fn workload_pass(&self, desired: &DesiredWorkload) -> Result<Vec<Change>, ReconcileError> {
        let observed = self.observe_workload(&WorkloadKey::from(desired)).await?;
        Ok(self.apply(plan_workload(desired, &observed)?).await?)
    }
}

/// Runs a pass, and a second one if the first found its plan outdated: an earlier attempt whose answer was lost may have
/// made the object.
async fn at_most_twice<P>(pass: impl Fn() -> P) -> Result<Vec<Change>, ReconcileError>
where
    P: Future<Output = Result<Vec<Change>, ReconcileError>>,
{
    match pass().await {
        Err(error) if error.is_outdated_plan() => pass().await,
        result => result,
    }
}
