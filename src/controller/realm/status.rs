//! What the platform team reads of a realm.

use jiff::Timestamp;
use kube::Api;

use crate::{
    api::{KeycloakServer, Management, Realm, RealmStatus},
    cluster::IssuerError,
    controller::{
        condition::{ACCEPTED, SYNCED, Verdict, conditions},
        context::Context,
        error::Error,
        status,
    },
    core::{desired::WorkloadIssuer, graph::Problem},
};

/// This cluster's ServiceAccount tokens are good in the realm.
const WORKLOAD_TRUST: &str = "WorkloadTrust";

/// The realm cannot be used as it stands.
pub async fn rejected(ctx: &Context, api: &Api<Realm>, object: &Realm, problems: &[Problem]) -> Result<(), Error> {
    let verdicts = [Verdict::problems(ACCEPTED, problems), Verdict::waiting(SYNCED, "for the realm to be accepted")];
    write(ctx, api, object, &verdicts, object.status.clone().unwrap_or_default()).await
}

/// The realm is being deleted and cannot go yet.
pub async fn waiting(ctx: &Context, api: &Api<Realm>, object: &Realm, verdict: &Verdict) -> Result<(), Error> {
    write(ctx, api, object, std::slice::from_ref(verdict), object.status.clone().unwrap_or_default()).await
}

/// The realm is valid; how far it came is in the results.
pub async fn accepted(
    ctx: &Context,
    api: &Api<Realm>,
    object: &Realm,
    server: &KeycloakServer,
    issuer: &Result<Option<WorkloadIssuer>, IssuerError>,
    synced: &Result<Verdict, Verdict>,
    objects: &[Verdict],
) -> Result<(), Error> {
    let (Ok(synced) | Err(synced)) = synced;
    let mut verdicts =
        vec![Verdict::good(ACCEPTED, "Valid", "the KeycloakServer exists and can be used"), synced.clone()];
    verdicts.extend(trust(issuer));
    verdicts.extend_from_slice(objects);
    let status = RealmStatus {
        issuer: Some(format!("{}/realms/{}", server.spec.url, object.spec.realm)),
        ..object.status.clone().unwrap_or_default()
    };
    write(ctx, api, object, &verdicts, status).await
}

fn trust(issuer: &Result<Option<WorkloadIssuer>, IssuerError>) -> Option<Verdict> {
    match issuer {
        Ok(None) => None,
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
