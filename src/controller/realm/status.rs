//! What the platform team reads of a realm.

use jiff::Timestamp;
use kube::{Api, ResourceExt};

use crate::{
    api::{KeycloakServer, Management, Realm, RealmStatus},
    cluster::IssuerError,
    controller::{
        condition::{ACCEPTED, SYNCED, State, Verdict, conditions},
        context::Context,
        drift::FeedState,
        error::Error,
        status,
        sync::{CLUSTER_NAME_TAKEN, ISSUER_TAKEN},
    },
    core::{desired::WorkloadIssuer, fingerprint::Fingerprint, graph::Problem},
};

/// This cluster's ServiceAccount tokens are good in the realm.
const WORKLOAD_TRUST: &str = "WorkloadTrust";

/// Changes that others make in Keycloak are noticed by its admin events.
const DRIFT_FEED: &str = "DriftFeed";

/// The realm cannot be used as it stands.
pub async fn rejected(ctx: &Context, api: &Api<Realm>, object: &Realm, problems: &[Problem]) -> Result<(), Error> {
    let verdicts = [Verdict::problems(ACCEPTED, problems), Verdict::waiting(SYNCED, "for the realm to be accepted")];
    write(ctx, api, object, &verdicts, object.status.clone().unwrap_or_default()).await
}

/// The realm is being deleted and cannot go yet.
pub async fn waiting(ctx: &Context, api: &Api<Realm>, object: &Realm, verdict: &Verdict) -> Result<(), Error> {
    write(ctx, api, object, std::slice::from_ref(verdict), object.status.clone().unwrap_or_default()).await
}

/// How far a pass over a valid realm came.
pub struct Seen<'a> {
    /// This cluster, as the realm is to trust it.
    pub issuer: &'a Result<Option<WorkloadIssuer>, IssuerError>,
    /// The realm itself.
    pub synced: &'a Result<Verdict, Verdict>,
    /// Its settings and lists, our rights, what others changed.
    pub concerns: &'a [Verdict],
    /// What Keycloak was made to hold.
    pub fingerprint: Option<Fingerprint>,
    /// The realm's `notBefore`, in seconds since the epoch, 0 for none; `None`: it was not seen.
    pub not_before: Option<i64>,
}

/// The realm is valid; how far it came is in what was seen.
pub async fn accepted(
    ctx: &Context,
    api: &Api<Realm>,
    object: &Realm,
    server: &KeycloakServer,
    seen: Seen<'_>,
) -> Result<(), Error> {
    let Seen { issuer, synced, concerns, fingerprint, not_before } = seen;
    let (Ok(synced) | Err(synced)) = synced;
    let mut verdicts =
        vec![Verdict::good(ACCEPTED, "Valid", "the KeycloakServer exists and can be used"), synced.clone()];
    verdicts.extend(trust(issuer, synced));
    verdicts.extend_from_slice(concerns);
    let before = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    // Until this run has read them for the first time, what an earlier one saw stands: a restart has no news.
    let seen = ctx.feeds.state(&object.name_any()).map(feed);
    verdicts.extend(seen.or_else(|| Verdict::of_condition(DRIFT_FEED, before).map(Verdict::aside)));
    let status = RealmStatus {
        issuer: Some(format!("{}/realms/{}", server.spec.url, object.spec.realm)),
        fingerprint: fingerprint.as_ref().map(ToString::to_string),
        // What was not seen is as it was: a Keycloak that is away gives no token back.
        not_before: match not_before {
            Some(seen) => Some(seen).filter(|seen| *seen > 0),
            None => object.status.as_ref().and_then(|status| status.not_before),
        },
        ..object.status.clone().unwrap_or_default()
    };
    write(ctx, api, object, &verdicts, status).await
}

/// Whether others' changes are noticed at once. They are noticed at the next sweep in any case.
fn feed(state: FeedState) -> Verdict {
    let later = "changes by others are found by the next sweep instead of within seconds";
    match state {
        FeedState::On => Verdict::good(DRIFT_FEED, "Reading", "changes by others are noticed by the admin events"),
        FeedState::NotRecorded => {
            Verdict::bad(DRIFT_FEED, "NotRecorded", format!("the realm records no admin events: {later}"))
        }
        FeedState::Failed(why) => Verdict::bad(DRIFT_FEED, "Unreadable", format!("{why}; {later}")),
    }
    .aside()
}

fn trust(issuer: &Result<Option<WorkloadIssuer>, IssuerError>, synced: &Verdict) -> Option<Verdict> {
    match issuer {
        Ok(None) => None,
        Ok(Some(_)) if [ISSUER_TAKEN, CLUSTER_NAME_TAKEN].contains(&synced.reason.as_str()) => {
            Some(Verdict::bad(WORKLOAD_TRUST, synced.reason.clone(), synced.message.clone()))
        }
        Ok(Some(_)) if synced.state != State::True => Some(Verdict::waiting(WORKLOAD_TRUST, "for Keycloak to be told")),
        Ok(Some(issuer)) => {
            let message = format!("tokens of {} are trusted as identity provider {:?}", issuer.issuer, issuer.alias);
            Some(Verdict::good(WORKLOAD_TRUST, "Trusted", message))
        }
        Err(error) => Some(Verdict::bad(WORKLOAD_TRUST, "KeysUnknown", error.to_string())),
    }
}

async fn write(
    ctx: &Context,
    api: &Api<Realm>,
    object: &Realm,
    verdicts: &[Verdict],
    status: RealmStatus,
) -> Result<(), Error> {
    let before = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    let generation = object.metadata.generation;
    let ready = match (object.spec.management, object.spec.namespaces.is_some()) {
        (_, false) => "in Keycloak; no namespace may use it yet: set spec.namespaces",
        (Management::Full, true) => "in Keycloak, with the named settings",
        (Management::ClientsOnly, true) => "in Keycloak; its settings are left alone",
    };
    let new = RealmStatus {
        observed_generation: generation,
        conditions: conditions(before, generation, verdicts, ready, Timestamp::now()),
        ..status
    };
    status::write(api, object, object.status.as_ref(), &new).await?;
    status::announce(&ctx.events, object, before, &new.conditions).await;
    Ok(())
}
