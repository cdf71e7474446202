//! From a recorded change to the object of ours that it is about.

use crate::{
    controller::{context::Context, ledger::Traced, watch::Caches},
    core::{build::kind, desired::Owner, name::Ref, person::Person},
    keycloak::{AdminEvent, ApiError, RealmAdmin},
};

use super::expected::Expected;

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// An object that has a client.
    Object(Traced),
    /// The realm itself, its roles or identity providers.
    Realm,
    /// Nothing of this cluster's.
    NotOurs,
    /// That cannot be told any more: the thing is gone.
    Anything,
}

/// Finds what a change is about, with at most one request.
pub async fn locate(event: &AdminEvent, realm: &RealmAdmin, expected: &Expected) -> Result<Located, ApiError> {
    let path: Vec<&str> = event.resource_path.split('/').collect();
    match path.as_slice() {
        ["clients", id, ..] => client(id, realm, expected).await,
        ["client-scopes", id, ..] => scope(id, realm, expected).await,
        ["users", id, "role-mappings", "clients", of] => match account(id, realm, expected).await? {
            Located::NotOurs => client(of, realm, expected).await,
            located => Ok(located),
        },
        ["users", id, "role-mappings", ..] => account(id, realm, expected).await,
        ["groups", _, "role-mappings", "clients", of] => match client(of, realm, expected).await? {
            // Other clients' roles may be what a Realm lists.
            Located::NotOurs | Located::Anything => Ok(Located::Realm),
            located => Ok(located),
        },
        ["users", ..] if event.operation_type != "DELETE" => Ok(Located::NotOurs),
        ["users", ..] | ["roles-by-id", ..] => Ok(Located::Anything),
        ["attack-detection" | "sessions" | "events" | "admin-events" | "localization", ..] => Ok(Located::NotOurs),
        _ => Ok(Located::Realm),
    }
}

async fn client(id: &str, realm: &RealmAdmin, expected: &Expected) -> Result<Located, ApiError> {
    if let Some(of) = id.parse().ok().and_then(|id| expected.by_id.get(&id)) {
        return Ok(Located::Object(of.clone()));
    }
    // Adopted ones keep the id that they had; of one that is deleted nothing tells whose it was.
    match ApiError::none_if_missing(realm.get_client(id).await)? {
        Some(client) => Ok(of_owner(client.owner(), expected.cluster())),
        None => Ok(Located::Anything),
    }
}

async fn scope(id: &str, realm: &RealmAdmin, expected: &Expected) -> Result<Located, ApiError> {
    if let Some(of) = id.parse().ok().and_then(|id| expected.by_scope.get(&id)) {
        return Ok(Located::Object(of.clone()));
    }
    match ApiError::none_if_missing(realm.get_client_scope(id).await)? {
        Some(scope) => Ok(of_owner(scope.owner(), expected.cluster())),
        None => Ok(Located::Anything),
    }
}

async fn account(id: &str, realm: &RealmAdmin, expected: &Expected) -> Result<Located, ApiError> {
    let Some(user) = ApiError::none_if_missing(realm.get_user(id).await)? else { return Ok(Located::Anything) };
    let Some(client_id) = user.client_id() else { return Ok(Located::NotOurs) };
    if let Some(name) = workload_name(client_id) {
        let of = Traced { kind: kind::WORKLOAD, name };
        if expected.has(&of) {
            return Ok(Located::Object(of));
        }
    }
    Ok(realm
        .find_client(client_id)
        .await?
        .map_or(Located::NotOurs, |client| of_owner(client.owner(), expected.cluster())))
}

/// The endpoints that a change of users, groups or realm roles may concern, by what they are granted to: those that lack
/// people who may have come, and those whose people hold a realm role that may have lost theirs.
pub fn concerned_by_people(
    event: &AdminEvent,
    is_own: bool,
    realm: &RealmAdmin,
    ctx: &Context,
    expected: &Expected,
) -> Vec<Traced> {
    let path: Vec<&str> = event.resource_path.split('/').collect();
    let endpoints = expected.by_id.values().filter(|of| of.kind != kind::WORKLOAD);
    match (path.as_slice(), event.operation_type.as_str()) {
        (["users" | "groups" | "roles", ..], "CREATE" | "UPDATE") if !path.contains(&"composites") => {
            let lacking = realm.endpoints_lacking_people();
            endpoints.filter(|of| server_client_id(of).is_some_and(|id| lacking.contains(&id))).cloned().collect()
        }
        (["roles" | "roles-by-id", ..], _) if !is_own => {
            let is_role = |person: &Person| person.as_role().is_some();
            endpoints.filter(|of| people_of(ctx, of).iter().any(is_role)).cloned().collect()
        }
        // A role of somebody else's client.
        (["clients", _, "roles", ..], _) if !is_own => {
            let is_role = |person: &Person| matches!(person, Person::ClientRole { .. });
            endpoints.filter(|of| people_of(ctx, of).iter().any(is_role)).cloned().collect()
        }
        _ => Vec::new(),
    }
}

/// Those to whom an endpoint or application is open.
fn people_of(ctx: &Context, of: &Traced) -> Vec<Person> {
    if of.kind == kind::ENDPOINT {
        return ctx.caches.grants_on(&of.name).into_iter().flat_map(|grant| grant.people).collect();
    }
    let app = Caches::namespaced(&ctx.caches.apps, &of.name).and_then(|app| app.parse().ok());
    app.into_iter().flat_map(|app| app.access).flat_map(|edge| edge.people).collect()
}

/// The client of an endpoint or application.
pub fn server_client_id(of: &Traced) -> Option<String> {
    match of.kind {
        kind::ENDPOINT => Some(of.name.endpoint_client_id()),
        kind::APP => Some(of.name.app_client_id()),
        _ => None,
    }
}

/// The identity whose client has this client id.
pub fn workload_name(client_id: &str) -> Option<Ref> {
    Ref::of_workload_client(client_id)
}

fn of_owner(owner: Option<Owner>, cluster: &str) -> Located {
    let Some(owner) = owner.filter(|owner| owner.cluster == cluster) else { return Located::NotOurs };
    let kind = kind::CLIENTS.into_iter().find(|kind| *kind == owner.kind);
    match (kind, owner.namespace) {
        (Some(kind), Some(namespace)) => Located::Object(Traced { kind, name: Ref::new(namespace, owner.name) }),
        _ => Located::Realm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marks_of_this_cluster_count() {
        let owner = |cluster: &str, kind: &str, namespace: Option<&str>| Owner {
            cluster: cluster.into(),
            kind: kind.into(),
            namespace: namespace.map(Into::into),
            name: "labeler".into(),
            uid: "u".into(),
        };
        let ours = Traced { kind: kind::WORKLOAD, name: Ref::new("agents", "labeler") };
        assert_eq!(of_owner(Some(owner("east", "WorkloadIdentity", Some("agents"))), "east"), Located::Object(ours));
        assert_eq!(of_owner(Some(owner("west", "WorkloadIdentity", Some("agents"))), "east"), Located::NotOurs);
        assert_eq!(of_owner(Some(owner("east", "Realm", None)), "east"), Located::Realm);
        assert_eq!(of_owner(None, "east"), Located::NotOurs);
    }

    #[test]
    fn a_client_id_tells_the_identity() {
        assert_eq!(workload_name("labeler.agents.workload"), Some(Ref::new("agents", "labeler")));
        for other in ["labeler.agents.endpoint", "workload", ".workload", "security-admin-console"] {
            assert_eq!(workload_name(other), None, "{other}");
        }
    }
}
