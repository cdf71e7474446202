//! AccessGrant: gather → validate → status.
//!
//! A grant writes nothing itself: it is a fact that the endpoint's pass puts
//! into the policy and each identity's pass into Keycloak, one writer for each.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};

use super::{
    condition::{ACCEPTED, Verdict, conditions, is_ready},
    context::Context,
    error::Error,
    servers::link,
    status,
    watch::Caches,
};
use crate::{
    api::{AccessGrant, AccessGrantStatus},
    core::graph::{EdgeState, Grant, Problem, ProblemReason, edges, next_expiry},
};

/// Every subject and permission of the grant is in force.
const BOUND: &str = "Bound";

/// What is said of people whom Keycloak does not have.
const NOT_IN_REALM: &str = "is not in Keycloak's realm";

/// One pass over one grant. Says when the next must be at the latest.
pub async fn reconcile(object: Arc<AccessGrant>, ctx: Arc<Context>) -> Result<Option<Duration>, Error> {
    if object.meta().deletion_timestamp.is_some() {
        return Ok(None);
    }
    let now = Timestamp::now();
    let (verdicts, subjects, expiry) = match object.parse() {
        Err(problems) => (rejected(&problems), None, None),
        Ok(grant) => {
            let mut state = evaluate(&grant, &ctx, now.as_second());
            state.problems.extend(absent(&grant, &ctx));
            let subjects = found(&grant, &state);
            let expiry = next_expiry([&grant], now.as_second());
            let expiry = expiry.map(|at| Duration::from_secs(at.abs_diff(now.as_second())));
            (accepted(&grant, &state, &ctx), Some(subjects), expiry)
        }
    };
    write(&object, &ctx, &verdicts, subjects, now).await?;
    Ok(expiry)
}

fn evaluate(grant: &Grant, ctx: &Context, now: i64) -> EdgeState {
    edges(grant, ctx.caches.endpoint(&grant.endpoint).as_ref(), |name| ctx.caches.workload(name), now)
}

/// How many of its subjects it is in force for.
fn found(grant: &Grant, state: &EdgeState) -> String {
    let missing = state.problems.iter().filter(|problem| is_about_a_person(problem)).count();
    let people = state.people.as_ref().map_or(0, |edge| edge.people.len().saturating_sub(missing));
    format!("{}/{}", state.edges.len() + people, grant.subjects.len() + grant.people.len())
}

/// The people of the grant whom Keycloak does not have, as the endpoint's pass saw it.
fn absent(grant: &Grant, ctx: &Context) -> Vec<Problem> {
    let Some(endpoint) = ctx.caches.endpoint(&grant.endpoint).filter(|_| !grant.people.is_empty()) else {
        return Vec::new();
    };
    let Ok(realm) = link(ctx, &endpoint.realm, &endpoint.name.namespace) else { return Vec::new() };
    let absent = realm.admin.absent_people(&endpoint.name.endpoint_client_id());
    let of_grant = grant.people.intersection(&absent);
    let told = of_grant.map(|person| {
        let message =
            format!("{person} {NOT_IN_REALM} {:?}; create it there or remove the subject", realm.admin.name());
        Problem::new(ProblemReason::SubjectNotFound, message)
    });
    told.collect()
}

fn is_about_a_person(problem: &Problem) -> bool {
    problem.reason == ProblemReason::SubjectNotFound && problem.message.contains(NOT_IN_REALM)
}

fn rejected(problems: &[Problem]) -> Vec<Verdict> {
    vec![Verdict::problems(ACCEPTED, problems), Verdict::waiting(BOUND, "for the grant to be accepted")]
}

fn accepted(grant: &Grant, state: &EdgeState, ctx: &Context) -> Vec<Verdict> {
    let unsound = |problem: &&Problem| {
        !matches!(
            problem.reason,
            ProblemReason::SubjectNotFound | ProblemReason::SubjectExpired | ProblemReason::RealmMismatch
        )
    };
    let problems: Vec<_> = state.problems.iter().filter(unsound).cloned().collect();
    let missing: Vec<_> = state.problems.iter().filter(|problem| !unsound(problem)).cloned().collect();
    let accepted = if problems.is_empty() {
        Verdict::good(ACCEPTED, "Valid", "the endpoint exists and offers what is granted")
    } else {
        Verdict::problems(ACCEPTED, &problems)
    };
    let bound = match () {
        () if !missing.is_empty() => Verdict::problems(BOUND, &missing),
        () if !endpoint_ready(grant, ctx) => {
            Verdict::waiting(BOUND, format!("for ModelEndpoint {} to be ready", grant.endpoint))
        }
        () => Verdict::good(BOUND, "Bound", "in the endpoint's policy"),
    };
    vec![accepted, bound]
}

fn endpoint_ready(grant: &Grant, ctx: &Context) -> bool {
    let endpoint = Caches::namespaced(&ctx.caches.endpoints, &grant.endpoint);
    endpoint.and_then(|endpoint| endpoint.status.clone()).is_some_and(|status| is_ready(&status.conditions))
}

async fn write(
    object: &AccessGrant,
    ctx: &Context,
    verdicts: &[Verdict],
    subjects: Option<String>,
    now: Timestamp,
) -> Result<(), Error> {
    let api = Api::<AccessGrant>::namespaced(ctx.client.clone(), &object.namespace().unwrap_or_default());
    let before = object.status.as_ref().map(|status| &*status.conditions).unwrap_or_default();
    let ready = "granted";
    let new = AccessGrantStatus {
        observed_generation: object.metadata.generation,
        subjects,
        conditions: conditions(before, object.metadata.generation, verdicts, ready, now),
    };
    status::write(&api, object, object.status.as_ref(), &new).await?;
    status::announce(&ctx.events, object, before, &new.conditions).await;
    Ok(())
}
