//! The flags of `keywire-operator webhook`.

use std::{collections::BTreeMap, net::SocketAddr};

use k8s_openapi::{api::core::v1::ResourceRequirements, apimachinery::pkg::api::resource::Quantity};

use super::InjectSettings;

/// The flags of the webhook.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Where the webhook listens (TLS).
    #[arg(long, default_value = "0.0.0.0:8443")]
    pub listen: SocketAddr,
    /// Where probes and metrics are served (plain HTTP).
    #[arg(long, default_value = "0.0.0.0:8080")]
    pub admin: SocketAddr,
    /// The operator's own namespace, where the certificate's Secret lies.
    #[arg(long, env = "POD_NAMESPACE")]
    pub namespace: String,
    /// Image of the sidecar.
    #[arg(long)]
    pub proxy_image: String,
    /// When nodes pull the sidecar's image.
    #[arg(long, default_value = "IfNotPresent", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub proxy_image_pull_policy: String,
    /// URL of the policy stream. Default: the Service keywire-policy in the operator's namespace.
    #[arg(long)]
    pub policy_url: Option<String>,
    /// CPU that each sidecar requests.
    #[arg(long, default_value = "10m")]
    pub proxy_cpu_request: String,
    /// Memory that each sidecar requests.
    #[arg(long, default_value = "16Mi")]
    pub proxy_memory_request: String,
    /// CPU limit of each sidecar. Default: none, since throttling would slow every call.
    #[arg(long)]
    pub proxy_cpu_limit: Option<String>,
    /// Memory limit of each sidecar.
    #[arg(long, default_value = "64Mi")]
    pub proxy_memory_limit: String,
}

impl Args {
    /// What every sidecar has in common.
    pub fn settings(&self) -> InjectSettings {
        let quantities = |pairs: [(&str, Option<&String>); 2]| {
            let given = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Quantity(value?.clone()))));
            Some(given.collect::<BTreeMap<_, _>>())
        };
        let policy_url = self.policy_url.clone();
        InjectSettings {
            image: self.proxy_image.clone(),
            image_pull_policy: self.proxy_image_pull_policy.clone(),
            policy_url: policy_url.unwrap_or_else(|| format!("https://keywire-policy.{}.svc:8443", self.namespace)),
            resources: ResourceRequirements {
                requests: quantities([
                    ("cpu", Some(&self.proxy_cpu_request)),
                    ("memory", Some(&self.proxy_memory_request)),
                ]),
                limits: quantities([
                    ("cpu", self.proxy_cpu_limit.as_ref()),
                    ("memory", Some(&self.proxy_memory_limit)),
                ]),
                claims: None,
            },
        }
    }
}
