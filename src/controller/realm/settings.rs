//! The realm's settings: read what they name, build, Keycloak, verdict. What fails of them is told of in a condition of
//! its own, and keeps nothing else from working.

use std::time::Duration;

use jiff::Timestamp;

use super::drift::End;
use crate::{
    api::{Management, Realm},
    controller::{
        condition::Verdict,
        context::Context,
        secrets::{self, SecretError},
        sync::api_reason,
    },
    core::{
        desired::{DesiredRealm, Sealed},
        diff::{Change, Conflict},
        graph::Problem,
    },
    keycloak::{RealmAdmin, SettingsError, SettingsReport},
};

/// Keycloak holds the settings that the object names.
pub const SETTINGS: &str = "Settings";
/// The field that names the mail server's password.
const SMTP_PASSWORD: &str = "spec.smtp.login.password";

/// How the settings stand.
pub struct Outcome {
    /// As a condition.
    pub verdict: Verdict,
    /// What was changed.
    pub changes: Vec<Change>,
    /// What it came to.
    pub end: End,
    /// When a key is due.
    pub look_again: Option<Duration>,
}

/// What the object says of the settings, with what it names.
pub struct Given {
    /// The mail server's password; none where there is none, or none could be read.
    pub password: Option<Sealed>,
    /// Why it could not be read.
    pub missing: Option<SecretError>,
}

/// Reads the Secrets that the settings name.
pub async fn gather(ctx: &Context, object: &Realm) -> Given {
    let login = object.spec.smtp.as_ref().and_then(|smtp| smtp.login.as_ref());
    let Some(login) = login.filter(|_| object.spec.management == Management::Full) else {
        return Given { password: None, missing: None };
    };
    match secrets::read(ctx, SMTP_PASSWORD, &login.password).await {
        Ok(password) => Given { password: Some(password), missing: None },
        Err(error) => Given { password: None, missing: Some(error) },
    }
}

/// Makes Keycloak hold the settings; none where they are someone else's.
pub async fn apply(
    realm: &RealmAdmin,
    desired: &DesiredRealm,
    missing: Option<SecretError>,
    problems: &[Problem],
) -> Option<Outcome> {
    let full = desired.full()?;
    let report = realm.reconcile_settings(desired).await;
    let look_again = report.look_again.map(|due| Duration::from_secs(due.saturating_sub(full.at).max(1)));
    let (is_missing, verdict) = (missing.is_some(), verdict(missing, problems, &report));
    Some(Outcome { verdict, end: end(is_missing, &report), changes: report.done, look_again })
}

fn end(is_missing: bool, report: &SettingsReport) -> End {
    let is_broken = |error: &SettingsError| matches!(error, SettingsError::Apply { .. });
    match () {
        () if report.failed.iter().any(is_broken) => End::Broken,
        () if is_missing || !report.failed.is_empty() => End::Unseen,
        () => End::Whole,
    }
}

impl Outcome {
    /// Whether to try again.
    pub fn is_failed(&self) -> bool {
        self.end != End::Whole
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or_default()
}

fn verdict(missing: Option<SecretError>, problems: &[Problem], report: &SettingsReport) -> Verdict {
    let found = missing.iter().map(|error| (error.reason(), error.to_string()));
    let found = found.chain(problems.iter().map(|problem| (problem.reason.into(), problem.message.clone())));
    let found = found.chain(report.failed.iter().map(|error| (reason(error), error.to_string())));
    let (reasons, messages): (Vec<&'static str>, Vec<_>) = found.unzip();
    match reasons.first() {
        None => Verdict::good(SETTINGS, "Applied", "Keycloak holds the named settings"),
        Some(reason) => Verdict::bad(SETTINGS, *reason, messages.join("; ")),
    }
}

fn reason(error: &SettingsError) -> &'static str {
    match error {
        SettingsError::Conflict(Conflict::RealmHidden { .. }) => "MissingRight",
        SettingsError::Conflict(_) => "Conflict",
        SettingsError::Observe { source, .. } | SettingsError::Apply { source, .. } => api_reason(source),
        SettingsError::Unknown { .. } => "Refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{controller::condition::State, core::graph::ProblemReason};

    #[test]
    fn everything_that_is_wrong_is_said() {
        let unknown =
            SettingsError::Unknown { field: "loginTheme".into(), name: "x".into(), offered: "keycloak".into() };
        let report = SettingsReport { failed: vec![unknown], ..Default::default() };
        let missing =
            SecretError::NotFound { field: SMTP_PASSWORD.into(), secret: "corp/mail".into(), key: "p".into() };
        let problem = Problem::new(ProblemReason::InvalidField, "spec.extra.users is no setting: remove it");
        let verdict = verdict(Some(missing), &[problem], &report);
        assert_eq!((verdict.state, verdict.reason.as_str()), (State::False, "SecretNotFound"));
        for says in ["corp/mail", "spec.extra.users", "this Keycloak has no \"x\""] {
            assert!(verdict.message.contains(says), "{}", verdict.message);
        }
        assert_eq!(super::verdict(None, &[], &SettingsReport::default()).state, State::True);
    }
}
