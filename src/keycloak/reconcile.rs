//! Observe, compare, apply: for one object at a time.

use crate::core::desired::representation::RealmRepresentation;
use crate::core::desired::{DesiredEndpoint, DesiredRealm, DesiredWorkload};
use crate::core::diff::{
    Change, Conflict, ObservedEndpoint, ObservedWorkload, Plan, plan_endpoint, plan_realm, plan_workload,
};

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

/// What one object of ours is in a realm.
pub trait Held: Sync {
    /// The plan where nothing is there yet. Costs no call.
    ///
    /// # Errors
    /// None that an empty realm could give.
    fn fresh_plan(&self) -> Result<Plan, Conflict>;

    /// The plan for what is there.
    fn plan(&self, realm: &RealmAdmin) -> impl Future<Output = Result<Plan, ReconcileError>> + Send;
}

impl Held for DesiredEndpoint {
    fn fresh_plan(&self) -> Result<Plan, Conflict> {
        plan_endpoint(self, &ObservedEndpoint::default())
    }

    async fn plan(&self, realm: &RealmAdmin) -> Result<Plan, ReconcileError> {
        Ok(plan_endpoint(self, &realm.observe_endpoint(&EndpointKey::from(self)).await?)?)
    }
}

impl Held for DesiredWorkload {
    fn fresh_plan(&self) -> Result<Plan, Conflict> {
        plan_workload(self, &ObservedWorkload::default())
    }

    async fn plan(&self, realm: &RealmAdmin) -> Result<Plan, ReconcileError> {
        Ok(plan_workload(self, &realm.observe_workload(&WorkloadKey::from(self)).await?)?)
    }
}

impl RealmAdmin {
    /// Makes the realm what is desired, and says what was changed.
    ///
    /// # Errors
    /// [`ReconcileError`] with the step that failed.
    pub async fn reconcile_realm(&self, desired: &DesiredRealm) -> Result<Vec<Change>, ReconcileError> {
        self.reconcile_realm_seeing(desired, |_| {}).await
    }

    /// The same; `see` is shown the realm as it was found, so that nobody has to read it again.
    ///
    /// # Errors
    /// [`ReconcileError`] with the step that failed.
    pub async fn reconcile_realm_seeing(
        &self,
        desired: &DesiredRealm,
        see: impl Fn(&RealmRepresentation),
    ) -> Result<Vec<Change>, ReconcileError> {
        at_most_twice(|| self.realm_pass(desired, &see)).await
    }

    /// Makes the endpoint what is desired, and says what was changed.
    ///
    /// # Errors
    /// [`ReconcileError`] with the step that failed.
    pub async fn reconcile_endpoint(&self, desired: &DesiredEndpoint) -> Result<Vec<Change>, ReconcileError> {
        self.reconcile(desired).await
    }

    /// Makes the workload what is desired, and says what was changed. Its endpoints have to exist.
    ///
    /// # Errors
    /// [`ReconcileError`] with the step that failed.
    pub async fn reconcile_workload(&self, desired: &DesiredWorkload) -> Result<Vec<Change>, ReconcileError> {
        self.reconcile(desired).await
    }

    /// Makes an object what is desired, looking at what is there first.
    ///
    /// # Errors
    /// [`ReconcileError`] with the step that failed.
    pub async fn reconcile(&self, desired: &impl Held) -> Result<Vec<Change>, ReconcileError> {
        at_most_twice(|| self.pass(desired)).await
    }

    /// Makes an object that was never made, without looking; if something is there after all, as
    /// [`reconcile`](Self::reconcile) does.
    ///
    /// # Errors
    /// [`ReconcileError`] with the step that failed.
    pub async fn make(&self, desired: &impl Held) -> Result<Vec<Change>, ReconcileError> {
        let made = self.apply(desired.fresh_plan()?).await.map_err(ReconcileError::from);
        match made {
            Err(error) if error.is_outdated_plan() => self.reconcile(desired).await,
            result => result,
        }
    }

    async fn pass(&self, desired: &impl Held) -> Result<Vec<Change>, ReconcileError> {
        Ok(self.apply(desired.plan(self).await?).await?)
    }

    async fn realm_pass(
        &self,
        desired: &DesiredRealm,
        see: &impl Fn(&RealmRepresentation),
    ) -> Result<Vec<Change>, ReconcileError> {
        let observed = self.observe_realm().await?;
        observed.realm.iter().for_each(see);
        Ok(self.apply(plan_realm(desired, &observed)?).await?)
    }
}

/// Runs a pass, and a second one if the first found its plan outdated: an earlier attempt whose answer was lost may have
/// made the object. What the first did is told with the second.
async fn at_most_twice<P>(pass: impl Fn() -> P) -> Result<Vec<Change>, ReconcileError>
where
    P: Future<Output = Result<Vec<Change>, ReconcileError>>,
{
    let first = match pass().await {
        Err(ReconcileError::Apply(first)) if first.source.is_conflict() => first,
        result => return result,
    };
    let ApplyError { mut done, failed, .. } = first;
    match pass().await {
        Ok(more) => {
            done.extend(more);
            Ok(done)
        }
        Err(ReconcileError::Apply(second)) => {
            done.extend(second.done);
            Err(ApplyError { done, ..second }.into())
        }
        Err(ReconcileError::Observe(source)) => Err(ApplyError { done, failed, source }.into()),
        Err(conflict) => Err(conflict),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::core::build::{Login, Site, desired_endpoint, desired_workload};
    use crate::core::fingerprint::Fingerprint;
    use crate::core::graph::test_objects::{endpoint, workload};

    const EAST: Site<'_> = Site { cluster: "east", realm: "ml" };

    /// What has no fingerprint would be looked at again and again.
    #[test]
    fn every_fresh_plan_has_a_fingerprint_of_its_own() {
        let of = |held: &dyn Fn() -> Result<Plan, Conflict>| {
            serde_json::to_string(&held().expect("no conflict in an empty realm")).expect("JSON");
            Fingerprint::of(&held().expect("no conflict in an empty realm")).expect("a fingerprint")
        };
        let endpoint = desired_endpoint(EAST, &endpoint(), None, &[]);
        let workload = desired_workload(EAST, &workload(), Login::Federated("keywire-east"), |_| None, &[]);
        let granted = DesiredWorkload {
            grants: BTreeMap::from([("iris.vision.endpoint".to_owned(), BTreeSet::from(["read".to_owned()]))]),
            ..workload.clone()
        };
        let all = [of(&|| endpoint.fresh_plan()), of(&|| workload.fresh_plan()), of(&|| granted.fresh_plan())];
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2]);
    }
}
