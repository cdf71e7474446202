//! What a status should remember of Keycloak. A status that remembers something else makes a restart look again.

use keywire::{
    api::{AccessGrant, ModelEndpoint, WorkloadIdentity},
    core::{
        build::{Login, Site, default_alias, desired_endpoint, desired_workload},
        fingerprint::Fingerprint,
        graph::{Endpoint, in_force},
        name::Ref,
    },
    keycloak::Held,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    kubernetes::{InKubernetes, text},
    objects::{ENDPOINT, GRANT, IDENTITY},
    operator::CLUSTER,
};

/// The fingerprint of what Keycloak should hold of an endpoint or an identity; none where that cannot be told yet.
pub fn remembered(tenant: &InKubernetes, object: &Value) -> Option<String> {
    let site = Site { cluster: CLUSTER, realm: text(&object["spec"]["realm"]) };
    if object["kind"] == "ModelEndpoint" {
        return fingerprint(&desired_endpoint(site, &endpoint(tenant)?, None, &[]));
    }
    let workload = read::<WorkloadIdentity>(tenant, "WorkloadIdentity", IDENTITY)?.parse().ok()?;
    let grants: Vec<_> =
        read::<AccessGrant>(tenant, "AccessGrant", GRANT).and_then(|grant| grant.parse().ok()).into_iter().collect();
    let find = |_: &Ref| endpoint(tenant);
    let edges = in_force(&grants, find, |_| Some(workload.clone()), 0);
    fingerprint(&desired_workload(site, &workload, Login::Federated(&default_alias(CLUSTER)), find, &edges))
}

fn fingerprint(desired: &impl Held) -> Option<String> {
    Fingerprint::of(&desired.fresh_plan().ok()?).map(|fingerprint| fingerprint.to_string())
}

fn endpoint(tenant: &InKubernetes) -> Option<Endpoint> {
    read::<ModelEndpoint>(tenant, "ModelEndpoint", ENDPOINT)?.parse().ok()
}

fn read<K: DeserializeOwned>(tenant: &InKubernetes, kind: &str, name: &str) -> Option<K> {
    serde_json::from_value(tenant.get(&format!("{kind}/{name}"))?.clone()).ok()
}
