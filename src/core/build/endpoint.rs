//! An endpoint: a client that only receives tokens, with a role and a scope for each permission.

use super::{Site, kind, owner};
use crate::core::{
    desired::{ClientRole, DesiredEndpoint, PermissionScope},
    graph::Endpoint,
};

/// What an endpoint is in Keycloak.
pub fn desired_endpoint(site: Site<'_>, endpoint: &Endpoint) -> DesiredEndpoint {
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
        scopes: permissions().map(|permission| PermissionScope::new(id, &client_id, &client_id, permission)).collect(),
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
        let desired = desired_endpoint(EAST, &endpoint());
        let roles: Vec<_> = desired.roles.iter().map(|role| role.name.as_str()).collect();
        let scopes: Vec<_> = desired.scopes.iter().map(|scope| scope.name.as_str()).collect();
        assert_eq!(roles, ["admin", "deploy", "predict", "read"]);
        assert_eq!(scopes[2], "iris.vision.endpoint:predict");
        assert!(desired.scopes.iter().all(|scope| scope.audience == "iris.vision.endpoint"));
    }

    #[test]
    fn clusters_and_realms_do_not_share_ids() {
        let here = desired_endpoint(EAST, &endpoint()).id;
        assert_ne!(here, desired_endpoint(Site { cluster: "west", ..EAST }, &endpoint()).id);
        assert_ne!(here, desired_endpoint(Site { realm: "other", ..EAST }, &endpoint()).id);
    }
}
