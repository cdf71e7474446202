//! Observe, compare, apply: for the objects in a realm, section by section.

mod apply;
mod observe;
mod observe_groups;
mod observe_users;
mod roles;

use strum::VariantArray;

use crate::core::desired::objects::{DesiredObjects, Section};
use crate::core::desired::representation::USER_STORAGE;
use crate::core::diff::objects::{
    Finding, FindingReason, SectionPlan, plan_brokers, plan_federation, plan_groups, plan_roles, plan_scopes,
    plan_users,
};
use crate::core::diff::{Change, ObjectChange};

use super::admin::RealmAdmin;
use super::error::ApiError;

/// How often a section is looked at in one pass: again after an LDAP server was made, which comes with mappers of its
/// own, and where something was there already that was to be made.
const ROUNDS: usize = 3;

/// How one section came out. The failure of one object leaves the others alone.
#[derive(Debug)]
pub struct SectionReport {
    /// Which.
    pub section: Section,
    /// The changes that were made.
    pub done: Vec<Change>,
    /// What was not done, and why.
    pub findings: Vec<Finding>,
    /// What was tried and failed.
    pub failures: Vec<ObjectFailure>,
}

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum ObjectFailure {
    /// The section could not be read.
    #[error("cannot read what is there: {0}")]
    Observe(ApiError),
    /// A change failed.
    #[error("cannot {failed}: {source}")]
    Apply {
        /// The change.
        failed: Box<Change>,
        /// Why.
        source: ApiError,
    },
}

impl ObjectFailure {
    /// What Keycloak said.
    #[must_use]
    pub fn source(&self) -> &ApiError {
        match self {
            Self::Observe(source) | Self::Apply { source, .. } => source,
        }
    }
}

impl SectionReport {
    fn new(section: Section) -> Self {
        Self { section, done: Vec::new(), findings: Vec::new(), failures: Vec::new() }
    }

    /// Whether everything that is listed is as it should be. There may be warnings.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.failures.is_empty() && !self.findings.iter().any(|finding| finding.reason.is_failure())
    }

    fn is_out_of_reach(&self) -> bool {
        self.failures.iter().any(|failure| failure.source().is_out_of_reach())
    }
}

impl RealmAdmin {
    /// Makes the objects in the realm what is desired. Where Keycloak cannot be reached the sections after that are not
    /// tried, and have no report.
    pub async fn reconcile_objects(&self, desired: &DesiredObjects) -> Vec<SectionReport> {
        let mut reports = Vec::new();
        for section in Section::VARIANTS {
            let report = self.reconcile_section(desired, *section).await;
            let is_cut_off = report.is_out_of_reach();
            reports.push(report);
            if is_cut_off {
                break;
            }
        }
        reports
    }

    async fn reconcile_section(&self, desired: &DesiredObjects, section: Section) -> SectionReport {
        let mut report = SectionReport::new(section);
        if !self.reads(desired.has(section)) {
            return report;
        }
        for _ in 0..ROUNDS {
            report.failures.clear();
            match self.plan_section(desired, section).await {
                // An account that may not see what is not asked for need not.
                Err(ApiError::Forbidden { .. }) if !desired.has(section) => return report,
                Err(error) => {
                    report.failures.push(ObjectFailure::Observe(error));
                    return report;
                }
                Ok(plan) => {
                    let done_before = report.done.len();
                    self.carry_out_section(plan, &mut report).await;
                    let is_new =
                        report.done[done_before..].iter().any(|change| is_new_server(change) && self.writes(change));
                    if !is_outdated(&report) && !is_new {
                        break;
                    }
                }
            }
        }
        if section == Section::UserFederation
            && let Err(error) = self.test_servers(desired, &mut report).await
        {
            report.failures.push(ObjectFailure::Observe(error));
        }
        report
    }

    /// What it takes to make one section what is desired.
    ///
    /// # Errors
    /// An [`ApiError`] if any part of it cannot be read.
    pub async fn plan_section(&self, desired: &DesiredObjects, section: Section) -> Result<SectionPlan, ApiError> {
        Ok(match section {
            Section::Roles => plan_roles(desired, &self.observe_roles(desired).await?),
            Section::Groups => plan_groups(desired, &self.observe_groups(desired).await?),
            Section::ClientScopes => plan_scopes(desired, &self.observe_scopes_of_realm(desired).await?),
            Section::IdentityProviders => plan_brokers(desired, &self.observe_brokers(desired).await?),
            Section::UserFederation => plan_federation(desired, &self.observe_federation(desired).await?),
            Section::Users => plan_users(desired, &self.observe_users(desired).await?),
        })
    }

    async fn carry_out_section(&self, plan: SectionPlan, report: &mut SectionReport) {
        report.findings = plan.findings;
        for step in plan.steps {
            for change in step.changes {
                match self.apply_change(&change).await {
                    Ok(()) => report.done.push(change),
                    Err(source) => {
                        report.failures.push(ObjectFailure::Apply { failed: Box::new(change), source });
                        break;
                    }
                }
            }
            if report.is_out_of_reach() {
                return;
            }
        }
    }

    /// An LDAP server that is down is no fault of the Realm, but people cannot log in.
    async fn test_servers(&self, desired: &DesiredObjects, report: &mut SectionReport) -> Result<(), ApiError> {
        if desired.user_federation.is_empty() {
            return Ok(());
        }
        for component in self.list_components(USER_STORAGE, None).await? {
            let is_listed = desired.user_federation.iter().any(|server| server.name == component.name);
            let is_ours = desired.adopt || component.id() == desired.federation_id(&component.name).to_string();
            let is_on = component.config.get("enabled").is_none_or(|enabled| enabled.iter().any(|on| on == "true"));
            if !(is_listed && is_ours && is_on) {
                continue;
            }
            let Err(error) = self.test_ldap(&component).await else { continue };
            let message = format!(
                "the LDAP server of user federation {} does not answer Keycloak as it should ({error}); its people cannot log in until it does, and nothing is changed: check connectionUrl, bindDn and its Secret, and Keycloak's way there",
                component.name
            );
            report.findings.push(Finding { reason: FindingReason::Unreachable, message });
        }
        Ok(())
    }
}

/// Whether something was there already that was to be made: an earlier attempt whose answer was lost may have made it.
fn is_outdated(report: &SectionReport) -> bool {
    report.failures.iter().any(|failure| failure.source().is_conflict())
}

fn is_new_server(change: &Change) -> bool {
    matches!(change, Change::Object(ObjectChange::CreateComponent { component, .. }) if component.provider_type == USER_STORAGE)
}
