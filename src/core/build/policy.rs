//! From the access graph to the documents that the proxies read.

use std::collections::BTreeMap;

use crate::core::{
    graph::{self, Destination, Edge, Endpoint, Login, PeopleEdge, Workload},
    name::{Ref, grant_role, permission_scope},
    permission::Permission,
    policy::document::{
        EgressConfig, External, Grant, GuardPolicy, Holder, Introspection, Listener, Revocation, Subject, Target,
        TokenSource, TrustedIssuer, WorkloadLogin,
    },
};

/// A realm, as tokens and pods know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmUrls {
    /// `iss` of its tokens: the outside URL.
    pub issuer: String,
    /// The same realm at the URL that pods reach.
    pub reachable: String,
    /// CA certificates for `reachable`, PEM; `None`: the system's.
    pub ca: Option<String>,
    /// Tokens issued before this time are revoked; seconds since the epoch.
    pub not_before: Option<i64>,
}

impl RealmUrls {
    /// The URLs of `realm` at a server with these base URLs.
    pub fn new(url: &str, reachable: &str, realm: &str, ca: Option<String>) -> Self {
        Self {
            issuer: format!("{url}/realms/{realm}"),
            reachable: format!("{reachable}/realms/{realm}"),
            ca,
            not_before: None,
        }
    }

    /// The same, with all tokens revoked that were issued before this time, in seconds since the epoch.
    pub fn not_before(self, not_before: Option<i64>) -> Self {
        Self { not_before, ..self }
    }

    fn trusted_issuer(&self) -> TrustedIssuer {
        TrustedIssuer {
            issuer: self.issuer.clone(),
            jwks_url: format!("{}/protocol/openid-connect/certs", self.reachable),
            ca: self.ca.clone(),
            not_before: self.not_before,
        }
    }

    /// An endpoint of OpenID Connect as browsers reach it, and as pods do.
    pub(super) fn openid(&self, name: &str) -> [String; 2] {
        [&self.issuer, &self.reachable].map(|realm| format!("{realm}/protocol/openid-connect/{name}"))
    }

    fn introspection(&self) -> Introspection {
        let url = format!("{}/protocol/openid-connect/token/introspect", self.reachable);
        Introspection { url, ca: self.ca.clone() }
    }

    fn token_source(&self) -> TokenSource {
        TokenSource {
            token_url: format!("{}/protocol/openid-connect/token", self.reachable),
            assertion_audience: self.issuer.clone(),
            ca: self.ca.clone(),
        }
    }
}

/// The guard policy of an endpoint, its number still 0.
///
/// `suspended` workloads lose their grants here, so that a guard refuses them
/// while their tokens are still valid.
pub fn guard_policy(
    endpoint: &Endpoint,
    realm: &RealmUrls,
    edges: &[Edge],
    people: &[PeopleEdge],
    suspended: impl Fn(&Ref) -> bool,
) -> GuardPolicy {
    let client_id = endpoint.client_id();
    let listeners = endpoint.ports.iter();
    let grants = edges.iter().filter(|edge| edge.endpoint == endpoint.name && !suspended(&edge.workload));
    GuardPolicy {
        number: 0,
        endpoint: endpoint.name.clone(),
        audience: client_id.clone(),
        role_client: client_id,
        issuers: vec![realm.trusted_issuer()],
        protocol: endpoint.protocol,
        listeners: listeners
            .map(|port| Listener { name: port.name.clone(), listen: port.guard, upstream: port.app })
            .collect(),
        rules: endpoint.rules.clone(),
        require: endpoint.require.clone(),
        models: endpoint.models.clone(),
        resource: endpoint.resource(),
        cors: endpoint.cors.clone(),
        limits: endpoint.limits,
        audit: endpoint.audit,
        introspection: endpoint.introspects_as.as_ref().map(|_| realm.introspection()),
        on_behalf_of: endpoint.acts_as.as_ref().map(Ref::workload_client_id),
        sign_in: None,
        revoked: revoked(edges),
        grants: grants.flat_map(to_clients).chain(people.iter().map(people_grant)).collect(),
    }
}

/// The tokens of workloads whose credential was suspected.
fn revoked(edges: &[Edge]) -> Vec<Revocation> {
    let of = |edge: &Edge| edge.clients.iter().map(|client| (client.clone(), edge.revoked_before)).collect::<Vec<_>>();
    let by_client: BTreeMap<_, _> = edges.iter().filter(|edge| edge.revoked_before.is_some()).flat_map(of).collect();
    by_client.into_iter().map(|(client, before)| Revocation { of: Holder::Client(client), before }).collect()
}

fn to_clients(edge: &Edge) -> impl Iterator<Item = Grant> {
    edge.clients.iter().map(|client| grant(edge, client))
}

fn grant(edge: &Edge, client: &str) -> Grant {
    Grant {
        name: edge.grant.name.clone(),
        subject: Subject::Client(client.to_owned()),
        permissions: edge.permissions.iter().cloned().collect(),
        models: edge.models.clone(),
        expires_at: edge.expires_at,
        claims: edge.claims.clone(),
    }
}

fn people_grant(edge: &PeopleEdge) -> Grant {
    Grant {
        name: edge.grant.name.clone(),
        subject: Subject::Role(grant_role(&edge.grant.name)),
        permissions: edge.permissions.iter().cloned().collect(),
        models: edge.models.clone(),
        expires_at: edge.expires_at,
        claims: edge.claims.clone(),
    }
}

/// The egress configuration of a workload, its number still 0. Targets whose
/// endpoint (or its port) does not exist are left out.
pub fn egress_config(
    workload: &Workload,
    realm: &RealmUrls,
    endpoint: impl Fn(&Ref) -> Option<Endpoint>,
) -> EgressConfig {
    let targets = workload.targets.iter().filter_map(|wanted| match &wanted.to {
        Destination::Endpoint { name, port } => to_endpoint(wanted, endpoint(name)?, port.as_deref()),
        Destination::External(external) => Some(to_external(wanted, external)),
    });
    EgressConfig {
        number: 0,
        identity: workload.name.clone(),
        client_id: workload.name.workload_client_id(),
        login: match workload.login {
            Login::KubernetesToken => WorkloadLogin::KubernetesToken,
            Login::Kept(_) => WorkloadLogin::Credential,
        },
        token_source: realm.token_source(),
        targets: targets.collect(),
    }
}

fn to_endpoint(wanted: &graph::Target, endpoint: Endpoint, port: Option<&str>) -> Option<Target> {
    let audience = endpoint.name.endpoint_client_id();
    Some(Target {
        listen: wanted.listen,
        upstream: endpoint.url(endpoint.port(port)?),
        scopes: scopes(&audience, &endpoint.permissions),
        offers_token: wanted.offers_token,
        exchanged_by: endpoint.acts_as.as_ref().map(Ref::workload_client_id),
        audience,
        external: None,
        endpoint: Some(endpoint.name),
    })
}

/// `external` is as the Realm lists it.
fn to_external(wanted: &graph::Target, external: &graph::External) -> Target {
    Target {
        endpoint: None,
        external: Some(External { path: external.url.path().to_owned(), ca: external.ca.clone() }),
        listen: wanted.listen,
        upstream: external.url.origin().to_owned(),
        audience: external.audience.clone(),
        scopes: external.scopes.iter().cloned().collect(),
        exchanged_by: None,
        offers_token: wanted.offers_token,
    }
}

fn scopes<'a>(client_id: &str, permissions: impl IntoIterator<Item = &'a Permission>) -> Vec<String> {
    permissions.into_iter().map(|permission| permission_scope(client_id, permission.as_str())).collect()
}

/// A document whose versions are numbered.
pub trait Numbered: PartialEq + Clone {
    /// Its number.
    fn number(&self) -> u64;
    /// The same document with another number.
    fn with_number(self, number: u64) -> Self;
}

impl Numbered for GuardPolicy {
    fn number(&self) -> u64 {
        self.number
    }
    fn with_number(self, number: u64) -> Self {
        Self { number, ..self }
    }
}

impl Numbered for EgressConfig {
    fn number(&self) -> u64 {
        self.number
    }
    fn with_number(self, number: u64) -> Self {
        Self { number, ..self }
    }
}

/// The number of a document that says something new. `now` is in milliseconds since the epoch.
///
/// Counting by the clock keeps numbers rising when the ConfigMap was deleted.
pub fn next_number(previous: Option<u64>, now: u64) -> u64 {
    previous.map_or(now, |previous| now.max(previous + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::graph::{
        in_force,
        test_objects::{endpoint, grant, workload},
    };

    fn realm() -> RealmUrls {
        RealmUrls::new("https://auth.example", "http://keycloak:8080", "ml", None)
    }

    fn edges() -> Vec<Edge> {
        in_force([&grant()], |_| Some(endpoint()), |_| Some(workload()), 0)
    }

    #[test]
    fn a_policy_says_who_may_do_what() {
        let policy = guard_policy(&endpoint(), &realm(), &edges(), &[], |_| false);
        assert_eq!(policy.audience, "iris.vision.endpoint");
        assert_eq!(policy.issuers[0].issuer, "https://auth.example/realms/ml");
        assert_eq!(policy.issuers[0].jwks_url, "http://keycloak:8080/realms/ml/protocol/openid-connect/certs");
        assert_eq!(policy.grants[0].subject, Subject::Client("labeler.agents.workload".into()));
    }

    #[test]
    fn what_the_realm_took_back_is_in_it() {
        let realm = realm().not_before(Some(1_800_000_000));
        assert_eq!(guard_policy(&endpoint(), &realm, &[], &[], |_| false).issuers[0].not_before, Some(1_800_000_000));
    }

    /// A tenant writes it: it must be in nothing that anybody connects to, or that Keycloak is made to hold.
    #[test]
    fn an_external_url_is_only_told() {
        use crate::core::build::{Site, desired_endpoint};
        let outside = || Endpoint { external_url: Some("https://evil.example/".into()), ..endpoint() };
        let told = guard_policy(&outside(), &realm(), &edges(), &[], |_| false);
        let untold =
            GuardPolicy { resource: guard_policy(&endpoint(), &realm(), &[], &[], |_| false).resource, ..told };
        assert_eq!(untold, guard_policy(&endpoint(), &realm(), &edges(), &[], |_| false));
        let egress = |endpoint: Endpoint| egress_config(&workload(), &realm(), |_| Some(endpoint.clone()));
        assert_eq!(egress(outside()), egress(endpoint()));
        let site = Site { cluster: "east", realm: "ml" };
        assert_eq!(desired_endpoint(site, &outside(), None, &[]), desired_endpoint(site, &endpoint(), None, &[]));
    }

    #[test]
    fn a_resource_is_what_clients_call() {
        let resource = |endpoint: &Endpoint| guard_policy(endpoint, &realm(), &[], &[], |_| false).resource;
        assert_eq!(resource(&endpoint()).as_deref(), Some("http://iris.vision.svc:8080"));
        let outside = Endpoint { external_url: Some("https://models.example/iris".into()), ..endpoint() };
        assert_eq!(resource(&outside).as_deref(), Some("https://models.example/iris"));
    }

    #[test]
    fn suspended_and_foreign_subjects_are_not_in_it() {
        assert_eq!(guard_policy(&endpoint(), &realm(), &edges(), &[], |_| true).grants, []);
        let other = Endpoint { name: Ref::new("vision", "other"), ..endpoint() };
        assert_eq!(guard_policy(&other, &realm(), &edges(), &[], |_| false).grants, []);
    }

    #[test]
    fn people_are_told_by_the_role_of_their_grant() {
        use crate::core::{graph::people_in_force, person::Person};
        let grant = crate::core::graph::Grant { people: [Person::User("ann".into())].into(), ..grant() };
        let people = people_in_force([&grant], &endpoint(), 0);
        let policy = guard_policy(&endpoint(), &realm(), &[], &people, |_| false);
        assert_eq!(policy.grants.len(), 1);
        assert_eq!(policy.grants[0].subject, Subject::Role("grant.labelers".into()));
        assert_eq!(policy.grants[0].permissions.len(), 2);
    }

    #[test]
    fn egress_asks_for_one_endpoints_scopes() {
        let config = egress_config(&workload(), &realm(), |_| Some(endpoint()));
        assert_eq!(config.targets[0].upstream, "http://iris.vision.svc:8080");
        assert_eq!(config.targets[0].scopes.len(), 4);
        assert_eq!(config.token_source.assertion_audience, "https://auth.example/realms/ml");
        assert_eq!(egress_config(&workload(), &realm(), |_| None).targets, []);
    }

    #[test]
    fn an_api_outside_is_called_at_its_origin_below_its_path() {
        use crate::core::graph::test_objects::external;
        let config = egress_config(&Workload { targets: vec![external()], ..workload() }, &realm(), |_| None);
        let [target] = &*config.targets else { panic!("one target") };
        assert_eq!((target.upstream.as_str(), target.audience.as_str()), ("https://api.example", "api"));
        assert_eq!(target.scopes, ["api:read"]);
        assert_eq!(target.external, Some(External { path: "/v1".into(), ca: Some("PEM".into()) }));
        assert_eq!(target.endpoint, None);
    }

    #[test]
    fn numbers_only_rise() {
        assert_eq!(next_number(None, 1000), 1000);
        assert_eq!(next_number(Some(1000), 2000), 2000);
        assert_eq!(next_number(Some(1000), 5), 1001, "a clock that went back must not revive a policy");
    }
}
