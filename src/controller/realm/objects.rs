//! The objects that a Realm lists: from its fields and Secrets to conditions, one for each list.

use std::time::Duration;

use strum::VariantArray;

use super::drift::End;
use crate::{
    api::{
        Realm,
        parse::{Problems, Secrets},
    },
    controller::{
        condition::{State, Verdict},
        context::Context,
        error::Error,
        secrets,
        servers::issuer_alias,
        sync,
    },
    core::{
        desired::objects::{DesiredObjects, Secret, Section},
        diff::Change,
    },
    keycloak::{ObjectFailure, RealmAdmin, SectionReport},
};

/// When a realm is looked at again that is as it should be, but for something outside: a directory that is down.
const WARNED: Duration = Duration::from_secs(60);

/// What the object lists, with the values of its Secrets. One that cannot be read concerns only who needs it.
pub async fn gather(ctx: &Context, object: &Realm) -> Result<DesiredObjects, Problems> {
    let mut values = Secrets::new();
    for (field, reference) in object.secrets_of_objects() {
        let value = match secrets::read(ctx, &field, reference).await {
            Ok(sealed) => Secret::Known(sealed),
            Err(error) => Secret::Unreadable(error.to_string()),
        };
        values.insert(reference.clone(), value);
    }
    let owner = super::build::owner(&ctx.cluster, object);
    object.parse_objects(owner, issuer_alias(object, &ctx.cluster).as_deref(), &values)
}

/// How the lists came out.
pub struct Lists {
    /// A condition for each.
    pub verdicts: Vec<Verdict>,
    /// What was changed.
    pub changes: Vec<Change>,
    /// What it came to.
    pub end: End,
}

/// Makes the lists true in Keycloak, as far as the realm itself stands.
pub async fn reconcile(realm: &RealmAdmin, desired: &DesiredObjects, synced: &Result<Verdict, Verdict>) -> Lists {
    if !stands(synced) {
        let waiting = |section: &Section| Verdict::waiting(section.into(), "for the realm itself, see Synced");
        let verdicts = Section::VARIANTS.iter().filter(|section| desired.has(**section)).map(waiting).collect();
        return Lists { verdicts, changes: Vec::new(), end: End::Unseen };
    }
    let reports = realm.reconcile_objects(desired).await;
    let (verdicts, end) = (verdicts(desired, &reports), end(&reports));
    Lists { verdicts, changes: reports.into_iter().flat_map(|report| report.done).collect(), end }
}

fn end(reports: &[SectionReport]) -> End {
    let is_broken = |failure: &ObjectFailure| matches!(failure, ObjectFailure::Apply { .. });
    match () {
        () if reports.iter().flat_map(|report| &report.failures).any(is_broken) => End::Broken,
        () if reports.len() < Section::VARIANTS.len() || !reports.iter().all(SectionReport::is_good) => End::Unseen,
        () => End::Whole,
    }
}

/// Whether there is a realm to put objects into: a setting that Keycloak refuses is no reason to leave them undone.
fn stands(synced: &Result<Verdict, Verdict>) -> bool {
    match synced {
        Ok(_) => true,
        Err(verdict) => verdict.reason == "Refused",
    }
}

impl Lists {
    /// What the pass amounts to: tried again where something failed, looked at sooner where there is a warning.
    pub fn outcome(&self) -> Result<Option<Duration>, Error> {
        outcome(&self.verdicts)
    }
}

fn outcome(verdicts: &[Verdict]) -> Result<Option<Duration>, Error> {
    let failed = verdicts.iter().find(|verdict| verdict.blocking && verdict.state != State::True);
    if let Some(verdict) = failed {
        return Err(Error::Keycloak(format!("{}: {}", verdict.concern, verdict.message)));
    }
    Ok(verdicts.iter().any(|verdict| verdict.state != State::True).then_some(WARNED))
}

fn verdicts(desired: &DesiredObjects, reports: &[SectionReport]) -> Vec<Verdict> {
    let verdict = |section: &Section| {
        let report = reports.iter().find(|report| report.section == *section);
        match report {
            None => desired.has(*section).then(|| Verdict::waiting(section.into(), "for Keycloak to be reached")),
            Some(report) => verdict(desired, report),
        }
    };
    Section::VARIANTS.iter().filter_map(verdict).collect()
}

/// The first thing that is wrong is the reason, and everything that is wrong is the message.
fn verdict(desired: &DesiredObjects, report: &SectionReport) -> Option<Verdict> {
    let concern: &'static str = report.section.into();
    let failures = report.failures.iter().map(|failure| (sync::api_reason(failure.source()), failure.to_string()));
    let mut findings: Vec<_> = report.findings.iter().collect();
    findings.sort_by_key(|finding| !finding.reason.is_failure());
    let findings = findings.into_iter().map(|finding| (finding.reason.into(), finding.message.clone()));
    let (reasons, messages): (Vec<&'static str>, Vec<String>) = failures.chain(findings).unzip();
    let Some(reason) = reasons.first() else {
        let message = "Keycloak holds what is listed";
        return desired.has(report.section).then(|| Verdict::good(concern, "Synced", message));
    };
    let bad = Verdict::bad(concern, *reason, messages.join("; "));
    Some(if report.is_good() { bad.aside() } else { bad })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{
            build::{cluster_owner, kind},
            desired::objects::RealmRole,
            diff::objects::{Finding, FindingReason},
        },
        keycloak::ApiError,
    };

    fn desired() -> DesiredObjects {
        let role = RealmRole { name: "viewer".into(), ..RealmRole::default() };
        let nothing = DesiredObjects::none("ml", cluster_owner("main", kind::REALM, "ml", "1"));
        DesiredObjects { roles: vec![role], ..nothing }
    }

    fn report(section: Section, findings: Vec<Finding>, failures: Vec<ObjectFailure>) -> SectionReport {
        SectionReport { section, done: Vec::new(), findings, failures }
    }

    fn finding(reason: FindingReason, message: &str) -> Finding {
        Finding { reason, message: message.into() }
    }

    #[test]
    fn only_lists_that_are_used_have_conditions() {
        let reports = Section::VARIANTS.iter().map(|section| report(*section, Vec::new(), Vec::new()));
        let verdicts = verdicts(&desired(), &reports.collect::<Vec<_>>());
        assert_eq!(verdicts, [Verdict::good("Roles", "Synced", "Keycloak holds what is listed")]);
        assert!(matches!(outcome(&verdicts), Ok(None)));
    }

    #[test]
    fn a_failure_comes_before_a_warning_and_is_tried_again() {
        let warning = finding(FindingReason::StillInUse, "group /a has members");
        let failure = finding(FindingReason::Conflict, "group /b is not ours");
        let reports = [report(Section::Groups, vec![warning.clone(), failure], Vec::new())];
        let found = verdicts(&desired(), &reports);
        let groups = found.iter().find(|verdict| verdict.concern == "Groups").unwrap();
        assert_eq!((groups.reason.as_str(), groups.blocking), ("Conflict", true));
        assert_eq!(groups.message, "group /b is not ours; group /a has members");
        assert!(outcome(&found).is_err());

        let found = verdicts(
            &desired(),
            &[report(Section::Roles, Vec::new(), Vec::new()), report(Section::Groups, vec![warning], Vec::new())],
        );
        let groups = found.iter().find(|verdict| verdict.concern == "Groups").unwrap();
        assert_eq!((groups.reason.as_str(), groups.blocking), ("StillInUse", false));
        assert!(matches!(outcome(&found), Ok(Some(WARNED))));
    }

    #[test]
    fn what_was_not_tried_waits() {
        let error = ApiError::NotFound { call: "GET /admin/realms/ml/groups".into() };
        let reports = [report(Section::Groups, Vec::new(), vec![ObjectFailure::Observe(error)])];
        let found = verdicts(&desired(), &reports);
        let states: Vec<_> = found.iter().map(|verdict| (verdict.concern, verdict.state)).collect();
        assert_eq!(states, [("Roles", State::Unknown), ("Groups", State::False)]);
        assert!(outcome(&found).is_err());
    }

    #[test]
    fn a_refused_setting_does_not_hold_up_the_lists() {
        let synced = |reason: &str| Err(Verdict::bad("Synced", reason, "no"));
        assert!(stands(&synced("Refused")));
        assert!(!stands(&synced("Conflict")) && !stands(&synced("KeycloakUnreachable")));
    }
}
