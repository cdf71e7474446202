//! The Service that points at the guard, and the NetworkPolicy that closes the way around it.

use k8s_openapi::{
    api::{
        core::v1::{Service, ServicePort, ServiceSpec},
        networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPort, NetworkPolicySpec},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use kube::Api;

use super::{
    context::Context,
    objects::{self, ObjectError},
};
use crate::{
    api::{common::PodSelector, parse::ADMIN_PORT},
    core::graph::Endpoint,
};

/// Whose they are.
pub struct Parent<'a> {
    /// The object, which takes them with it when it goes.
    pub owner: OwnerReference,
    /// Its pods.
    pub selector: &'a PodSelector,
    /// Whether its spec was seen before.
    pub is_changed: bool,
}

/// Keeps both, and removes those of earlier names.
pub async fn keep(ctx: &Context, parent: &Parent<'_>, endpoint: &Endpoint) -> Result<(), ObjectError> {
    let owner = &parent.owner;
    let namespace = &endpoint.name.namespace;
    let services = Api::<Service>::namespaced(ctx.client.clone(), namespace);
    let policies = Api::<NetworkPolicy>::namespaced(ctx.client.clone(), namespace);
    let (service, policy) = (service(parent, endpoint), network_policy(parent, endpoint));
    objects::keep(&services, owner, &service).await?;
    if let Some(policy) = &policy {
        objects::keep(&policies, owner, policy).await?;
    }
    // Another name, or no policy any more: only a changed spec can have left something behind.
    if parent.is_changed {
        objects::remove_others(&services, owner, service.metadata.name.as_deref()).await?;
        objects::remove_others(&policies, owner, policy.as_ref().and_then(|policy| policy.metadata.name.as_deref()))
            .await?;
    }
    Ok(())
}

/// Removes both: nothing is guarded any more.
pub async fn remove(ctx: &Context, namespace: &str, owner: &OwnerReference) -> Result<(), ObjectError> {
    let services = Api::<Service>::namespaced(ctx.client.clone(), namespace);
    let policies = Api::<NetworkPolicy>::namespaced(ctx.client.clone(), namespace);
    objects::remove_others(&services, owner, None).await?;
    objects::remove_others(&policies, owner, None).await
}

fn metadata(name: String, endpoint: &Endpoint, owner: &OwnerReference) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(endpoint.name.namespace.clone()),
        labels: Some(objects::labels(&endpoint.name.name)),
        owner_references: Some(vec![owner.clone()]),
        ..ObjectMeta::default()
    }
}

fn service(parent: &Parent<'_>, endpoint: &Endpoint) -> Service {
    let ports = endpoint.ports.iter().map(|port| ServicePort {
        name: Some(port.name.clone()),
        port: port.app.into(),
        protocol: Some("TCP".to_owned()),
        // A number: named ports of native sidecars do not resolve everywhere.
        target_port: Some(IntOrString::Int(port.guard.into())),
        ..ServicePort::default()
    });
    Service {
        metadata: metadata(endpoint.service.clone(), endpoint, &parent.owner),
        spec: Some(ServiceSpec {
            selector: Some(parent.selector.match_labels.clone().into()),
            ports: Some(ports.collect()),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn network_policy(parent: &Parent<'_>, endpoint: &Endpoint) -> Option<NetworkPolicy> {
    let guarded = endpoint.ports.iter().map(|port| port.guard).chain([ADMIN_PORT]);
    let ports = guarded.map(|port| NetworkPolicyPort {
        port: Some(IntOrString::Int(port.into())),
        protocol: Some("TCP".to_owned()),
        ..NetworkPolicyPort::default()
    });
    endpoint.network_policy.then(|| NetworkPolicy {
        metadata: metadata(format!("keywire-{}", endpoint.name.name), endpoint, &parent.owner),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(LabelSelector {
                match_labels: Some(parent.selector.match_labels.clone().into()),
                ..LabelSelector::default()
            }),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![NetworkPolicyIngressRule { ports: Some(ports.collect()), from: None }]),
            egress: None,
        }),
    })
}
