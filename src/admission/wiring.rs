//! A selection with its ports worked out and checked against each other. Pure.

use k8s_openapi::api::core::v1::{Container, PodSpec};
use kube::ResourceExt;

use super::{
    Refusal,
    select::{Selection, Served, reference},
};
use crate::{
    api::{Credential, Isolation, ModelEndpoint, WebApp, WorkloadIdentity, parse::APP_PORT},
    core::{
        client_env,
        graph::{ExternalUrl, Kind},
        name::Ref,
    },
};

/// The name of the sidecar's container.
pub const SIDECAR: &str = "keywire-proxy";
/// The sidecar's probes and metrics.
pub const ADMIN_PORT: u16 = 15090;

/// What the sidecar of one pod does.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Its inbound half.
    pub guard: Option<Guard>,
    /// Its outbound half.
    pub egress: Option<Egress>,
}

/// The inbound half.
#[derive(Clone, Debug)]
pub struct Guard {
    /// What the guarded object was written as.
    pub kind: Kind,
    /// The endpoint or application that is guarded.
    pub endpoint: Ref,
    /// Its ports.
    pub ports: Vec<GuardedPort>,
    /// The audience of its Keycloak token, where it asks the realm of tokens.
    pub issuer: Option<String>,
    /// The application listens on loopback alone.
    pub on_loopback: bool,
}

/// A guarded port.
#[derive(Clone, Debug)]
pub struct GuardedPort {
    /// Its name in the object.
    pub name: String,
    /// Where the guard listens.
    pub guard: u16,
    /// Where the application listens.
    pub app: u16,
}

/// The outbound half.
#[derive(Clone, Debug)]
pub struct Egress {
    /// The identity that calls.
    pub identity: Ref,
    /// The audience of its Keycloak token; `None`: it logs in with a credential that is kept.
    pub issuer: Option<String>,
    /// Where the application finds that credential.
    pub files: Option<String>,
    /// What it calls.
    pub targets: Vec<Loopback>,
}

/// A target, as the application sees it.
#[derive(Clone, Debug)]
pub struct Loopback {
    /// The variable that holds its URL.
    pub env: String,
    /// The URL's path.
    pub path: String,
    /// Where the egress listens on loopback.
    pub listen: u16,
}

impl Wiring {
    /// Works out the ports of a selection, and refuses those that collide.
    pub fn new(selection: &Selection) -> Result<Self, Refusal> {
        let issuer = selection.guard_issuer.as_deref();
        let guard = match &selection.served {
            Some(Served::Endpoint(endpoint)) => Some(guard(endpoint, issuer)?),
            Some(Served::App(app)) => Some(app_guard(app, issuer)?),
            None => None,
        };
        let egress = match &selection.identity {
            Some(selected) => Some(egress(&selected.object, &selected.issuer)?),
            None => None,
        };
        let wiring = Self { guard, egress };
        let mut claims = wiring.sockets();
        claims.extend(wiring.application_ports());
        claims.sort();
        match claims.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => {
                Err(Refusal::PortTaken { port: pair[0].0, first: pair[0].1.clone(), second: pair[1].1.clone() })
            }
            None => Ok(wiring),
        }
    }

    /// Whether the pod needs a sidecar at all.
    pub fn has_sidecar(&self) -> bool {
        self.guard.is_some() || self.egress.is_some()
    }

    /// What selected the pod, for messages.
    pub fn selected_by(&self) -> String {
        match (&self.guard, &self.egress) {
            (Some(guard), _) => guard.named(),
            (None, Some(egress)) => format!("WorkloadIdentity {}", egress.identity),
            (None, None) => "nothing".to_owned(),
        }
    }

    /// Refuses a pod whose containers declare a port that the sidecar needs.
    pub fn check_ports(&self, spec: &PodSpec) -> Result<(), Refusal> {
        let sockets = self.sockets();
        let init = spec.init_containers.iter().flatten().filter(|container| container.name != SIDECAR);
        for container in spec.containers.iter().chain(init) {
            let tcp = |port: &&k8s_openapi::api::core::v1::ContainerPort| {
                port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP")
            };
            for port in container.ports.iter().flatten().filter(tcp) {
                if let Some((taken, what)) =
                    sockets.iter().find(|(socket, _)| i32::from(*socket) == port.container_port)
                {
                    let first = format!("a containerPort of container {:?}", container.name);
                    return Err(Refusal::PortTaken { port: *taken, first, second: what.clone() });
                }
            }
        }
        Ok(())
    }

    /// What whoever makes the pod should hear: an endpoint's port that no container says it has, though they say which they
    /// have. No reason to refuse: what a container declares is a note, not what it does.
    pub fn warnings(&self, spec: &PodSpec) -> Vec<String> {
        let declaring = |container: &&Container| container.ports.as_ref().is_some_and(|ports| !ports.is_empty());
        let init = spec.init_containers.iter().flatten().filter(|container| container.name != SIDECAR);
        let declaring: Vec<_> = spec.containers.iter().chain(init).filter(declaring).collect();
        let has = |port: u16| {
            let mut ports = declaring.iter().flat_map(|container| container.ports.iter().flatten());
            ports.any(|declared| declared.container_port == i32::from(port))
        };
        let named = || {
            let of = |container: &&Container| {
                let ports: Vec<_> =
                    container.ports.iter().flatten().map(|port| port.container_port.to_string()).collect();
                format!("{} ({})", container.name, ports.join(", "))
            };
            declaring.iter().map(of).collect::<Vec<_>>().join(", ")
        };
        let warning = |(port, guard): (&GuardedPort, &Guard)| {
            format!(
                "keywire: no container declares port {} ({:?}) of {}; declared: {}",
                port.app,
                port.name,
                guard.named(),
                named()
            )
        };
        let ports = self.guard.iter().flat_map(|guard| guard.ports.iter().map(move |port| (port, guard)));
        ports.filter(|(port, _)| !declaring.is_empty() && !has(port.app)).map(warning).collect()
    }

    /// The sidecar's own sockets, and what each is.
    fn sockets(&self) -> Vec<(u16, String)> {
        let guards = self.guard.iter().flat_map(|guard| {
            guard
                .ports
                .iter()
                .map(|port| (port.guard, format!("the guard's port for {:?} of {}", port.name, guard.named())))
        });
        let targets = self.egress.iter().flat_map(|egress| {
            egress.targets.iter().map(|target| {
                (target.listen, format!("the port of target {} of WorkloadIdentity {}", target.env, egress.identity))
            })
        });
        let admin = (ADMIN_PORT, "the sidecar's admin port".to_owned());
        guards.chain(targets).chain([admin]).collect()
    }

    fn application_ports(&self) -> impl Iterator<Item = (u16, String)> {
        self.guard.iter().flat_map(|guard| {
            guard.ports.iter().map(|port| (port.app, format!("port {:?} of {}", port.name, guard.named())))
        })
    }
}

impl Guard {
    /// The object that is guarded, for messages.
    pub fn named(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.endpoint)
    }
}

/// The inbound half of an application's pods. `issuer`: where it logs in.
pub fn app_guard(app: &WebApp, issuer: Option<&str>) -> Result<Guard, Refusal> {
    let object = reference(app);
    let missing = |field: &str| Refusal::NoPort { field: field.to_owned(), object: format!("WebApp {object}") };
    let port = app.app_port().ok_or_else(|| missing("spec.port"))?;
    let guard = app.guard_port().ok_or_else(|| missing("spec.guardPort"))?;
    Ok(Guard {
        kind: Kind::WebApp,
        endpoint: object.clone(),
        ports: vec![GuardedPort { name: APP_PORT.to_owned(), guard, app: port }],
        issuer: issuer.map(str::to_owned),
        on_loopback: app.spec.isolation == Isolation::Loopback,
    })
}

/// The inbound half of an endpoint's pods. `issuer`: where it logs in.
pub fn guard(endpoint: &ModelEndpoint, issuer: Option<&str>) -> Result<Guard, Refusal> {
    let object = reference(endpoint);
    let port = |port: &crate::api::EndpointPort| {
        let missing = |field: &str| Refusal::NoPort {
            field: format!("spec.ports[{}].{field}", port.name),
            object: format!("ModelEndpoint {object}"),
        };
        let app = u16::try_from(port.port).ok().filter(|port| *port > 0).ok_or_else(|| missing("port"))?;
        let guard = port.guard().filter(|port| *port > 0).ok_or_else(|| missing("guardPort"))?;
        Ok(GuardedPort { name: port.name.clone(), guard, app })
    };
    let ports = endpoint.spec.ports.iter().map(port).collect::<Result<_, Refusal>>()?;
    let on_loopback = endpoint.spec.isolation == Isolation::Loopback;
    Ok(Guard {
        kind: Kind::ModelEndpoint,
        endpoint: object.clone(),
        ports,
        issuer: issuer.map(str::to_owned),
        on_loopback,
    })
}

/// The outbound half of an identity's pods, which logs in at `issuer`.
pub fn egress(identity: &WorkloadIdentity, issuer: &str) -> Result<Egress, Refusal> {
    let loopback = |(index, target): (usize, &crate::api::Target)| {
        let listen = target.listen(index).filter(|port| *port > 0).ok_or_else(|| Refusal::NoPort {
            field: format!("spec.targets[{index}].port"),
            object: format!("WorkloadIdentity {}/{}", identity.namespace().unwrap_or_default(), identity.name_any()),
        })?;
        let outside = target.external.as_ref().and_then(|external| ExternalUrl::parse(&external.url).ok());
        let outside = outside.map(|url| url.path().to_owned()).filter(|path| !path.is_empty());
        let path = target.path.clone().or(outside);
        let path = path.unwrap_or_else(|| client_env::of(&target.env).path.to_owned());
        Ok(Loopback { env: target.env.clone(), path, listen })
    };
    let targets = identity.spec.targets.iter().enumerate().map(loopback).collect::<Result<_, Refusal>>()?;
    let is_kept = identity.spec.credential != Credential::KubernetesToken;
    let files = identity.spec.credential_files.as_ref().filter(|_| is_kept).map(|files| files.mount_path.clone());
    let issuer = (!is_kept).then(|| issuer.to_owned());
    Ok(Egress { identity: reference(identity), issuer, files, targets })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::admission::{
        fixtures::{endpoint, identity},
        select::SelectedIdentity,
    };

    fn refused(change: impl FnOnce(&mut ModelEndpoint, &mut WorkloadIdentity)) -> Option<String> {
        let (mut endpoint, mut object) = (endpoint("vision", "iris", "x"), identity("vision", "caller", "x"));
        change(&mut endpoint, &mut object);
        let identity = SelectedIdentity { object: Arc::new(object), issuer: "i".into() };
        let served = Some(Served::Endpoint(Arc::new(endpoint)));
        let selection = Selection { served, guard_issuer: None, told: None, identity: Some(identity) };
        Wiring::new(&selection).err().map(|refusal| refusal.to_string())
    }

    #[test]
    fn sockets_of_one_pod_do_not_collide() {
        assert_eq!(refused(|_, _| ()), None);
        let names = |refusal: Option<String>, parts: [&str; 2]| {
            let refusal = refusal.unwrap_or_default();
            assert!(parts.iter().all(|part| refusal.contains(part)), "{refusal}");
        };
        names(refused(|e, _| e.spec.ports[0].port = 5090), ["15090", "admin port"]);
        names(refused(|e, _| e.spec.ports[0].guard_port = Some(19000)), ["\"http\"", "\"metrics\""]);
        names(refused(|_, i| i.spec.targets[0].port = Some(19000)), ["target IRIS_URL", "\"metrics\""]);
        names(refused(|_, i| i.spec.targets[0].port = Some(8080)), ["8080", "target IRIS_URL"]);
        names(refused(|e, _| e.spec.ports[0].port = 60000), ["spec.ports[http].guardPort", "vision/iris"]);
        names(refused(|_, i| i.spec.targets[1].port = Some(70000)), ["spec.targets[1].port", "vision/caller"]);
    }

    #[test]
    fn declared_ports_of_the_application_do_not_collide() {
        let guard = guard(&endpoint("vision", "iris", "x"), None).unwrap();
        let wiring = Wiring { guard: Some(guard), egress: None };
        for (port, protocol, name, free) in [
            (8080, "TCP", "app", true),
            (18080, "TCP", "app", false),
            (15090, "TCP", "app", false),
            (15090, "UDP", "app", true),
        ] {
            let container = json!({"name": name, "ports": [{"containerPort": port, "protocol": protocol}]});
            let spec = serde_json::from_value(json!({"containers": [container]})).unwrap();
            assert_eq!(wiring.check_ports(&spec).is_ok(), free, "{port} {protocol}");
        }
    }

    #[test]
    fn a_port_that_no_container_declares_is_told() {
        let guard = guard(&endpoint("vision", "iris", "x"), None).unwrap();
        let wiring = Wiring { guard: Some(guard), egress: None };
        let warnings = |containers: serde_json::Value| {
            wiring.warnings(&serde_json::from_value(json!({"containers": containers})).unwrap())
        };
        let app = |ports: &[i32]| {
            let ports: Vec<_> = ports.iter().map(|port| json!({"containerPort": port})).collect();
            json!({"name": "app", "ports": ports})
        };
        let both = [8080, wiring.guard.as_ref().unwrap().ports[1].app.into()];
        assert_eq!(warnings(json!([app(&[])])), Vec::<String>::new(), "nothing is declared");
        assert_eq!(warnings(json!([app(&both)])), Vec::<String>::new());
        let told = warnings(json!([app(&[8081]), {"name": "helper", "ports": [{"containerPort": both[1]}]}]));
        assert_eq!(told.len(), 1, "{told:?}");
        let words = ["vision/iris", "8080 (\"http\")", "app (8081)", &format!("helper ({})", both[1])];
        assert!(words.iter().all(|word| told[0].contains(word)), "{told:?}");
    }
}
