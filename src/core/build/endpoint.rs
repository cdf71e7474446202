//! An endpoint: a client that only receives tokens, with a role and a scope for each permission.

use super::{Site, kind, owner};
use crate::core::{
    desired::{ClientRole, Credential, DesiredEndpoint, PermissionScope},
    graph::Endpoint,
    name::{Ref, service_account_subject},
};

/// What an endpoint is in Keycloak. `issuer_alias` is that of the identity provider with the cluster's keys; without it
/// nobody can log in as the endpoint.
pub fn desired_endpoint(site: Site<'_>, endpoint: &Endpoint, issuer_alias: Option<&str>) -> DesiredEndpoint {
    let id = site.client_id(kind::ENDPOINT, &endpoint.name);
    let client_id = endpoint.name.endpoint_client_id();
    let permissions = || endpoint.permissions.iter().map(|permission| permission.as_str());
    DesiredEndpoint {
        id,
        display_name: format!("{} (model endpoint)", endpoint.name),
        owner: owner(site.cluster, kind::ENDPOINT, &endpoint.name, &endpoint.uid),
        roles: permissions()
            .map(|permission| ClientRole {
                name: permission.to_owned(),
                description: format!("May {permission} at model endpoint {}", endpoint.name),
            })
            .collect(),
        scopes: permissions()
            .map(|permission| PermissionScope::new(id, &client_id, &client_id, permission))
            .map(|scope| scope.exchanged_by(endpoint.acts_as.as_ref().map(Ref::workload_client_id)))
            .collect(),
        login: endpoint.introspects_as.as_ref().zip(issuer_alias).map(|(account, alias)| Credential::Federated {
            issuer_alias: alias.to_owned(),
            subject: service_account_subject(&endpoint.name.namespace, account),
        }),
        adopt: endpoint.adopt,
        client_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::graph::test_objects::endpoint;

    const EAST: Site<'_> = Site { cluster: "east", realm: "ml" };

    #[test]
    fn each_permission_is_a_role_and_a_scope() {
        let desired = desired_endpoint(EAST, &endpoint(), None);
        let roles: Vec<_> = desired.roles.iter().map(|role| role.name.as_str()).collect();
        let scopes: Vec<_> = desired.scopes.iter().map(|scope| scope.name.as_str()).collect();
        assert_eq!(roles, ["admin", "deploy", "predict", "read"]);
        assert_eq!(scopes[2], "iris.vision.endpoint:predict");
        assert!(desired.scopes.iter().all(|scope| scope.audience == "iris.vision.endpoint"));
    }

    #[test]
    fn clusters_and_realms_do_not_share_ids() {
        let id = |site| desired_endpoint(site, &endpoint(), None).id;
        assert_ne!(id(EAST), id(Site { cluster: "west", ..EAST }));
        assert_ne!(id(EAST), id(Site { realm: "other", ..EAST }));
    }

    #[test]
    fn guards_log_in_where_they_ask_and_nowhere_else() {
        let asking = Endpoint { introspects_as: Some("server".into()), ..endpoint() };
        let bound = |endpoint: &Endpoint, alias| {
            let attributes = desired_endpoint(EAST, endpoint, alias).settings().attributes;
            (attributes["jwt.credential.issuer"].clone(), attributes["jwt.credential.sub"].clone())
        };
        let subject = "system:serviceaccount:vision:server".to_owned();
        assert_eq!(bound(&asking, Some("keywire-east")), ("keywire-east".into(), subject));
        assert_eq!(bound(&asking, None), (String::new(), String::new()));
        assert_eq!(bound(&endpoint(), Some("keywire-east")), (String::new(), String::new()));
    }
}
