//! Realm → what Keycloak should hold of it.

use kube::ResourceExt;

use crate::{
    api::{self, Realm},
    core::{
        build::{cluster_owner, kind},
        desired::{DesiredRealm, Management, RealmRole, Sealed, WorkloadIssuer},
        graph::Problem,
    },
};

/// What the realm should be at this moment (seconds since 1970), and what of the object's settings cannot be followed.
pub fn desired(
    cluster: &str,
    object: &Realm,
    at: u64,
    mail_password: Option<Sealed>,
    workload_issuer: Option<WorkloadIssuer>,
) -> (DesiredRealm, Vec<Problem>) {
    let spec = &object.spec;
    let name = object.name_any();
    let (management, problems) = match spec.management {
        api::Management::ClientsOnly => (Management::ClientsOnly, Vec::new()),
        api::Management::Full => {
            let (full, problems) = spec.full_realm(at, mail_password);
            (Management::Full(Box::new(full)), problems)
        }
    };
    let desired = DesiredRealm {
        realm: spec.realm.clone(),
        owner: cluster_owner(cluster, kind::REALM, &name, &object.uid().unwrap_or_default()),
        management,
        roles: spec.roles.iter().map(role).collect(),
        workload_issuer,
        adopt: spec.adopt,
    };
    (desired, problems)
}

fn role(role: &api::RealmRole) -> RealmRole {
    RealmRole {
        name: role.name.clone(),
        description: role.description.clone().unwrap_or_default(),
        composites: role.composites.clone(),
    }
}
