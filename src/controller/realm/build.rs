//! Realm → what Keycloak should hold of it.

use kube::ResourceExt;

use crate::{
    api::{self, Realm},
    core::{
        build::{cluster_owner, kind},
        desired::{DesiredRealm, Management, Owner, Sealed, WorkloadIssuer},
        graph::Problem,
    },
};

/// The mark of what is made from a Realm.
pub fn owner(cluster: &str, object: &Realm) -> Owner {
    cluster_owner(cluster, kind::REALM, &object.name_any(), &object.uid().unwrap_or_default())
}

/// What the realm should be at this moment (seconds since 1970), and what of the object's settings cannot be followed.
pub fn desired(
    cluster: &str,
    object: &Realm,
    at: u64,
    mail_password: Option<Sealed>,
    workload_issuer: Option<WorkloadIssuer>,
) -> (DesiredRealm, Vec<Problem>) {
    let spec = &object.spec;
    let (management, problems) = match spec.management {
        api::Management::ClientsOnly => (Management::ClientsOnly, Vec::new()),
        api::Management::Full => {
            let (full, problems) = spec.full_realm(at, mail_password);
            (Management::Full(Box::new(full)), problems)
        }
    };
    let desired = DesiredRealm {
        realm: spec.realm.clone(),
        owner: owner(cluster, object),
        management,
        workload_issuer,
        adopt: spec.adopt,
    };
    (desired, problems)
}
