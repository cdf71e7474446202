//! Identifiers that Keycloak lets us choose, derived from names so that creating twice is the same as creating once.

use uuid::Uuid;

/// The namespace of every id that Keywire derives (RFC 9562, section 5.5). Changing it orphans every object ever made.
const NAMESPACE: Uuid = Uuid::from_u128(0x6b65_7977_6972_4e5d_9c1e_8a3f_5d27_e41b);

/// The id of the Keycloak object that is made from one Kubernetes object in one realm.
///
/// Keycloak's ids are unique in the whole server and not in a realm, so the realm is a part of it: an object that moves
/// to another realm never meets its former self. The parts are separated by a character that no name has.
#[must_use]
pub fn object_id(cluster: &str, realm: &str, kind: &str, namespace: &str, name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, [cluster, realm, kind, namespace, name].join("\0").as_bytes())
}

/// The id of the client scope of one permission of an endpoint, given the endpoint's own id ([`object_id`]).
///
/// It can be derived from the client role's name alone, so the scope of a role that is no longer wanted is found
/// without listing all scopes of the realm (which cannot be paged).
#[must_use]
pub fn permission_scope_id(endpoint: Uuid, permission: &str) -> Uuid {
    Uuid::new_v5(&endpoint, format!("scope/{permission}").as_bytes())
}

/// The id of a protocol mapper named `mapper` in the client scope `scope`.
#[must_use]
pub fn mapper_id(scope: Uuid, mapper: &str) -> Uuid {
    Uuid::new_v5(&scope, format!("mapper/{mapper}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_stable_across_releases() {
        let id = object_id("main", "ml", "ModelEndpoint", "vision", "resnet");
        assert_eq!(id.to_string(), "af9f8ba8-d627-5855-b99b-a37d29fbd621");
        assert_eq!(id.get_version_num(), 5);
        assert_eq!(id.to_string().len(), 36, "Keycloak stores at most 36 characters");
    }

    #[test]
    fn every_part_of_the_name_matters() {
        let id = object_id("main", "ml", "ModelEndpoint", "vision", "resnet");
        for other in [
            object_id("other", "ml", "ModelEndpoint", "vision", "resnet"),
            object_id("main", "ml", "WorkloadIdentity", "vision", "resnet"),
            object_id("main", "ml", "ModelEndpoint", "resnet", "vision"),
            object_id("main", "ops", "ModelEndpoint", "vision", "resnet"),
        ] {
            assert_ne!(id, other);
        }
        assert_ne!(permission_scope_id(id, "read"), permission_scope_id(id, "predict"));
    }
}
