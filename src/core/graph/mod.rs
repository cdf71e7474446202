//! The access graph: endpoints, workloads and the grants between them, parsed
//! from whatever they were written in. Everything after this trusts its types.

mod app;
mod edges;
mod external;
mod problem;
#[cfg(test)]
pub(crate) mod test_objects;

use std::collections::{BTreeMap, BTreeSet};

pub use app::{App, AppSignIn, Kind};
pub use edges::{Edge, EdgeState, PeopleEdge, edges, in_force, next_expiry, people_in_force};
pub use external::{External, ExternalAudience, ExternalUrl, ExternalUrlError, is_below};
pub use problem::{Problem, ProblemReason};

use super::{
    claims::{ClaimValue, Requirement},
    credential::{Method, Rules},
    name::Ref,
    permission::Permission,
    person::Person,
    policy::document::{Audit, Cors, Limits, Protocol, Rule},
};

/// A server that is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// What it was written as.
    pub kind: Kind,
    /// Namespace and name of the object.
    pub name: Ref,
    /// Kubernetes uid.
    pub uid: String,
    /// The Realm object, by name.
    pub realm: String,
    /// Its route table.
    pub protocol: Protocol,
    /// At least one.
    pub ports: Vec<Port>,
    /// The closed list of models.
    pub models: Option<Vec<String>>,
    /// Custom routes.
    pub rules: Vec<Rule>,
    /// What every token has to carry.
    pub require: Vec<Requirement>,
    /// Permissions that its routes can ask for: those of the protocol and of the rules.
    pub permissions: BTreeSet<Permission>,
    /// Name of its Service.
    pub service: String,
    /// Its URL as clients outside the cluster know it.
    pub external_url: Option<String>,
    /// Whose pages may call.
    pub cors: Option<Cors>,
    /// How much each client may ask for.
    pub limits: Option<Limits>,
    /// Which decisions are written down.
    pub audit: Option<Audit>,
    /// The ServiceAccount with which its guards ask the realm of each token; `None`: they do not ask.
    pub introspects_as: Option<String>,
    /// The WorkloadIdentity with which it calls on behalf of its callers.
    pub acts_as: Option<Ref>,
    /// Whether a NetworkPolicy closes the way around the guard.
    pub network_policy: bool,
    /// Whether a client that is not ours may be taken over.
    pub adopt: bool,
}

/// A port of an endpoint's pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Name of the port.
    pub name: String,
    /// TCP port of the application.
    pub app: u16,
    /// TCP port of the guard.
    pub guard: u16,
}

impl Endpoint {
    /// Its client in Keycloak, and its audience.
    pub fn client_id(&self) -> String {
        match self.kind {
            Kind::ModelEndpoint => self.name.endpoint_client_id(),
            Kind::WebApp => self.name.app_client_id(),
        }
    }

    /// Base URL of the guarded Service at this port, within the cluster.
    pub fn url(&self, port: &Port) -> String {
        format!("http://{}.{}.svc:{}", self.service, self.name.namespace, port.app)
    }

    /// The URL by which clients know it: the outside one, else that of its first port within the cluster.
    pub fn resource(&self) -> Option<String> {
        self.external_url.clone().or_else(|| self.ports.first().map(|port| self.url(port)))
    }

    /// The port of this name; without a name, the first.
    pub fn port(&self, name: Option<&str>) -> Option<&Port> {
        match name {
            None => self.ports.first(),
            Some(name) => self.ports.iter().find(|port| port.name == name),
        }
    }
}

/// A workload that calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Namespace and name of the WorkloadIdentity.
    pub name: Ref,
    /// Kubernetes uid.
    pub uid: String,
    /// The Realm object, by name.
    pub realm: String,
    /// Name of the ServiceAccount, in the same namespace.
    pub service_account: String,
    /// How it logs in.
    pub login: Login,
    /// Whether credentials of its own were kept for it at any time.
    pub has_kept: bool,
    /// Its tokens issued before this time are refused, in seconds since the epoch.
    pub revoked_before: Option<i64>,
    /// What it calls.
    pub targets: Vec<Target>,
    /// What its tokens say of it besides, by name.
    pub claims: Vec<(String, ClaimValue)>,
    /// Roles of clients that are not ours, by client id.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Whether an endpoint calls on behalf of its callers with it.
    pub acts_on_behalf: bool,
    /// Refused everywhere.
    pub suspended: bool,
    /// When it ends, in seconds since the epoch.
    pub expires_at: Option<i64>,
    /// Whether a client that is not ours may be taken over.
    pub adopt: bool,
}

/// How a workload logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// With the token of its ServiceAccount.
    KubernetesToken,
    /// With a credential that is kept.
    Kept(Rules),
}

impl Login {
    /// With a client secret, and so with two clients in turn.
    pub fn is_by_secret(&self) -> bool {
        matches!(self, Self::Kept(Rules { method: Method::ClientSecret, .. }))
    }
}

impl Workload {
    /// The clients that its tokens may name as `azp`.
    pub fn client_ids(&self) -> Vec<String> {
        let second = self.login.is_by_secret().then(|| self.name.second_workload_client_id());
        std::iter::once(self.name.workload_client_id()).chain(second).collect()
    }
}

/// What a workload calls, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Where calls go.
    pub to: Destination,
    /// Loopback TCP port in the pod.
    pub listen: u16,
    /// Variable that holds the base URL.
    pub env: String,
    /// The application may have the token itself.
    pub offers_token: bool,
}

/// What a target leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A guarded endpoint, whose owner grants.
    Endpoint {
        /// The ModelEndpoint.
        name: Ref,
        /// Name of the endpoint's port; `None`: its first.
        port: Option<String>,
    },
    /// An API outside the cluster, as far as the Realm lists it.
    External(External),
}

impl Destination {
    /// The ModelEndpoint, where it is one.
    pub fn endpoint(&self) -> Option<&Ref> {
        match self {
            Self::Endpoint { name, .. } => Some(name),
            Self::External(_) => None,
        }
    }

    /// The API outside, where it is one.
    pub fn external(&self) -> Option<&External> {
        match self {
            Self::Endpoint { .. } => None,
            Self::External(external) => Some(external),
        }
    }
}

/// A grant, as written: its subjects and its endpoint may not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Namespace and name of the AccessGrant.
    pub name: Ref,
    /// The ModelEndpoint, in the grant's namespace.
    pub endpoint: Ref,
    /// WorkloadIdentities.
    pub subjects: Vec<Ref>,
    /// Users, groups and roles of the endpoint's realm.
    pub people: BTreeSet<Person>,
    /// What.
    pub permissions: BTreeSet<Permission>,
    /// Only these models.
    pub models: Option<Vec<String>>,
    /// Seconds since the epoch.
    pub expires_at: Option<i64>,
    /// Only for tokens that carry this.
    pub claims: Vec<Requirement>,
}
