//! From the access graph to what Keycloak and the proxies should hold.

mod app;
mod endpoint;
mod policy;
mod workload;

pub use app::{app_policy, desired_app, native_facts};
pub use endpoint::desired_endpoint;
pub use policy::{Numbered, RealmUrls, egress_config, guard_policy, next_number};
pub use workload::{Login, desired_workload, second_client};

use super::{
    desired::{Owner, object_id},
    graph::Kind,
    name::Ref,
};

/// The kinds as they stand in owner attributes and in derived ids.
pub mod kind {
    /// Endpoints.
    pub const ENDPOINT: &str = "ModelEndpoint";
    /// Tools that people open in a browser.
    pub const APP: &str = "WebApp";
    /// Workloads.
    pub const WORKLOAD: &str = "WorkloadIdentity";
    /// The second clients of workloads, in derived ids alone.
    pub const SECOND_WORKLOAD: &str = "WorkloadIdentity second";
    /// Realms.
    pub const REALM: &str = "Realm";
    /// Those of which each object is a client in Keycloak.
    pub const CLIENTS: [&str; 3] = [ENDPOINT, APP, WORKLOAD];
}

impl Kind {
    /// As it stands in owner attributes and in derived ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ModelEndpoint => kind::ENDPOINT,
            Self::WebApp => kind::APP,
        }
    }
}

/// The mark of a namespaced object.
pub fn owner(cluster: &str, kind: &str, name: &Ref, uid: &str) -> Owner {
    Owner {
        cluster: cluster.to_owned(),
        kind: kind.to_owned(),
        namespace: Some(name.namespace.clone()),
        name: name.name.clone(),
        uid: uid.to_owned(),
    }
}

/// The mark of a cluster-scoped object.
pub fn cluster_owner(cluster: &str, kind: &str, name: &str, uid: &str) -> Owner {
    Owner {
        cluster: cluster.to_owned(),
        kind: kind.to_owned(),
        namespace: None,
        name: name.to_owned(),
        uid: uid.to_owned(),
    }
}

/// The place in Keycloak that an object is built for.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// This cluster's name.
    pub cluster: &'a str,
    /// The realm's name in Keycloak.
    pub realm: &'a str,
}

impl Site<'_> {
    /// The id of the client of a namespaced object.
    pub fn client_id(&self, kind: &str, name: &Ref) -> uuid::Uuid {
        object_id(self.cluster, self.realm, kind, &name.namespace, &name.name)
    }
}

/// The alias of a cluster's identity provider in a realm that names none.
pub fn default_alias(cluster: &str) -> String {
    format!("keywire-{cluster}")
}
