//! The probes of an application that listens on loopback, moved to its sidecar. Pure.
//!
//! The kubelet calls the pod's address. What it would have tried goes to the sidecar as an argument ([`AppProbe`]), and comes
//! back from there when a pod is looked at a second time.

use k8s_openapi::{
    api::core::v1::{Container, LifecycleHandler, PodSpec, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde_json::{Value, json};
use strum::IntoEnumIterator;

use super::{
    Refusal,
    wiring::{ADMIN_PORT, Guard, SIDECAR},
};
use crate::core::app_probe::{Action, AppProbe, ProbeKind, path};

/// The sidecar's flag for one of them.
const FLAG: &str = "--app-probe=";
/// What the API server gives a probe that names no time.
const DEFAULT_TIMEOUT: u16 = 1;

/// The probes that lead to an endpoint's ports.
pub fn gather(spec: &PodSpec, guard: &Guard) -> Result<Vec<AppProbe>, Refusal> {
    let moved = moved(spec);
    let init = spec.init_containers.iter().flatten().filter(|container| container.name != SIDECAR);
    let mut probes = Vec::new();
    for container in spec.containers.iter().chain(init) {
        check_hooks(container, guard)?;
        for kind in ProbeKind::iter() {
            let Some(probe) = probe_of(container, kind) else { continue };
            if let Some(known) = moved.iter().find(|known| is_moved(probe, known, container, kind)) {
                probes.push(known.clone());
            } else if let Some(action) = action(container, kind, probe, guard)? {
                let timeout = probe.timeout_seconds.and_then(|seconds| u16::try_from(seconds).ok());
                let timeout = timeout.filter(|seconds| *seconds > 0).unwrap_or(DEFAULT_TIMEOUT);
                probes.push(AppProbe { container: container.name.clone(), kind, action, timeout });
            }
        }
    }
    Ok(probes)
}

/// What the sidecar is told of them.
pub fn arguments(probes: &[AppProbe]) -> Result<Vec<String>, serde_json::Error> {
    probes.iter().map(|probe| Ok(format!("{FLAG}{}", serde_json::to_string(probe)?))).collect()
}

/// Leads a container's probes to the sidecar. What else a probe says (how often, how long) stays.
pub fn redirect(container: &mut Value, probes: &[AppProbe]) {
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    for moved in probes.iter().filter(|probe| probe.container == name) {
        let Some(probe) = container.get_mut(moved.kind.field()).and_then(Value::as_object_mut) else { continue };
        ["tcpSocket", "grpc"].iter().for_each(|action| drop(probe.remove(*action)));
        probe.insert("httpGet".into(), json!({"path": moved.path(), "port": ADMIN_PORT, "scheme": "HTTP"}));
    }
}

/// What a sidecar that is there already was told.
fn moved(spec: &PodSpec) -> Vec<AppProbe> {
    let sidecar = spec.init_containers.iter().flatten().find(|container| container.name == SIDECAR);
    let arguments = sidecar.and_then(|sidecar| sidecar.args.as_ref()).into_iter().flatten();
    arguments.filter_map(|argument| argument.strip_prefix(FLAG)?.parse().ok()).collect()
}

/// Whether a probe leads to the sidecar, which knows what it was.
fn is_moved(probe: &Probe, known: &AppProbe, container: &Container, kind: ProbeKind) -> bool {
    let leads_there = probe.http_get.as_ref().is_some_and(|get| {
        get.port == IntOrString::Int(ADMIN_PORT.into()) && get.path.as_deref() == Some(&path(&container.name, kind))
    });
    leads_there && known.container == container.name && known.kind == kind
}

fn probe_of(container: &Container, kind: ProbeKind) -> Option<&Probe> {
    match kind {
        ProbeKind::Liveness => container.liveness_probe.as_ref(),
        ProbeKind::Readiness => container.readiness_probe.as_ref(),
        ProbeKind::Startup => container.startup_probe.as_ref(),
    }
}

/// What a probe tries, where that is a port of the endpoint's: only those are on loopback.
fn action(container: &Container, kind: ProbeKind, probe: &Probe, guard: &Guard) -> Result<Option<Action>, Refusal> {
    let port = |port: &IntOrString| guarded(container, port, guard);
    if let Some(get) = probe.http_get.as_ref().filter(|get| get.host.is_none()) {
        let Some(port) = port(&get.port) else { return Ok(None) };
        if get.scheme.as_deref() == Some("HTTPS") {
            let (container, probe, endpoint) = (container.name.clone(), kind.field(), guard.named());
            return Err(Refusal::TlsProbe { container, probe, port, endpoint });
        }
        let headers = get.http_headers.iter().flatten();
        let headers = headers.map(|field| (field.name.clone(), field.value.clone())).collect();
        let path = get.path.clone().filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
        return Ok(Some(Action::HttpGet { port, path, headers }));
    }
    if let Some(socket) = probe.tcp_socket.as_ref().filter(|socket| socket.host.is_none()) {
        return Ok(port(&socket.port).map(|port| Action::TcpSocket { port }));
    }
    Ok(probe.grpc.as_ref().and_then(|grpc| {
        let port = port(&IntOrString::Int(grpc.port))?;
        Some(Action::Grpc { port, service: grpc.service.clone().unwrap_or_default() })
    }))
}

/// The number of a container's port, where the endpoint guards it.
fn guarded(container: &Container, port: &IntOrString, guard: &Guard) -> Option<u16> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let named = |port: &&k8s_openapi::api::core::v1::ContainerPort| port.name.as_ref() == Some(name);
            container.ports.iter().flatten().find(named)?.container_port
        }
    };
    let number = u16::try_from(number).ok()?;
    guard.ports.iter().any(|port| port.app == number).then_some(number)
}

/// A hook acts, where a probe only asks: it is not put on a port that anybody may call.
fn check_hooks(container: &Container, guard: &Guard) -> Result<(), Refusal> {
    let Some(lifecycle) = &container.lifecycle else { return Ok(()) };
    for (hook, handler) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
        let get = |handler: &LifecycleHandler| handler.http_get.as_ref().map(|get| get.port.clone());
        let port = handler.as_ref().and_then(get).and_then(|port| guarded(container, &port, guard));
        if let Some(port) = port {
            let (container, endpoint) = (container.name.clone(), guard.named());
            return Err(Refusal::HookOnLoopback { container, hook, port, endpoint });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admission::wiring, api::Isolation};

    fn guard() -> Guard {
        let mut endpoint = crate::admission::fixtures::endpoint("vision", "iris", "iris");
        endpoint.spec.isolation = Isolation::Loopback;
        wiring::guard(&endpoint, None).expect("good ports")
    }

    fn spec(container: Value) -> PodSpec {
        let mut container = container;
        container["name"] = json!("app");
        container["ports"] = json!([{"name": "web", "containerPort": 8080}, {"name": "other", "containerPort": 7000}]);
        serde_json::from_value(json!({"containers": [container]})).expect("a pod")
    }

    #[test]
    fn probes_of_the_endpoints_ports_are_taken_over() {
        let taken = |probe: Value| gather(&spec(json!({"readinessProbe": probe})), &guard()).map(|mut all| all.pop());
        let http = |path: &str, headers| Action::HttpGet { port: 8080, path: path.into(), headers };
        for (probe, expected) in [
            (json!({"httpGet": {"path": "/r", "port": 8080}}), Some((http("/r", vec![]), 1))),
            (json!({"httpGet": {"port": "web"}, "timeoutSeconds": 7}), Some((http("/", vec![]), 7))),
            (
                json!({"httpGet": {"path": "/r", "port": 8080, "httpHeaders": [{"name": "Host", "value": "a"}]}}),
                Some((http("/r", vec![("Host".into(), "a".into())]), 1)),
            ),
            (json!({"tcpSocket": {"port": 8082}}), Some((Action::TcpSocket { port: 8082 }, 1))),
            (
                json!({"grpc": {"port": 8080, "service": "s"}}),
                Some((Action::Grpc { port: 8080, service: "s".into() }, 1)),
            ),
            (json!({"httpGet": {"path": "/r", "port": "other"}}), None),
            (json!({"httpGet": {"path": "/r", "port": "unknown"}}), None),
            (json!({"httpGet": {"path": "/r", "port": 8080, "host": "elsewhere"}}), None),
            (json!({"exec": {"command": ["true"]}}), None),
        ] {
            let found = taken(probe.clone()).expect("no refusal");
            assert_eq!(found.map(|found| (found.action, found.timeout)), expected, "{probe}");
        }
        let refusal = taken(json!({"httpGet": {"port": 8080, "scheme": "HTTPS"}})).expect_err("TLS").to_string();
        assert!(refusal.contains("readinessProbe") && refusal.contains("8080"), "{refusal}");
    }

    #[test]
    fn hooks_over_http_are_refused_where_they_would_fail() {
        for (port, is_good) in [(8080, false), (7000, true)] {
            let lifecycle = json!({"lifecycle": {"preStop": {"httpGet": {"path": "/drain", "port": port}}}});
            assert_eq!(gather(&spec(lifecycle), &guard()).is_ok(), is_good, "{port}");
        }
    }

    #[test]
    fn what_was_moved_is_known_again() {
        let original = json!({"httpGet": {"path": "/r", "port": 8080}, "periodSeconds": 3});
        let mut container = json!({"name": "app", "livenessProbe": original, "startupProbe": {"grpc": {"port": 8080}}});
        let before = serde_json::from_value(json!({"containers": [container]})).expect("a pod");
        let probes = gather(&before, &guard()).expect("no refusal");
        redirect(&mut container, &probes);
        let expected =
            json!({"httpGet": {"path": "/app-health/app/livez", "port": 15090, "scheme": "HTTP"}, "periodSeconds": 3});
        assert_eq!(container["livenessProbe"], expected);
        assert_eq!(container["startupProbe"]["grpc"], Value::Null);
        let arguments = arguments(&probes).expect("JSON");
        let sidecar = json!({"name": SIDECAR, "args": arguments});
        let pod = json!({"containers": [container], "initContainers": [sidecar]});
        let again = gather(&serde_json::from_value(pod).expect("a pod"), &guard()).expect("no refusal");
        assert_eq!(again, probes);
        redirect(&mut container, &again);
        assert_eq!(container["livenessProbe"], expected);
    }
}
