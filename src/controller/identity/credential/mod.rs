//! The credential of an identity that keeps one: made, told to Keycloak, handed out, and replaced in time.
//!
//! `begin` comes before Keycloak's turn of a pass, `go_on` after it. Each step is written into the Secret before the next.

mod kept;
mod make;
mod pods;

use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::events::EventType;

pub use kept::Credentials;
use pods::Late;

use crate::{
    api::{CredentialStatus, WorkloadIdentity},
    controller::{condition::Verdict, context::Context, error::Error, objects::ObjectError, status},
    core::{
        credential::{Kept, Rules, Why},
        graph::{Login, Workload},
    },
};

/// The credential that its pods use is the newest, and there is no other.
const CREDENTIAL: &str = "Credential";
/// How soon pods are asked again, at first and at last: they hear of a new one within a moment, or have to be waited for.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(150), Duration::from_secs(10));

/// How far a credential is.
#[derive(Debug, Default)]
pub struct Progress {
    /// For the condition.
    pub verdict: Option<Verdict>,
    /// When to look again.
    pub again: Option<Duration>,
    /// Keycloak is to forget the one before, now.
    pub retired: bool,
}

/// The credentials of an identity, with the next one made where it is due; `None`: it keeps none.
///
/// # Errors
/// [`ObjectError`] where they can be neither read nor written: what Keycloak is to hold is not known then.
pub async fn begin(ctx: &Context, object: &WorkloadIdentity, workload: &Workload) -> Result<Option<Kept>, ObjectError> {
    let Login::Kept(rules) = &workload.login else {
        if workload.has_kept {
            kept::remove(ctx, object, workload).await?;
        }
        return Ok(None);
    };
    let now = Timestamp::now();
    let mut kept = kept::read(ctx, workload).await?;
    if let Some(why) = kept.due(rules, now.as_second()) {
        let material = make::material(rules.method)?;
        let number = kept.number(u64::try_from(now.as_millisecond()).unwrap_or_default());
        kept.begin(rules, why, number, now.as_second(), material);
        kept::write(ctx, object, workload, &kept).await?;
        announce(ctx, object, why, number).await;
    } else if ctx.credentials.is_lost(&workload.name) {
        kept::write(ctx, object, workload, &kept).await?;
    }
    Ok(Some(kept))
}

async fn announce(ctx: &Context, object: &WorkloadIdentity, why: Why, number: u64) {
    let (kind, because) = match why {
        Why::First => (EventType::Normal, "there was none"),
        Why::Method => (EventType::Normal, "spec.credential has changed"),
        Why::Asked => (EventType::Normal, "it was asked for"),
        Why::Scheduled => (EventType::Normal, "the one before has been used for as long as spec.rotation says"),
        Why::Revoked => {
            (EventType::Warning, "the one before is suspected: it, and every token had with it, counts no more")
        }
    };
    let reason: &str = why.into();
    tracing::info!(object = %crate::api::parse::name_of(object), reason, number, "made a credential");
    status::tell(&ctx.events, object, kind, "CredentialMade", "Rotate", format!("credential {number}: {because}"))
        .await;
}

/// Hands the next one out where Keycloak knows it, and ends the one before where no pod needs it.
///
/// # Errors
/// As [`begin`].
pub async fn go_on(
    ctx: &Context,
    object: &WorkloadIdentity,
    workload: &Workload,
    kept: &mut Kept,
    is_held: bool,
) -> Result<Progress, Error> {
    let Login::Kept(rules) = &workload.login else { return Ok(Progress::default()) };
    if !is_held {
        let verdict = Verdict::waiting(CREDENTIAL, "for Keycloak to know the credential").aside();
        return Ok(Progress { verdict: Some(verdict), ..Progress::default() });
    }
    let now = Timestamp::now().as_second();
    if kept.next.is_some() {
        kept.promote(now);
        kept::write(ctx, object, workload, kept).await?;
    }
    let Some(retiring) = kept.retiring.clone() else { return Ok(settled(kept, rules, now)) };
    let number = kept.current.as_ref().map(|key| key.number).unwrap_or_default();
    let late = pods::late(ctx.caches.callers(object), number).await;
    if late.is_empty() || kept.is_overdue(rules, now) {
        kept.retire();
        kept::write(ctx, object, workload, kept).await?;
        let done = match late.is_empty() {
            true => settled(kept, rules, now),
            false => Progress { verdict: Some(cut_off(&late)), ..settled(kept, rules, now) },
        };
        return Ok(Progress { retired: true, ..done });
    }
    let waited = Duration::from_secs(now.saturating_sub(retiring.since).max(0).unsigned_abs());
    let again = (waited / 4).clamp(ASK_AGAIN.0, ASK_AGAIN.1);
    Ok(Progress { verdict: Some(waiting(&late, retiring.since + rules.overlap)), again: Some(again), retired: false })
}

fn settled(kept: &Kept, rules: &Rules, now: i64) -> Progress {
    let next = kept.next_turn(rules);
    let until = next.and_then(|at| Timestamp::from_second(at).ok()).map(|at| format!("; the next one is due {at}"));
    let message = format!("its pods use the newest credential, and there is no other{}", until.unwrap_or_default());
    let again = next.map(|at| Duration::from_secs(at.saturating_sub(now).max(0).unsigned_abs()));
    Progress { verdict: Some(Verdict::good(CREDENTIAL, "Current", message).aside()), again, retired: false }
}

fn waiting(late: &Late, until: i64) -> Verdict {
    let until = Timestamp::from_second(until).map(|at| at.to_string()).unwrap_or_default();
    let message = format!(
        "a new credential is out, and the old one works until every pod uses the new one, {until} at the latest; {late}"
    );
    Verdict { reason: "Overlapping".to_owned(), ..Verdict::waiting(CREDENTIAL, message) }.aside()
}

fn cut_off(late: &Late) -> Verdict {
    let message = format!(
        "the old credential has ended after spec.rotation.overlap, though {late}: where they cannot be reached by the operator they may well use the new one, else restart them"
    );
    Verdict::bad(CREDENTIAL, "PodsCutOff", message).aside()
}

/// What the status tells of it.
pub fn told(kept: &Kept) -> Option<CredentialStatus> {
    let current = kept.current.as_ref()?;
    Some(CredentialStatus {
        number: i64::try_from(current.number).unwrap_or(i64::MAX),
        made_at: Timestamp::from_second(current.made_at).unwrap_or_default(),
        overlapping: kept.retiring.is_some() || kept.next.is_some(),
        revoked_before: kept.revoked_before,
    })
}
