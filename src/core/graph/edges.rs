//! From grants as written to edges in force.

use std::collections::{BTreeMap, BTreeSet};

use super::{Endpoint, Grant, Problem, ProblemReason, Workload};
use crate::core::{claims::Requirement, name::Ref, permission::Permission, person::Person};

/// One grant to one subject: its endpoint, and what it may do there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The AccessGrant.
    pub grant: Ref,
    /// The ModelEndpoint.
    pub endpoint: Ref,
    /// The WorkloadIdentity.
    pub workload: Ref,
    /// Its clients.
    pub clients: Vec<String>,
    /// Its tokens issued before this time are refused, in seconds since the epoch.
    pub revoked_before: Option<i64>,
    /// What.
    pub permissions: BTreeSet<Permission>,
    /// Only these models.
    pub models: Option<Vec<String>>,
    /// Seconds since the epoch.
    pub expires_at: Option<i64>,
    /// Only for tokens that carry this.
    pub claims: Vec<Requirement>,
}

/// One grant to people of the endpoint's realm. Who of them is there is for Keycloak to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeopleEdge {
    /// The AccessGrant, or the entry of `spec.access`.
    pub grant: Ref,
    /// The ModelEndpoint or WebApp.
    pub endpoint: Ref,
    /// At least one.
    pub people: BTreeSet<Person>,
    /// What.
    pub permissions: BTreeSet<Permission>,
    /// Only these models.
    pub models: Option<Vec<String>>,
    /// Seconds since the epoch.
    pub expires_at: Option<i64>,
    /// Only for tokens that carry this.
    pub claims: Vec<Requirement>,
}

/// What a grant amounts to: its edges in force, and what keeps the rest from being so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeState {
    /// In force.
    pub edges: Vec<Edge>,
    /// In force for people, if it is for any.
    pub people: Option<PeopleEdge>,
    /// In the order found.
    pub problems: Vec<Problem>,
}

/// Evaluates one grant. `now` is in seconds since the epoch.
///
/// One bad subject, permission or model does not take the others down; a grant
/// whose narrowing cannot be understood gives nothing.
pub fn edges(
    grant: &Grant,
    endpoint: Option<&Endpoint>,
    workload: impl Fn(&Ref) -> Option<Workload>,
    now: i64,
) -> EdgeState {
    let Some(endpoint) = endpoint else {
        return EdgeState { problems: vec![endpoint_missing(grant)], ..EdgeState::default() };
    };
    let mut problems = Vec::new();
    let permissions = known_permissions(grant, endpoint, &mut problems);
    problems.extend(unknown_models(grant, endpoint));
    let expired = grant.expires_at.is_some_and(|at| at <= now);
    if expired {
        problems.push(Problem::new(
            ProblemReason::Expired,
            "the grant has expired; set a later spec.expiresAt or delete it",
        ));
    }
    let subjects = known_subjects(grant, endpoint, workload, now, &mut problems);
    if expired || permissions.is_empty() {
        return EdgeState { problems, ..EdgeState::default() };
    }
    let edges = subjects.into_values().map(|subject| edge(grant, &subject, &permissions)).collect();
    EdgeState { edges, people: people_edge(grant, &permissions), problems }
}

/// Every edge in force of these grants, in a stable order.
pub fn in_force<'a>(
    grants: impl IntoIterator<Item = &'a Grant>,
    endpoint: impl Fn(&Ref) -> Option<Endpoint>,
    workload: impl Fn(&Ref) -> Option<Workload>,
    now: i64,
) -> Vec<Edge> {
    let mut found = BTreeMap::new();
    for grant in grants {
        for edge in edges(grant, endpoint(&grant.endpoint).as_ref(), &workload, now).edges {
            found.insert((edge.grant.clone(), edge.workload.clone()), edge);
        }
    }
    found.into_values().collect()
}

/// What of these grants on one endpoint is in force for people, in a stable order. `now` is in seconds since the epoch.
pub fn people_in_force<'a>(
    grants: impl IntoIterator<Item = &'a Grant>,
    endpoint: &Endpoint,
    now: i64,
) -> Vec<PeopleEdge> {
    let found = grants.into_iter().filter(|grant| !grant.people.is_empty());
    let mut found: Vec<_> = found.filter_map(|grant| edges(grant, Some(endpoint), |_| None, now).people).collect();
    found.sort_by(|one, other| one.grant.cmp(&other.grant));
    found
}

fn people_edge(grant: &Grant, permissions: &BTreeSet<Permission>) -> Option<PeopleEdge> {
    (!grant.people.is_empty()).then(|| PeopleEdge {
        grant: grant.name.clone(),
        endpoint: grant.endpoint.clone(),
        people: grant.people.clone(),
        permissions: permissions.clone(),
        models: grant.models.clone(),
        expires_at: grant.expires_at,
        claims: grant.claims.clone(),
    })
}

/// When the next of these grants ends, in seconds since the epoch.
pub fn next_expiry<'a>(grants: impl IntoIterator<Item = &'a Grant>, now: i64) -> Option<i64> {
    grants.into_iter().filter_map(|grant| grant.expires_at).filter(|at| *at > now).min()
}

fn edge(grant: &Grant, workload: &Workload, permissions: &BTreeSet<Permission>) -> Edge {
    Edge {
        grant: grant.name.clone(),
        endpoint: grant.endpoint.clone(),
        workload: workload.name.clone(),
        clients: workload.client_ids(),
        revoked_before: workload.revoked_before,
        permissions: permissions.clone(),
        models: grant.models.clone(),
        expires_at: grant.expires_at.into_iter().chain(workload.expires_at).min(),
        claims: grant.claims.clone(),
    }
}

fn endpoint_missing(grant: &Grant) -> Problem {
    let Ref { namespace, name } = &grant.endpoint;
    Problem::new(
        ProblemReason::EndpointNotFound,
        format!(
            "ModelEndpoint {name:?} is not in namespace {namespace:?} (or is invalid); create it or correct spec.endpoint"
        ),
    )
}

fn known_permissions(grant: &Grant, endpoint: &Endpoint, problems: &mut Vec<Problem>) -> BTreeSet<Permission> {
    for permission in grant.permissions.difference(&endpoint.permissions) {
        let offered: Vec<_> = endpoint.permissions.iter().map(Permission::as_str).collect();
        problems.push(Problem::new(
            ProblemReason::UnknownPermission,
            format!(
                "endpoint {} has no permission {:?}; it offers {}",
                endpoint.name,
                permission.as_str(),
                offered.join(", ")
            ),
        ));
    }
    grant.permissions.intersection(&endpoint.permissions).cloned().collect()
}

fn unknown_models(grant: &Grant, endpoint: &Endpoint) -> Vec<Problem> {
    let (Some(wanted), Some(offered)) = (&grant.models, &endpoint.models) else { return Vec::new() };
    let unknown = wanted.iter().filter(|model| !offered.contains(model));
    unknown
        .map(|model| {
            Problem::new(
                ProblemReason::UnknownModel,
                format!("endpoint {} has no model {model:?}; it offers {}", endpoint.name, offered.join(", ")),
            )
        })
        .collect()
}

fn known_subjects(
    grant: &Grant,
    endpoint: &Endpoint,
    workload: impl Fn(&Ref) -> Option<Workload>,
    now: i64,
    problems: &mut Vec<Problem>,
) -> BTreeMap<Ref, Workload> {
    let mut known = BTreeMap::new();
    for subject in &grant.subjects {
        match workload(subject) {
            None => problems.push(Problem::new(
                ProblemReason::SubjectNotFound,
                format!("WorkloadIdentity {subject} does not exist (or is not accepted: see its conditions); create it or remove the subject"),
            )),
            Some(found) if found.realm != endpoint.realm => problems.push(Problem::new(
                ProblemReason::RealmMismatch,
                format!(
                    "WorkloadIdentity {subject} is of realm {:?}, endpoint {} of realm {:?}; tokens of one are nothing to the other",
                    found.realm, endpoint.name, endpoint.realm
                ),
            )),
            Some(found) if found.expires_at.is_some_and(|at| at <= now) => problems.push(Problem::new(
                ProblemReason::SubjectExpired,
                format!("WorkloadIdentity {subject} has reached the end of its spec.ttl"),
            )),
            Some(found) => {
                known.insert(subject.clone(), found);
            }
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::graph::test_objects::{endpoint, grant, workload};

    fn evaluate(grant: &Grant, now: i64) -> EdgeState {
        edges(grant, Some(&endpoint()), |name| (name.name == "labeler").then(workload), now)
    }

    fn reasons(state: &EdgeState) -> Vec<ProblemReason> {
        state.problems.iter().map(|problem| problem.reason).collect()
    }

    #[test]
    fn a_whole_grant_is_one_edge_a_subject() {
        let state = evaluate(&grant(), 0);
        assert_eq!(reasons(&state), []);
        assert_eq!(state.edges.len(), 1);
        assert_eq!(state.edges[0].workload, Ref::new("agents", "labeler"));
    }

    #[test]
    fn each_fault_is_named_and_takes_only_its_own_part() {
        let mut stranger = grant();
        stranger.subjects.push(Ref::new("agents", "nobody"));
        let state = evaluate(&stranger, 0);
        assert_eq!((state.edges.len(), reasons(&state)), (1, vec![ProblemReason::SubjectNotFound]));

        let mut more = grant();
        more.permissions.insert(Permission::parse("train").unwrap());
        let state = evaluate(&more, 0);
        assert_eq!(reasons(&state), [ProblemReason::UnknownPermission]);
        assert!(!state.edges[0].permissions.contains("train"));

        let mut only = grant();
        only.permissions = BTreeSet::from([Permission::parse("train").unwrap()]);
        assert_eq!(evaluate(&only, 0).edges, []);

        let mut model = grant();
        model.models = Some(vec!["cat".into()]);
        assert_eq!(reasons(&evaluate(&model, 0)), [ProblemReason::UnknownModel]);
    }

    #[test]
    fn a_grant_ends_at_its_second() {
        let grant = Grant { expires_at: Some(100), ..grant() };
        assert_eq!(evaluate(&grant, 99).edges.len(), 1);
        assert_eq!(evaluate(&grant, 100).edges.len(), 0);
        assert_eq!(reasons(&evaluate(&grant, 100)), [ProblemReason::Expired]);
        assert_eq!(next_expiry([&grant], 99), Some(100));
        assert_eq!(next_expiry([&grant], 100), None);
    }

    #[test]
    fn a_subject_that_ends_takes_its_grants_along() {
        let ends = |at| move |_: &Ref| Some(Workload { expires_at: Some(at), ..workload() });
        for (granted, ending, now, expected) in [
            (None, 100, 99, Some(Some(100))),
            (Some(50), 100, 1, Some(Some(50))),
            (Some(200), 100, 1, Some(Some(100))),
            (None, 100, 100, None),
        ] {
            let grant = Grant { expires_at: granted, ..grant() };
            let state = edges(&grant, Some(&endpoint()), ends(ending), now);
            assert_eq!(state.edges.first().map(|edge| edge.expires_at), expected, "{granted:?} {ending} {now}");
            let told = expected.is_none().then_some(ProblemReason::SubjectExpired);
            assert_eq!(reasons(&state), told.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn realms_do_not_mix() {
        let other = |_: &Ref| Some(Workload { realm: "other".into(), ..workload() });
        let state = edges(&grant(), Some(&endpoint()), other, 0);
        assert_eq!((state.edges.len(), reasons(&state)), (0, vec![ProblemReason::RealmMismatch]));
    }

    #[test]
    fn an_absent_endpoint_gives_nothing() {
        let state = edges(&grant(), None, |_| Some(workload()), 0);
        assert_eq!((state.edges.len(), reasons(&state)), (0, vec![ProblemReason::EndpointNotFound]));
    }
}
