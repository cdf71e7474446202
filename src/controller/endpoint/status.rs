//! What an endpoint's owner reads.

use jiff::Timestamp;
use kube::Api;

use super::Gathered;
use crate::{
    admission::ServedPods,
    api::{ModelEndpoint, ModelEndpointStatus},
    controller::{
        condition::{ACCEPTED, SYNCED, Verdict, conditions},
        context::Context,
        error::Error,
        injected,
        objects::ObjectError,
        servers::RealmLink,
        status,
        sync::Synced,
    },
    core::{
        graph::{PeopleEdge, Problem},
        permission::Permission,
        policy::document::GuardPolicy,
    },
};

/// The guards have the policy, the Service points at them.
pub const PUBLISHED: &str = "Published";

/// The identity with which it calls on behalf of its callers is one that it could.
const CALLER: &str = "OnBehalfOf";

/// Keycloak has all people to whom it is granted.
pub const PEOPLE: &str = "People";

/// The endpoint cannot be used as it stands.
pub async fn rejected(
    ctx: &Context,
    api: &Api<ModelEndpoint>,
    object: &ModelEndpoint,
    problems: &[Problem],
) -> Result<(), Error> {
    let before = object.status.clone().unwrap_or_default();
    let verdicts = [
        Verdict::problems(ACCEPTED, problems),
        Verdict::waiting(PUBLISHED, "for the endpoint to be accepted; until then the guard refuses every call"),
        Verdict::waiting(SYNCED, "for the endpoint to be accepted"),
    ];
    let new = ModelEndpointStatus {
        observed_generation: object.metadata.generation,
        conditions: conditions(&before.conditions, object.metadata.generation, &verdicts, "", Timestamp::now()),
        grants: Some(0),
        ..before
    };
    write(ctx, api, object, &new).await
}

/// How far an endpoint came.
pub struct Outcome {
    /// Its policy.
    pub published: Result<GuardPolicy, ObjectError>,
    /// Its Service and NetworkPolicy.
    pub kept: Result<(), ObjectError>,
    /// Keycloak.
    pub synced: Synced,
    /// Whether there is a way around its guards.
    pub isolated: Verdict,
}

/// The endpoint is valid.
pub async fn accepted(
    ctx: &Context,
    api: &Api<ModelEndpoint>,
    object: &ModelEndpoint,
    gathered: &Gathered,
    outcome: &Outcome,
) -> Result<(), Error> {
    let Outcome { published, kept, synced, isolated } = outcome;
    let before = object.status.clone().unwrap_or_default();
    let endpoint = &gathered.endpoint;
    let (namespace, served) = (&endpoint.name.namespace, ServedPods::from(object));
    let mut verdicts = vec![
        Verdict::good(ACCEPTED, "Valid", "the endpoint is valid and its realm admits it"),
        publication(published, kept),
        injected::guards(&ctx.caches.unguarded(namespace, &served), "this endpoint's guard"),
        isolated.clone(),
        synced.verdict.clone(),
    ];
    verdicts.extend(injected::ports(&served, &ctx.caches.without_ports(namespace, &served)));
    verdicts.extend(caller(gathered));
    verdicts.extend(people(&gathered.realm, &gathered.people, &endpoint.client_id(), "granted"));
    verdicts.extend(synced.drift.clone());
    let ready = format!("guarded; {} in force", count(gathered.edges.len() + gathered.people.len(), "grant"));
    let new = ModelEndpointStatus {
        observed_generation: object.metadata.generation,
        // Once there it stays: a Keycloak that is away for a while takes no caller's roles.
        audience: before.audience.or_else(|| synced.is_held().then(|| endpoint.name.endpoint_client_id())),
        url: endpoint.ports.first().map(|port| endpoint.url(port)),
        permissions: endpoint.permissions.iter().map(|name: &Permission| name.to_string()).collect(),
        grants: i32::try_from(gathered.edges.len() + gathered.people.len()).ok(),
        realm: if synced.is_held() { Some(endpoint.realm.clone()) } else { before.realm },
        fingerprint: synced.fingerprint.as_ref().map(ToString::to_string),
        policy_number: match published {
            Ok(policy) => i64::try_from(policy.number).ok(),
            Err(_) => before.policy_number,
        },
        conditions: conditions(&before.conditions, object.metadata.generation, &verdicts, &ready, Timestamp::now()),
    };
    write(ctx, api, object, &new).await
}

/// Whether it may call on behalf of its callers, where it wants to.
fn caller(gathered: &Gathered) -> Option<Verdict> {
    match (&gathered.caller, &gathered.endpoint.acts_as) {
        (Some(problem), _) => Some(Verdict::problems(CALLER, std::slice::from_ref(problem))),
        (None, Some(identity)) => {
            let message = format!("calls on behalf of its callers as WorkloadIdentity {identity}");
            Some(Verdict::good(CALLER, "Found", message))
        }
        (None, None) => None,
    }
}

/// Whether the realm has everybody to whom it is granted, or open. It is for those who wrote that to mend it, so what is
/// guarded is ready without.
pub fn people(realm: &RealmLink, edges: &[PeopleEdge], client_id: &str, given: &str) -> Option<Verdict> {
    if edges.is_empty() {
        return None;
    }
    let absent = realm.admin.absent_people(client_id);
    let verdict = if absent.is_empty() {
        Verdict::good(PEOPLE, "Found", format!("Keycloak has everybody to whom it is {given}"))
    } else {
        let names: Vec<_> = absent.iter().map(ToString::to_string).collect();
        Verdict::good(PEOPLE, "SomeNotFound", format!("Keycloak does not have {}", names.join(", ")))
    };
    Some(verdict.aside())
}

pub fn publication<T>(published: &Result<T, ObjectError>, kept: &Result<(), ObjectError>) -> Verdict {
    match published.as_ref().map(|_| ()).and(kept.as_ref().map(|_| ())) {
        Ok(()) => Verdict::good(PUBLISHED, "Published", "the guards have the policy and the Service points at them"),
        Err(error) => Verdict::bad(PUBLISHED, error.reason(), error.to_string()),
    }
}

/// `1 grant`, `2 grants`.
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

async fn write(
    ctx: &Context,
    api: &Api<ModelEndpoint>,
    object: &ModelEndpoint,
    new: &ModelEndpointStatus,
) -> Result<(), Error> {
    let before = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    status::write(api, object, object.status.as_ref(), new).await?;
    status::announce(&ctx.events, object, before, &new.conditions).await;
    Ok(())
}
