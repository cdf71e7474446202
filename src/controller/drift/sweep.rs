//! A comparison of a whole realm, in bulk: what no admin event told of.
//!
//! It only ever makes objects suspected; what is there is then read object by object before anything is written. So a
//! list that ends half-way, or that a weak account is shown empty, costs a few requests and no client.

use std::collections::HashSet;

use uuid::Uuid;

use super::expected::{Expected, settled_server, settled_workload};
use super::locate::workload_name;
use crate::{
    controller::{context::Context, ledger::Traced, watch::Caches},
    core::{
        build::kind,
        desired::{DesiredEndpoint, representation::ClientRepresentation},
        diff::{client_differs_from_endpoint, client_differs_from_workload},
        name::Ref,
    },
    keycloak::{ApiError, Held, RealmAdmin, ReconcileError},
};

/// Clients per request: longer lists cost Keycloak time that grows with their square.
const CLIENTS: usize = 100;
/// Users per request; those lists are cheap.
const HOLDERS: usize = 1_000;
/// A sweep asks for at most one request per so many objects, as far as admin events tell of the rest.
const OBJECTS_PER_REQUEST: usize = 100;

/// Requests of a sweep besides those counted here: a pass over the Realm that names little, and a login.
const OTHERS: usize = 7;

/// The most requests that are saved up: enough for the endpoint with the most permissions.
const SAVED: usize = 2 + 3 * 64;

/// One realm's sweeps.
#[derive(Debug, Default)]
pub struct Sweep {
    /// The endpoint or application whose roles were compared last: the next sweep goes on behind it.
    last: Option<(&'static str, Ref)>,
    /// Requests that earlier sweeps might have made and did not.
    saved: usize,
}

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Found {
    /// The objects that differ.
    pub suspects: Vec<Traced>,
    /// Clients that carry this cluster's mark and belong to no object.
    pub orphans: Vec<String>,
    /// Requests that it took.
    pub requests: usize,
}

impl Sweep {
    /// Compares. `is_whole`: the roles of all endpoints at once; else of a few at a time, the next ones with the next
    /// sweep, which will do while admin events tell of most changes.
    pub async fn run(
        &mut self,
        ctx: &Context,
        realm: &RealmAdmin,
        expected: &Expected,
        is_whole: bool,
    ) -> Result<Found, ReconcileError> {
        let mut found = Found::default();
        clients(ctx, realm, expected, &mut found).await?;
        // In a small realm the list of clients alone takes more than that: its roles have their turn all the same.
        let spare = (expected.objects / OBJECTS_PER_REQUEST).saturating_sub(found.requests + OTHERS).max(1);
        let allowed = found.requests + self.saved + spare;
        for of in self.servers(expected) {
            let Some(desired) = settled_server(ctx, &of) else { continue };
            if !is_whole && found.requests + cost(&desired).min(SAVED) > allowed {
                break;
            }
            roles(ctx, realm, &of, &desired, &mut found).await?;
            self.last = Some((of.kind, of.name));
        }
        // What is saved is bounded, so that a sweep is never much dearer than the others.
        self.saved = allowed.saturating_sub(found.requests).min(SAVED);
        Ok(found)
    }

    /// The endpoints and applications, beginning behind the one that came last.
    fn servers(&self, expected: &Expected) -> Vec<Traced> {
        let servers = expected.by_id.values().filter(|of| of.kind != kind::WORKLOAD);
        let mut servers: Vec<_> = servers.cloned().collect();
        servers.sort_by(|one, other| (one.kind, &one.name).cmp(&(other.kind, &other.name)));
        let is_before = |of: &Traced, (kind, name): &(&str, Ref)| (of.kind, &of.name) <= (*kind, name);
        let begin = self.last.as_ref().map_or(0, |last| servers.partition_point(|of| is_before(of, last)));
        servers.rotate_left(begin);
        servers
    }
}

async fn clients(ctx: &Context, realm: &RealmAdmin, expected: &Expected, found: &mut Found) -> Result<(), ApiError> {
    let (mut seen, mut seconds) = (HashSet::new(), HashSet::new());
    let mut first = 0;
    loop {
        let page = realm.list_clients(first, CLIENTS).await?;
        found.requests += 1;
        first += page.len();
        let is_last = page.len() < CLIENTS;
        for client in page {
            let seen = if is_second(&client) { &mut seconds } else { &mut seen };
            client_of(ctx, &client, expected, seen, found);
        }
        if is_last {
            break;
        }
    }
    let lacks_second = |of: &Traced| expected.seconds.contains(&of.name) && !seconds.contains(of);
    let missing = expected.by_id.values().filter(|of| !seen.contains(*of) || lacks_second(of));
    found.suspects.extend(missing.filter(|of| is_settled(ctx, of)).cloned());
    Ok(())
}

fn client_of(
    ctx: &Context,
    client: &ClientRepresentation,
    expected: &Expected,
    seen: &mut HashSet<Traced>,
    found: &mut Found,
) {
    let id: Option<Uuid> = client.id.as_deref().and_then(|id| id.parse().ok());
    let by_id = id.and_then(|id| expected.by_id.get(&id)).cloned();
    let Some(of) = by_id.or_else(|| marked(client, expected.cluster())) else { return };
    if !expected.has(&of) {
        if !is_coming(ctx, &of) {
            found.orphans.push(client.reference().client_id);
        }
        return;
    }
    let differs = match of.kind {
        kind::WORKLOAD => settled_workload(ctx, &of.name).is_some_and(|d| client_differs_from_workload(&d, client)),
        _ => settled_server(ctx, &of).is_some_and(|d| client_differs_from_endpoint(&d, client)),
    };
    if differs {
        found.suspects.push(of.clone());
    }
    seen.insert(of);
}

/// Whether a client is the one with which another takes turns.
fn is_second(client: &ClientRepresentation) -> bool {
    let of = Ref::of_workload_client(&client.settings.client_id);
    of.is_some_and(|name| name.second_workload_client_id() == client.settings.client_id)
}

/// Whether an object exists whose status does not say yet where it is held: its pass is at it.
fn is_coming(ctx: &Context, of: &Traced) -> bool {
    match of.kind {
        kind::ENDPOINT => {
            Caches::namespaced(&ctx.caches.endpoints, &of.name).is_some_and(|found| found.held_in().is_none())
        }
        kind::APP => Caches::namespaced(&ctx.caches.apps, &of.name).is_some_and(|found| found.held_in().is_none()),
        _ => Caches::namespaced(&ctx.caches.identities, &of.name).is_some_and(|found| found.held_in().is_none()),
    }
}

/// The object whose mark a client carries.
fn marked(client: &ClientRepresentation, cluster: &str) -> Option<Traced> {
    let owner = client.owner().filter(|owner| owner.cluster == cluster)?;
    let kind = kind::CLIENTS.into_iter().find(|kind| *kind == owner.kind)?;
    Some(Traced { kind, name: Ref::new(owner.namespace?, owner.name) })
}

fn is_settled(ctx: &Context, of: &Traced) -> bool {
    match of.kind {
        kind::WORKLOAD => settled_workload(ctx, &of.name).is_some(),
        _ => settled_server(ctx, of).is_some(),
    }
}

/// The requests that [`roles`] makes of an endpoint with few callers: the client, its roles; for each scope itself and
/// its mapping; for each permission's role its holders. Where people hold any: for each role the users and groups, and the
/// realm roles.
fn cost(desired: &DesiredEndpoint) -> usize {
    let of_people = if desired.people.is_empty() { 0 } else { 2 * desired.roles.len() + desired.people.len() };
    2 + 3 * desired.scopes.len() + of_people
}

/// The roles and scopes of one endpoint or application, and who holds the roles.
async fn roles(
    ctx: &Context,
    realm: &RealmAdmin,
    of: &Traced,
    desired: &DesiredEndpoint,
    found: &mut Found,
) -> Result<(), ReconcileError> {
    found.requests += cost(desired) - desired.scopes.len();
    let absent = realm.absent_people(&desired.client_id);
    let is_same = desired.plan(realm).await.map_or_else(conflict_differs, |plan| Ok(plan.is_empty()))?;
    // Whom the realm does not have is in memory alone, and after a start in none.
    if !is_same || absent != realm.absent_people(&desired.client_id) {
        found.suspects.push(of.clone());
    }
    for role in desired.scopes.iter().map(|scope| &scope.role) {
        let holders = holders(realm, desired, role, found).await?;
        found.suspects.extend(wrong_holders(ctx, &of.name, desired, role, &holders));
    }
    Ok(())
}

/// Something that is not ours any more is for the object's own pass to tell.
fn conflict_differs(error: ReconcileError) -> Result<bool, ReconcileError> {
    match error {
        ReconcileError::Conflict(_) => Ok(false),
        error => Err(error),
    }
}

async fn holders(
    realm: &RealmAdmin,
    endpoint: &DesiredEndpoint,
    role: &str,
    found: &mut Found,
) -> Result<HashSet<Ref>, ApiError> {
    let mut names = HashSet::new();
    let mut first = 0;
    loop {
        let page = realm.list_role_holders(&endpoint.id.to_string(), role, first, HOLDERS).await;
        found.requests += 1;
        // An adopted endpoint keeps its id; its own pass finds it by name.
        let Some(page) = ApiError::none_if_missing(page)? else { return Ok(names) };
        first += page.len();
        let is_last = page.len() < HOLDERS;
        names.extend(page.iter().filter_map(|user| workload_name(user.client_id()?)));
        if is_last {
            return Ok(names);
        }
    }
}

/// The workloads that hold the role and should not, or should and do not.
fn wrong_holders(
    ctx: &Context,
    endpoint: &Ref,
    desired: &DesiredEndpoint,
    role: &str,
    holders: &HashSet<Ref>,
) -> Vec<Traced> {
    let should = |workload: &Ref| {
        let wanted = settled_workload(ctx, workload)?;
        Some(wanted.grants.get(&desired.client_id).is_some_and(|roles| roles.contains(role)))
    };
    let granted: HashSet<Ref> = ctx.caches.grants_on(endpoint).into_iter().flat_map(|grant| grant.subjects).collect();
    let wrong = holders.iter().chain(&granted).collect::<HashSet<_>>().into_iter().filter(|workload| {
        // One that is being changed anyway, or that is not ours, is no suspect.
        should(workload).is_some_and(|should| should != holders.contains(*workload))
    });
    wrong.map(|name| Traced { kind: kind::WORKLOAD, name: name.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn representation(owner: &str) -> ClientRepresentation {
        serde_json::from_value(serde_json::json!({
            "id": "x", "clientId": "labeler.agents.workload",
            "attributes": {crate::core::desired::OWNER_ATTRIBUTE: owner},
        }))
        .expect("a client")
    }

    #[test]
    fn a_mark_of_another_cluster_is_nothing_of_ours() {
        let owner = crate::core::build::owner("east", kind::WORKLOAD, &Ref::new("agents", "labeler"), "u");
        let client = representation(&owner.to_attribute());
        let of = Traced { kind: kind::WORKLOAD, name: Ref::new("agents", "labeler") };
        assert_eq!(marked(&client, "east"), Some(of));
        assert_eq!(marked(&client, "west"), None);
        assert_eq!(marked(&representation("forged"), "east"), None);
    }
}
