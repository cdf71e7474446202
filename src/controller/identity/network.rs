//! The NetworkPolicy of an identity whose pods may reach nothing but what they need (`spec.egress: Restricted`).

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::{
    api::{
        core::v1::Service,
        networking::v1::{
            IPBlock, NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
        },
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use kube::{Api, Resource, ResourceExt};
use url::{Host, Url};

use super::Gathered;
use crate::{
    api::{Egress, WorkloadIdentity},
    controller::{
        context::Context,
        objects::{self, ObjectError},
        watch::Caches,
    },
    core::graph::Destination,
};

/// The port of the policy stream's pods, as the chart has it.
const STREAM_PORT: u16 = 8443;
const DNS_PORT: u16 = 53;
/// Where NodeLocal DNSCache answers.
const NODE_LOCAL_DNS: &str = "169.254.20.10/32";
/// The label by which Kubernetes names each namespace.
const NAMESPACE: &str = "kubernetes.io/metadata.name";

/// Keeps it, or removes it where it is no longer asked for.
pub async fn keep(ctx: &Context, object: &WorkloadIdentity, gathered: &Gathered) -> Result<(), ObjectError> {
    let Some(owner) = object.controller_owner_ref(&()) else { return Ok(()) };
    let policies = Api::<NetworkPolicy>::namespaced(ctx.client.clone(), &gathered.workload.name.namespace);
    let policy = match object.spec.egress {
        Egress::Open => None,
        Egress::Restricted => {
            let mut rules = vec![dns(), stream(&ctx.namespace), server(ctx, &gathered.realm.urls.reachable).await?];
            rules.extend(targets(ctx, gathered));
            for external in gathered.workload.targets.iter().filter_map(|target| target.to.external()) {
                rules.push(server(ctx, external.url.origin()).await?);
            }
            Some(policy(object, &owner, rules))
        }
    };
    if let Some(policy) = &policy {
        objects::keep(&policies, &owner, policy).await?;
    }
    let seen = object.status.as_ref().and_then(|status| status.observed_generation);
    if seen != object.metadata.generation {
        let name = policy.as_ref().and_then(|policy| policy.metadata.name.as_deref());
        objects::remove_others(&policies, &owner, name).await?;
    }
    Ok(())
}

/// A dot is in no endpoint's name, so no endpoint's policy has this one's.
fn policy(object: &WorkloadIdentity, owner: &OwnerReference, rules: Vec<NetworkPolicyEgressRule>) -> NetworkPolicy {
    let name = object.name_any();
    NetworkPolicy {
        metadata: ObjectMeta {
            name: Some(format!("keywire.egress.{name}")),
            namespace: object.namespace(),
            labels: Some(objects::labels(&name)),
            owner_references: Some(vec![owner.clone()]),
            ..ObjectMeta::default()
        },
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selector(object.spec.workload.match_labels.clone().into())),
            policy_types: Some(vec!["Egress".to_owned()]),
            egress: Some(rules),
            ingress: None,
        }),
    }
}

fn selector(labels: BTreeMap<String, String>) -> LabelSelector {
    LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
}

fn in_namespace(namespace: &str, labels: Option<BTreeMap<String, String>>) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(selector(BTreeMap::from([(NAMESPACE.to_owned(), namespace.to_owned())]))),
        pod_selector: labels.map(selector),
        ip_block: None,
    }
}

fn at(cidr: impl Into<String>) -> NetworkPolicyPeer {
    let block = IPBlock { cidr: cidr.into(), except: None };
    NetworkPolicyPeer { ip_block: Some(block), ..NetworkPolicyPeer::default() }
}

fn port(protocol: &str, port: IntOrString) -> NetworkPolicyPort {
    NetworkPolicyPort { port: Some(port), protocol: Some(protocol.to_owned()), end_port: None }
}

fn tcp(number: u16) -> NetworkPolicyPort {
    port("TCP", IntOrString::Int(number.into()))
}

fn rule(to: Vec<NetworkPolicyPeer>, ports: Vec<NetworkPolicyPort>) -> NetworkPolicyEgressRule {
    NetworkPolicyEgressRule { to: Some(to), ports: Some(ports) }
}

/// The cluster's own name servers: through others data could leave.
fn dns() -> NetworkPolicyEgressRule {
    let ports = ["UDP", "TCP"].map(|protocol| port(protocol, IntOrString::Int(DNS_PORT.into())));
    rule(vec![in_namespace("kube-system", None), at(NODE_LOCAL_DNS)], ports.into())
}

/// Where the sidecar hears of revocations.
fn stream(namespace: &str) -> NetworkPolicyEgressRule {
    let labels = [("app.kubernetes.io/name", "keywire"), ("app.kubernetes.io/component", "policy")];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    rule(vec![in_namespace(namespace, Some(labels))], vec![tcp(STREAM_PORT)])
}

/// Where the sidecar logs in, or an API outside: the pods of a Service, an address, or, as a NetworkPolicy knows no other
/// names, its port anywhere.
async fn server(ctx: &Context, reachable: &str) -> Result<NetworkPolicyEgressRule, ObjectError> {
    let url = Url::parse(reachable).ok();
    let number = url.as_ref().and_then(Url::port_or_known_default).unwrap_or(443);
    if let Some((namespace, name)) = url.as_ref().and_then(service) {
        let services = Api::<Service>::namespaced(ctx.client.clone(), &namespace);
        let found = services.get_opt(&name).await.map_err(|source| ObjectError::Api {
            kind: "Service".to_owned(),
            name: format!("{namespace}/{name}"),
            source: Box::new(source),
        })?;
        return Ok(behind(&namespace, found.as_ref(), number));
    }
    let address = match url.as_ref().and_then(Url::host) {
        Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
        Some(Host::Domain(_)) | None => None,
    };
    let to = match address {
        Some(address) => vec![at(format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }))],
        None => vec![at("0.0.0.0/0"), at("::/0")],
    };
    Ok(rule(to, vec![tcp(number)]))
}

/// Namespace and name of the Service that a URL leads to.
fn service(url: &Url) -> Option<(String, String)> {
    let host = url.host_str()?;
    let within = host.strip_suffix(".cluster.local").unwrap_or(host).strip_suffix(".svc")?;
    let (name, namespace) = within.split_once('.')?;
    Some((namespace.to_owned(), name.to_owned()))
}

/// The pods behind a Service: a NetworkPolicy is about them and their ports, never about the Service.
fn behind(namespace: &str, service: Option<&Service>, number: u16) -> NetworkPolicyEgressRule {
    let spec = service.and_then(|service| service.spec.as_ref());
    let labels = spec.and_then(|spec| spec.selector.clone());
    let of_number = |port: &&k8s_openapi::api::core::v1::ServicePort| port.port == i32::from(number);
    let found = spec.and_then(|spec| spec.ports.as_ref()?.iter().find(of_number));
    let target = found.and_then(|port| port.target_port.clone()).unwrap_or(IntOrString::Int(number.into()));
    rule(vec![in_namespace(namespace, labels)], vec![port("TCP", target)])
}

/// The guards of the endpoints that the identity names and that exist.
fn targets(ctx: &Context, gathered: &Gathered) -> Vec<NetworkPolicyEgressRule> {
    let reachable = |target: &crate::core::graph::Target| {
        let Destination::Endpoint { name, port } = &target.to else { return None };
        let endpoint = ctx.caches.endpoint(name)?;
        let labels = Caches::namespaced(&ctx.caches.endpoints, name)?.spec.workload.match_labels.clone();
        let port = endpoint.port(port.as_deref())?;
        let pods = in_namespace(&name.namespace, Some(labels.into()));
        Some(rule(vec![pods], vec![tcp(port.guard)]))
    };
    gathered.workload.targets.iter().filter_map(reachable).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(rule: &NetworkPolicyEgressRule) -> Value {
        serde_json::to_value(rule).expect("JSON")
    }

    #[test]
    fn a_service_is_told_from_other_hosts() {
        for (url, expected) in [
            ("http://keycloak.auth.svc:8080/realms/ml", Some(("auth", "keycloak"))),
            ("https://keycloak.auth.svc.cluster.local", Some(("auth", "keycloak"))),
            ("https://auth.example.com", None),
            ("https://svc", None),
            ("https://10.0.0.1", None),
        ] {
            let found = service(&Url::parse(url).expect("a URL"));
            let expected = expected.map(|(namespace, name)| (namespace.to_owned(), name.to_owned()));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn the_pods_behind_a_service_are_meant() {
        let service = json!({"spec": {"selector": {"app": "keycloak"}, "ports": [
            {"port": 80, "targetPort": "web"}, {"port": 8080, "targetPort": 8081}, {"port": 9000}]}});
        let service: Service = serde_json::from_value(service).expect("a Service");
        let namespace = json!({"matchLabels": {"kubernetes.io/metadata.name": "auth"}});
        for (number, target) in [(80, json!("web")), (8080, json!(8081)), (9000, json!(9000))] {
            let expected = json!({
                "to": [{"namespaceSelector": namespace, "podSelector": {"matchLabels": {"app": "keycloak"}}}],
                "ports": [{"port": target, "protocol": "TCP"}],
            });
            assert_eq!(written(&behind("auth", Some(&service), number)), expected);
        }
        let expected = json!({"to": [{"namespaceSelector": namespace}], "ports": [{"port": 80, "protocol": "TCP"}]});
        assert_eq!(written(&behind("auth", None, 80)), expected, "until the Service is there");
    }

    #[test]
    fn names_are_asked_of_the_clusters_servers_alone() {
        let rule = written(&dns());
        assert_eq!(rule["ports"].as_array().map(Vec::len), Some(2));
        assert!(rule["to"].as_array().is_some_and(|to| to.len() == 2 && !to.contains(&json!({}))), "{rule}");
    }
}
