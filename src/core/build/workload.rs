//! A workload: a client with a service account, bound to a ServiceAccount.

use std::collections::{BTreeMap, BTreeSet};

use super::{Site, kind, owner};
use crate::core::{
    credential::{Kept, Key, Material, Method, Slot},
    desired::{Credential, DesiredWorkload, PermissionScope, ScopeRef, Sealed, SecondClient},
    graph::{Edge, Endpoint, Workload},
    name::{Ref, service_account_subject},
};

/// What a workload is in Keycloak.
///
/// `endpoint` finds those that Keycloak holds already: the scope of one that it
/// does not hold would be dropped without a word, and a role of it not be found.
pub fn desired_workload(
    site: Site<'_>,
    workload: &Workload,
    login: Login<'_>,
    endpoint: impl Fn(&Ref) -> Option<Endpoint>,
    edges: &[Edge],
) -> DesiredWorkload {
    let first = client(site, workload, login.credential(workload, Slot::First), endpoint, edges);
    let enabled = first.enabled && login.is_open(Slot::First);
    DesiredWorkload { second: second(site, workload, login, &first), enabled, ..first }
}

/// How a workload logs in, with what that takes.
#[derive(Clone, Copy, Debug)]
pub enum Login<'a> {
    /// By the identity provider of this alias, which has the cluster's keys.
    Federated(&'a str),
    /// With credentials that are kept.
    Kept(Method, &'a Kept),
}

impl Login<'_> {
    fn credential(self, workload: &Workload, slot: Slot) -> Credential {
        match self {
            Self::Federated(issuer_alias) => Credential::Federated {
                issuer_alias: issuer_alias.to_owned(),
                subject: service_account_subject(&workload.name.namespace, &workload.service_account),
            },
            Self::Kept(Method::PrivateKeyJwt, kept) => {
                Credential::PrivateKeyJwt { keys: kept.jwks().into_iter().cloned().collect() }
            }
            Self::Kept(Method::ClientSecret, kept) => {
                Credential::ClientSecret { secret: kept.of_slot(slot).and_then(sealed) }
            }
        }
    }

    fn is_open(self, slot: Slot) -> bool {
        match self {
            Self::Kept(Method::ClientSecret, kept) => kept.is_open(slot),
            Self::Federated(_) | Self::Kept(Method::PrivateKeyJwt, _) => true,
        }
    }
}

/// Named by its number: the next one has another.
fn sealed(key: &Key) -> Option<Sealed> {
    match &key.material {
        Material::ClientSecret { secret } => Some(Sealed::new(format!("number {}", key.number), secret.expose())),
        Material::PrivateKeyJwt { .. } => None,
    }
}

fn second(site: Site<'_>, workload: &Workload, login: Login<'_>, first: &DesiredWorkload) -> SecondClient {
    let (id, client_id) = second_client(site, &workload.name);
    match login {
        Login::Kept(Method::ClientSecret, _) => SecondClient::Kept(Box::new(DesiredWorkload {
            id,
            client_id,
            display_name: format!("{} (workload, second)", workload.name),
            enabled: first.enabled && login.is_open(Slot::Second),
            credential: login.credential(workload, Slot::Second),
            ..first.clone()
        })),
        _ if workload.has_kept => SecondClient::Gone { id, client_id },
        _ => SecondClient::Never,
    }
}

/// Where the second client of a workload is.
pub fn second_client(site: Site<'_>, name: &Ref) -> (uuid::Uuid, String) {
    (site.client_id(kind::SECOND_WORKLOAD, name), name.second_workload_client_id())
}

fn client(
    site: Site<'_>,
    workload: &Workload,
    credential: Credential,
    endpoint: impl Fn(&Ref) -> Option<Endpoint>,
    edges: &[Edge],
) -> DesiredWorkload {
    let client_id = workload.name.workload_client_id();
    let targets = workload.targets.iter().filter_map(|target| endpoint(target.to.endpoint()?));
    let external = workload.targets.iter().filter_map(|target| target.to.external()).flat_map(|found| &found.scopes);
    let granted = edges.iter().filter(|edge| edge.workload == workload.name && endpoint(&edge.endpoint).is_some());
    DesiredWorkload {
        id: site.client_id(kind::WORKLOAD, &workload.name),
        display_name: format!("{} (workload)", workload.name),
        owner: owner(site.cluster, kind::WORKLOAD, &workload.name, &workload.uid),
        enabled: !workload.suspended,
        credential,
        optional_scopes: targets
            .flat_map(|endpoint| scopes(site, &endpoint))
            .chain(external.map(ScopeRef::named))
            .collect(),
        claims: workload.claims.clone(),
        acts_on_behalf: workload.acts_on_behalf,
        roles: workload.roles.clone(),
        grants: roles(granted),
        adopt: workload.adopt,
        second: SecondClient::Never,
        client_id,
    }
}

fn scopes(site: Site<'_>, endpoint: &Endpoint) -> BTreeSet<ScopeRef> {
    let id = site.client_id(kind::ENDPOINT, &endpoint.name);
    let client_id = endpoint.name.endpoint_client_id();
    let permissions = endpoint.permissions.iter();
    permissions
        .map(|permission| PermissionScope::new(id, &client_id, &client_id, permission.as_str()).reference())
        .collect()
}

fn roles<'a>(edges: impl Iterator<Item = &'a Edge>) -> BTreeMap<String, BTreeSet<String>> {
    let mut roles = BTreeMap::<_, BTreeSet<_>>::new();
    for edge in edges {
        let names = edge.permissions.iter().map(|permission| permission.as_str().to_owned());
        roles.entry(edge.endpoint.endpoint_client_id()).or_default().extend(names);
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::graph::{
        in_force,
        test_objects::{endpoint, grant, workload},
    };

    const EAST: Site<'_> = Site { cluster: "east", realm: "ml" };

    fn build(workload: &Workload, endpoint_known: bool) -> DesiredWorkload {
        let find = |_: &Ref| endpoint_known.then(endpoint);
        let edges = in_force([&grant()], |_| Some(endpoint()), |_| Some(workload.clone()), 0);
        desired_workload(EAST, workload, Login::Federated("keywire-east"), find, &edges)
    }

    #[test]
    fn a_grant_becomes_roles_and_a_target_scopes() {
        let desired = build(&workload(), true);
        let names: Vec<_> = desired.optional_scopes.iter().map(|scope| scope.name.as_str()).collect();
        assert_eq!(names.len(), 4);
        assert_eq!(desired.grants["iris.vision.endpoint"], BTreeSet::from(["predict".into(), "read".into()]));
        assert_eq!(
            desired.credential,
            Credential::Federated {
                issuer_alias: "keywire-east".into(),
                subject: "system:serviceaccount:agents:labeler".into()
            }
        );
    }

    #[test]
    fn the_scopes_are_the_endpoints_own() {
        let made: BTreeSet<_> = super::super::desired_endpoint(EAST, &endpoint(), None, &[])
            .scopes
            .iter()
            .map(PermissionScope::reference)
            .collect();
        assert_eq!(build(&workload(), true).optional_scopes, made);
    }

    #[test]
    fn an_endpoint_that_keycloak_lacks_is_left_out() {
        let desired = build(&workload(), false);
        assert!(desired.optional_scopes.is_empty() && desired.grants.is_empty());
    }

    /// Somebody else made the scopes of an API outside: they are known by their names alone.
    #[test]
    fn an_api_outside_becomes_its_scopes() {
        let external = crate::core::graph::test_objects::external();
        let desired = build(&Workload { targets: vec![external], ..workload() }, true);
        assert_eq!(desired.optional_scopes, BTreeSet::from([ScopeRef::named("api:read")]));
        assert_eq!(desired.optional_scopes.first().and_then(ScopeRef::expected_id), None);
    }

    #[test]
    fn a_suspended_workload_is_disabled() {
        assert!(!build(&Workload { suspended: true, ..workload() }, true).enabled);
    }
}
