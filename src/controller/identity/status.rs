//! What a calling team reads.

use jiff::Timestamp;
use kube::Api;

use super::{Gathered, InKeycloak, Outcome, credential};
use crate::{
    api::{WorkloadIdentity, WorkloadIdentityStatus},
    controller::{
        condition::{ACCEPTED, SYNCED, Verdict, conditions},
        context::Context,
        error::Error,
        injected,
        objects::ObjectError,
        status,
        sync::Synced,
    },
    core::{graph::Problem, name::Ref},
};

/// Every target exists, and the sidecars know where it is.
const TARGETS: &str = "Targets";
/// Every claim is one that the Realm lists.
const CLAIMS: &str = "Claims";
const ROLES: &str = "Roles";
/// Every target's owner has granted something.
const GRANTED: &str = "Granted";

/// The identity cannot be used as it stands.
pub async fn rejected(
    ctx: &Context,
    api: &Api<WorkloadIdentity>,
    object: &WorkloadIdentity,
    problems: &[Problem],
) -> Result<(), Error> {
    let before = object.status.clone().unwrap_or_default();
    let verdicts = [
        Verdict::problems(ACCEPTED, problems),
        Verdict::waiting(TARGETS, "for the identity to be accepted"),
        Verdict::waiting(SYNCED, "for the identity to be accepted"),
    ];
    let new = WorkloadIdentityStatus {
        observed_generation: object.metadata.generation,
        conditions: conditions(&before.conditions, object.metadata.generation, &verdicts, "", Timestamp::now()),
        ..before
    };
    write(ctx, api, object, &new).await
}

/// The identity is valid; how far it came is in the results.
pub async fn accepted(
    ctx: &Context,
    api: &Api<WorkloadIdentity>,
    object: &WorkloadIdentity,
    gathered: &Gathered,
    outcome: Outcome<'_>,
) -> Result<(), Error> {
    let before = object.status.clone().unwrap_or_default();
    let granted = granted(gathered);
    let ready = match (gathered.workload.suspended, &granted) {
        (true, _) => "suspended: every call is refused".to_owned(),
        (false, Some(verdict)) => verdict.message.clone(),
        (false, None) => "may log in".to_owned(),
    };
    let mut verdicts = vec![
        Verdict::good(ACCEPTED, "Valid", "the identity is valid and its realm admits it"),
        targets(gathered, outcome.published),
        injected::outbound(&ctx.caches.unwired(object)),
    ];
    let (synced, credential) = match outcome.keycloak {
        Ok(InKeycloak { synced, kept, progress }) => {
            verdicts.push(synced.verdict.clone());
            verdicts.extend(progress.verdict.clone());
            let told = kept.as_ref().and_then(credential::told);
            // Until Keycloak has let go of it, there is something to be let go of.
            let before = before.credential.clone().filter(|_| kept.is_none() && !synced.is_held());
            (Some(synced), told.or(before))
        }
        Err(error) => {
            verdicts.push(Verdict::bad(SYNCED, "CredentialUnusable", error.to_string()));
            (None, before.credential.clone())
        }
    };
    verdicts.extend(granted);
    verdicts.extend(claims(object, gathered));
    verdicts.extend(roles(object, gathered));
    verdicts.extend(synced.and_then(|synced| synced.drift.clone()));
    let is_held = synced.is_some_and(Synced::is_held);
    let new = WorkloadIdentityStatus {
        observed_generation: object.metadata.generation,
        client_id: Some(gathered.workload.name.workload_client_id()),
        grants: i32::try_from(gathered.edges.len()).ok(),
        realm: if is_held { Some(gathered.workload.realm.clone()) } else { before.realm.clone() },
        credential,
        fingerprint: synced.and_then(|synced| synced.fingerprint.as_ref()).map(ToString::to_string),
        conditions: conditions(&before.conditions, object.metadata.generation, &verdicts, &ready, Timestamp::now()),
    };
    write(ctx, api, object, &new).await
}

fn targets(gathered: &Gathered, published: &Result<(), ObjectError>) -> Verdict {
    match published {
        Err(error @ ObjectError::Taken { .. }) => Verdict::bad(TARGETS, "Conflict", error.to_string()),
        Err(error) => Verdict::bad(TARGETS, "ApiServerRefused", error.to_string()),
        Ok(()) if !gathered.targets.is_empty() => Verdict::problems(TARGETS, &gathered.targets),
        Ok(()) => Verdict::good(TARGETS, "Found", "every target exists"),
    }
}

/// Whether tokens carry what the identity says of itself, where it says something.
fn claims(object: &WorkloadIdentity, gathered: &Gathered) -> Option<Verdict> {
    if object.spec.claims.is_empty() {
        return None;
    }
    Some(if gathered.claims.is_empty() {
        Verdict::good(CLAIMS, "Set", "its tokens carry its claims")
    } else {
        Verdict::problems(CLAIMS, &gathered.claims)
    })
}

/// Whether it has the roles of other clients that it names, where it names some.
fn roles(object: &WorkloadIdentity, gathered: &Gathered) -> Option<Verdict> {
    if object.spec.roles.is_empty() {
        return None;
    }
    Some(if gathered.roles.is_empty() {
        Verdict::good(ROLES, "Listed", "the realm lists its roles")
    } else {
        Verdict::problems(ROLES, &gathered.roles)
    })
}

/// Whether each target's owner consents. Not ours to bring about, so `Ready` does not wait for it.
fn granted(gathered: &Gathered) -> Option<Verdict> {
    let is_granted = |name: &&Ref| gathered.edges.iter().any(|edge| edge.endpoint == **name);
    let (granted, missing): (Vec<_>, Vec<_>) =
        gathered.workload.targets.iter().filter_map(|target| target.to.endpoint()).partition(is_granted);
    if granted.is_empty() && missing.is_empty() {
        return None;
    }
    let names = |list: &[&Ref]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Some(if missing.is_empty() {
        Verdict::good(GRANTED, "Granted", format!("may call {}", names(&granted))).aside()
    } else {
        let message =
            format!("no AccessGrant yet for {}: its calls are refused with 403; ask the owner", names(&missing));
        Verdict::bad(GRANTED, "NotGranted", message).aside()
    })
}

async fn write(
    ctx: &Context,
    api: &Api<WorkloadIdentity>,
    object: &WorkloadIdentity,
    new: &WorkloadIdentityStatus,
) -> Result<(), Error> {
    let before = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    status::write(api, object, object.status.as_ref(), new).await?;
    status::announce(&ctx.events, object, before, &new.conditions).await;
    Ok(())
}
