//! Brute-force protection of sign-ins.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{api::common::Seconds, core::desired::RealmSettings};

/// Brute-force protection of sign-ins. What is not given stays as Keycloak has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.maxTemporaryLockouts) || (has(self.permanentLockout) && self.permanentLockout)")
    .message("spec.bruteForce.maxTemporaryLockouts counts towards a permanent lockout: set permanentLockout"))]
pub struct BruteForce {
    /// On or off.
    pub enabled: bool,
    /// After how many failed sign-ins an account is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub max_failures: Option<i32>,
    /// How the pause grows with further failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<LockoutStrategy>,
    /// How long an account is locked the first time, and by how much longer each further time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_increment: Option<Seconds>,
    /// The longest that an account is locked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<Seconds>,
    /// After how long without a failure the count begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reset: Option<Seconds>,
    /// Two failures within so many milliseconds are a machine's, and lock at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3_600_000))]
    pub quick_login_check_millis: Option<i32>,
    /// How long an account is locked then, at the least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_quick_login_wait: Option<Seconds>,
    /// A locked account stays so until an administrator unlocks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permanent_lockout: Option<bool>,
    /// How often an account is locked for a time before it is for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10_000))]
    pub max_temporary_lockouts: Option<i32>,
}

/// How the pause grows with further failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LockoutStrategy {
    /// By one increment with each failure above the limit.
    Linear,
    /// By one increment with each multiple of the limit.
    Multiple,
}

impl BruteForce {
    pub(super) fn settings(&self, to: &mut RealmSettings) {
        let seconds = |given: Option<Seconds>| given.map(|Seconds(seconds)| seconds);
        to.set("bruteForceProtected", Some(self.enabled));
        to.set("failureFactor", self.max_failures);
        to.set(
            "bruteForceStrategy",
            self.strategy.map(|strategy| match strategy {
                LockoutStrategy::Linear => "LINEAR",
                LockoutStrategy::Multiple => "MULTIPLE",
            }),
        );
        to.set("waitIncrementSeconds", seconds(self.wait_increment));
        to.set("maxFailureWaitSeconds", seconds(self.max_wait));
        to.set("maxDeltaTimeSeconds", seconds(self.failure_reset));
        to.set("quickLoginCheckMilliSeconds", self.quick_login_check_millis);
        to.set("minimumQuickLoginWaitSeconds", seconds(self.minimum_quick_login_wait));
        to.set("permanentLockout", self.permanent_lockout);
        to.set("maxTemporaryLockouts", self.max_temporary_lockouts);
    }
}
