//! An endpoint: a client that only receives tokens, with a role and a scope for each permission.

use std::collections::{BTreeMap, BTreeSet};

use super::{Site, kind, owner};
use crate::core::{
    desired::{ClientRole, Credential, DesiredEndpoint, PermissionScope, PersonRoles},
    graph::{Endpoint, Kind, PeopleEdge},
    name::{Ref, grant_role, service_account_subject},
    permission::Permission,
    person::Person,
};

/// What an endpoint is in Keycloak. `issuer_alias` is that of the identity provider with the cluster's keys; without it
/// nobody can log in as the endpoint.
pub fn desired_endpoint(
    site: Site<'_>,
    endpoint: &Endpoint,
    issuer_alias: Option<&str>,
    people: &[PeopleEdge],
) -> DesiredEndpoint {
    let id = site.client_id(kind::ENDPOINT, &endpoint.name);
    let client_id = endpoint.client_id();
    let permissions = || endpoint.permissions.iter().map(|permission| permission.as_str());
    DesiredEndpoint {
        id,
        display_name: format!("{} (model endpoint)", endpoint.name),
        owner: owner(site.cluster, kind::ENDPOINT, &endpoint.name, &endpoint.uid),
        roles: roles(endpoint, people),
        scopes: permissions()
            .map(|permission| PermissionScope::new(id, &client_id, &client_id, permission))
            .map(|scope| scope.exchanged_by(endpoint.acts_as.as_ref().map(Ref::workload_client_id)))
            .map(|scope| PermissionScope { grant_roles: grants_of(people, &scope.role), ..scope })
            .collect(),
        login: endpoint.introspects_as.as_ref().zip(issuer_alias).map(|(account, alias)| Credential::Federated {
            issuer_alias: alias.to_owned(),
            subject: service_account_subject(&endpoint.name.namespace, account),
        }),
        people: held_by_people(people),
        browser: None,
        adopt: endpoint.adopt,
        client_id,
    }
}

/// A role for each permission, and one for each grant to people.
pub(super) fn roles(endpoint: &Endpoint, people: &[PeopleEdge]) -> Vec<ClientRole> {
    let what = match endpoint.kind {
        Kind::ModelEndpoint => "model endpoint",
        Kind::WebApp => "web app",
    };
    let of_permission = |permission: &Permission| ClientRole {
        name: permission.as_str().to_owned(),
        description: format!("May {} at {what} {}", permission.as_str(), endpoint.name),
        included_by: None,
    };
    endpoint.permissions.iter().map(of_permission).chain(people.iter().map(role_of_grant)).collect()
}

/// The role by which guards tell the people of a grant.
fn role_of_grant(edge: &PeopleEdge) -> ClientRole {
    ClientRole {
        name: grant_role(&edge.grant.name),
        description: format!("People of AccessGrant {}", edge.grant),
        included_by: Some(edge.people.iter().filter(|person| person.as_role().is_some()).cloned().collect()),
    }
}

/// The roles of the grants of a permission. A token for its scope tells of these and of no others.
fn grants_of(people: &[PeopleEdge], permission: &str) -> BTreeSet<String> {
    let granting = people.iter().filter(|edge| edge.permissions.contains(permission));
    granting.map(|edge| grant_role(&edge.grant.name)).collect()
}

pub(super) fn held_by_people(people: &[PeopleEdge]) -> Vec<PersonRoles> {
    let mut held = BTreeMap::<Person, BTreeSet<String>>::new();
    for edge in people {
        for person in &edge.people {
            let roles = held.entry(person.clone()).or_default();
            roles.extend(edge.permissions.iter().map(|permission| permission.as_str().to_owned()));
            roles.insert(grant_role(&edge.grant.name));
        }
    }
    held.into_iter().map(|(person, roles)| PersonRoles { person, roles }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::graph::test_objects::endpoint;

    const EAST: Site<'_> = Site { cluster: "east", realm: "ml" };

    #[test]
    fn each_permission_is_a_role_and_a_scope() {
        let desired = desired_endpoint(EAST, &endpoint(), None, &[]);
        let roles: Vec<_> = desired.roles.iter().map(|role| role.name.as_str()).collect();
        let scopes: Vec<_> = desired.scopes.iter().map(|scope| scope.name.as_str()).collect();
        assert_eq!(roles, ["admin", "deploy", "predict", "read"]);
        assert_eq!(scopes[2], "iris.vision.endpoint:predict");
        assert!(desired.scopes.iter().all(|scope| scope.audience == "iris.vision.endpoint"));
    }

    #[test]
    fn clusters_and_realms_do_not_share_ids() {
        let id = |site| desired_endpoint(site, &endpoint(), None, &[]).id;
        assert_ne!(id(EAST), id(Site { cluster: "west", ..EAST }));
        assert_ne!(id(EAST), id(Site { realm: "other", ..EAST }));
    }

    #[test]
    fn guards_log_in_where_they_ask_and_nowhere_else() {
        let asking = Endpoint { introspects_as: Some("server".into()), ..endpoint() };
        let bound = |endpoint: &Endpoint, alias| {
            let attributes = desired_endpoint(EAST, endpoint, alias, &[]).settings().attributes;
            (attributes["jwt.credential.issuer"].clone(), attributes["jwt.credential.sub"].clone())
        };
        let subject = "system:serviceaccount:vision:server".to_owned();
        assert_eq!(bound(&asking, Some("keywire-east")), ("keywire-east".into(), subject));
        assert_eq!(bound(&asking, None), (String::new(), String::new()));
        assert_eq!(bound(&endpoint(), Some("keywire-east")), (String::new(), String::new()));
    }

    #[test]
    fn people_hold_the_role_of_their_grant_beside_its_permissions() {
        use crate::core::graph::{Grant, people_in_force, test_objects::grant};
        let people = [Person::User("ann".into()), Person::RealmRole("annotator".into())];
        let grant = Grant { people: people.into(), ..grant() };
        let desired = desired_endpoint(EAST, &endpoint(), None, &people_in_force([&grant], &endpoint(), 0));
        let of_grant = desired.roles.iter().find(|role| role.name == "grant.labelers").expect("its role");
        assert_eq!(of_grant.included_by, Some(BTreeSet::from([Person::RealmRole("annotator".into())])));
        let held = BTreeSet::from(["grant.labelers", "predict", "read"].map(str::to_owned));
        assert!(desired.people.len() == 2 && desired.people.iter().all(|person| person.roles == held));
        for scope in &desired.scopes {
            let expected = matches!(scope.role.as_str(), "predict" | "read");
            assert_eq!(scope.grant_roles.contains("grant.labelers"), expected, "{}", scope.name);
        }
    }
}
