//! One of each, for the tests of everything that reads the graph.

use std::collections::BTreeSet;

use super::{Destination, Endpoint, External, ExternalUrl, Grant, Kind, Login, Port, Target, Workload};
use crate::core::{name::Ref, permission::Permission, policy::document::Protocol};

pub(crate) fn permissions(names: &[&str]) -> BTreeSet<Permission> {
    names.iter().map(|name| Permission::parse(name).unwrap()).collect()
}

pub(crate) fn endpoint() -> Endpoint {
    Endpoint {
        kind: Kind::ModelEndpoint,
        name: Ref::new("vision", "iris"),
        uid: "uid-iris".into(),
        realm: "ml".into(),
        protocol: Protocol::OpenInference,
        ports: vec![Port { name: "rest".into(), app: 8080, guard: 18080 }],
        models: Some(vec!["iris".into(), "resnet".into()]),
        rules: Vec::new(),
        require: Vec::new(),
        permissions: permissions(&["read", "predict", "deploy", "admin"]),
        service: "iris".into(),
        external_url: None,
        cors: None,
        limits: None,
        audit: None,
        introspects_as: None,
        acts_as: None,
        network_policy: true,
        adopt: false,
    }
}

pub(crate) fn workload() -> Workload {
    Workload {
        name: Ref::new("agents", "labeler"),
        uid: "uid-labeler".into(),
        realm: "ml".into(),
        service_account: "labeler".into(),
        login: Login::KubernetesToken,
        has_kept: false,
        revoked_before: None,
        targets: vec![Target {
            to: Destination::Endpoint { name: Ref::new("vision", "iris"), port: None },
            listen: 15100,
            env: "IRIS_URL".into(),
            offers_token: false,
        }],
        claims: Vec::new(),
        roles: Default::default(),
        acts_on_behalf: false,
        suspended: false,
        expires_at: None,
        adopt: false,
    }
}

/// A target outside the cluster, as the Realm lists it.
pub(crate) fn external() -> Target {
    Target {
        to: Destination::External(External {
            url: ExternalUrl::parse("https://api.example/v1").unwrap(),
            audience: "api".into(),
            scopes: BTreeSet::from(["api:read".to_owned()]),
            ca: Some("PEM".into()),
        }),
        listen: 15101,
        env: "API_URL".into(),
        offers_token: false,
    }
}

pub(crate) fn grant() -> Grant {
    Grant {
        name: Ref::new("vision", "labelers"),
        endpoint: Ref::new("vision", "iris"),
        subjects: vec![Ref::new("agents", "labeler")],
        people: BTreeSet::new(),
        permissions: permissions(&["read", "predict"]),
        models: None,
        expires_at: None,
        claims: Vec::new(),
    }
}
