//! Pods that run, and whether they have what they would be given now. Pure.
//!
//! Admission sees a pod once. One that was there before the object that selects it, or while there was no admission, runs
//! on without its sidecar: no call is guarded, none has a token.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::Resource;
use serde::{Deserialize, Deserializer};

use super::{
    sidecar::{LOGIN_TOKEN, TOKENS_VOLUME, egress_arguments, guard_arguments, sign_in_argument},
    told::Told,
    wiring::{Guard, SIDECAR, app_guard, egress, guard},
};
use crate::api::{ModelEndpoint, SignIn, WebApp, WorkloadIdentity, common::PodSelector};

/// What counts of a pod here. The rest of it is not kept: a cluster has many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunningPod {
    metadata: ObjectMeta,
    service_account: String,
    /// The sidecar's arguments; `None`: it has none.
    sidecar: Option<Vec<String>>,
    /// The TCP ports that its other containers say they have, in order.
    declared: Vec<i32>,
    /// What its application was told, as a fingerprint; `None`: nothing.
    told: Option<String>,
    /// It has a token that Keycloak takes.
    may_log_in: bool,
    /// All its containers have ended for good.
    is_over: bool,
    /// Its address.
    address: Option<IpAddr>,
    is_ready: bool,
}

impl RunningPod {
    /// Whether it runs, or will.
    pub fn is_alive(&self) -> bool {
        !self.is_over && self.metadata.deletion_timestamp.is_none()
    }

    /// Its labels.
    pub fn labels(&self) -> Cow<'_, BTreeMap<String, String>> {
        self.metadata.labels.as_ref().map_or_else(Cow::default, Cow::Borrowed)
    }

    /// Its ServiceAccount.
    pub fn service_account(&self) -> &str {
        &self.service_account
    }

    /// Whether another pod is the same to whatever selects them.
    pub fn is_wired_like(&self, other: &Self) -> bool {
        let state = |pod: &Self| (pod.is_alive(), pod.may_log_in, pod.address, pod.is_ready);
        let lists = |pod: &Self| (pod.metadata.labels.clone(), pod.sidecar.clone(), pod.told.clone());
        state(self) == state(other) && lists(self) == lists(other)
    }

    /// What is served selects it, and it has not the guard that those pods are given.
    pub fn lacks_guard(&self, served: &ServedPods<'_>) -> bool {
        let may_log_in = !served.logs_in || self.may_log_in;
        self.is_selected(served.selector) && self.has_guard(served).is_some_and(|has| !(has && may_log_in))
    }

    /// An application that signs people in itself selects it.
    pub fn is_of_native(&self, app: &WebApp) -> bool {
        let selector = app.spec.workload.as_ref().filter(|_| app.spec.sign_in == SignIn::Native);
        selector.is_some_and(|selector| self.is_selected(selector))
    }

    /// The same, and it was told something else, or nothing.
    pub fn is_told_otherwise(&self, app: &WebApp, told: &Told) -> bool {
        self.is_of_native(app) && self.told.as_deref() != told.mark()
    }

    /// The ports of what is served and selects it which none of its containers says it has, though they say which they have.
    pub fn lacks_ports(&self, served: &ServedPods<'_>) -> Vec<i32> {
        if self.declared.is_empty() || !self.is_selected(served.selector) {
            return Vec::new();
        }
        let ports = served.guard.iter().flat_map(|guard| &guard.ports).map(|port| i32::from(port.app));
        ports.filter(|port| !self.declared.contains(port)).collect()
    }

    /// The TCP ports that its containers say they have, in order. Its sidecar's are not among them.
    pub fn declared(&self) -> &[i32] {
        &self.declared
    }

    /// Its address, where it is ready and the guard of what is served is in front of it.
    pub fn serves(&self, served: &ServedPods<'_>) -> Option<IpAddr> {
        let address = self.address.filter(|_| self.is_ready && self.is_selected(served.selector))?;
        self.has_guard(served)?.then_some(address)
    }

    /// An identity selects it, and it has not the outbound half that this identity's pods are given.
    pub fn lacks_egress(&self, identity: &WorkloadIdentity) -> bool {
        let spec = &identity.spec;
        if self.service_account != spec.service_account_name || !self.is_selected(&spec.workload) {
            return false;
        }
        let Ok(egress) = egress(identity, "") else { return false };
        let may_log_in = self.may_log_in || egress.issuer.is_none();
        !(self.has("--egress", &egress_arguments(&egress)) && may_log_in)
    }

    /// Its address, where it has one and calls with an identity's credential.
    pub fn calls_with(&self, identity: &WorkloadIdentity) -> Option<IpAddr> {
        let is_its = self.service_account == identity.spec.service_account_name;
        let name = format!("--egress-identity={}", super::select::reference(identity));
        let arguments = self.sidecar.as_ref().filter(|_| is_its && self.is_alive())?;
        let keeps = |argument: &String| argument.starts_with("--egress-credential=");
        (arguments.contains(&name) && arguments.iter().any(keeps)).then_some(self.address?)
    }

    /// Asked before anything else: most pods of a namespace are none of an object's.
    fn is_selected(&self, selector: &PodSelector) -> bool {
        self.is_alive() && selector.matches(&self.labels())
    }

    /// Whether its guard is that of what is served; `None` where its ports cannot be used, which it says by itself.
    fn has_guard(&self, served: &ServedPods<'_>) -> Option<bool> {
        let guard = served.guard.as_ref()?;
        Some(self.has("--guard", &guard_arguments(guard)) && self.has("--sign-in", sign_in_argument(guard).as_slice()))
    }

    /// Whether these are all the sidecar's arguments that begin so.
    fn has(&self, beginning: &str, wanted: &[String]) -> bool {
        let Some(arguments) = &self.sidecar else { return false };
        arguments.iter().filter(|argument| argument.starts_with(beginning)).eq(wanted)
    }
}

/// Something that is served behind guards, as far as its pods go.
#[derive(Clone, Debug)]
pub struct ServedPods<'a> {
    selector: &'a PodSelector,
    /// What each has; `None`: its ports cannot be used.
    guard: Option<Guard>,
    /// The guard logs in at the realm.
    logs_in: bool,
}

impl<'a> From<&'a ModelEndpoint> for ServedPods<'a> {
    fn from(endpoint: &'a ModelEndpoint) -> Self {
        let spec = &endpoint.spec;
        Self { selector: &spec.workload, guard: guard(endpoint, None).ok(), logs_in: spec.introspection.is_some() }
    }
}

impl<'a> ServedPods<'a> {
    /// Those of an application; `None`: it has no sidecar.
    pub fn of_app(app: &'a WebApp) -> Option<Self> {
        let selector = app.spec.workload.as_ref().filter(|_| app.spec.sign_in == SignIn::Sidecar)?;
        Some(Self { selector, guard: app_guard(app, None).ok(), logs_in: true })
    }
}

impl Resource for RunningPod {
    type DynamicType = ();
    type Scope = <Pod as Resource>::Scope;

    fn kind(_: &()) -> Cow<'_, str> {
        Pod::kind(&())
    }
    fn group(_: &()) -> Cow<'_, str> {
        Pod::group(&())
    }
    fn version(_: &()) -> Cow<'_, str> {
        Pod::version(&())
    }
    fn plural(_: &()) -> Cow<'_, str> {
        Pod::plural(&())
    }
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }
    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<'de> Deserialize<'de> for RunningPod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(Written::deserialize(deserializer)?))
    }
}

/// A pod as the API server writes it, as far as it is read.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Written {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<Annotations>,
    deletion_timestamp: Option<k8s_openapi::apimachinery::pkg::apis::meta::v1::Time>,
}

/// One of them: others may be long.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "keywire.dev/told")]
    told: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    service_account_name: String,
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: String,
    conditions: Vec<PodCondition>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

impl Status {
    fn is_ready(&self) -> bool {
        self.conditions.iter().any(|found| found.type_ == "Ready" && found.status == "True")
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    args: Vec<String>,
    ports: Vec<Port>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Port {
    container_port: i32,
    #[serde(default)]
    protocol: Option<String>,
}

impl Spec {
    fn declared(&self) -> Vec<i32> {
        let apps = self.containers.iter().chain(&self.init_containers).filter(|container| container.name != SIDECAR);
        let is_tcp = |port: &&Port| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
        let found = apps.flat_map(|container| &container.ports).filter(is_tcp).map(|port| port.container_port);
        found.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Volume {
    name: String,
    projected: Option<Projected>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Projected {
    sources: Vec<Source>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Source {
    service_account_token: Option<Token>,
}

#[derive(Deserialize)]
struct Token {
    path: String,
}

impl Volume {
    fn has_login_token(&self) -> bool {
        let tokens = self.projected.iter().flat_map(|projected| &projected.sources);
        let is_login = |source: &Source| source.service_account_token.as_ref().is_some_and(|t| t.path == LOGIN_TOKEN);
        self.name == TOKENS_VOLUME && tokens.into_iter().any(is_login)
    }
}

impl From<Written> for RunningPod {
    fn from(pod: Written) -> Self {
        let Written { metadata, spec, status } = pod;
        let Metadata { name, namespace, uid, resource_version, labels, annotations, deletion_timestamp } = metadata;
        Self {
            metadata: ObjectMeta {
                name,
                namespace,
                uid,
                resource_version,
                labels,
                deletion_timestamp,
                ..ObjectMeta::default()
            },
            told: annotations.and_then(|annotations| annotations.told),
            declared: spec.declared(),
            service_account: spec.service_account_name,
            may_log_in: spec.volumes.iter().any(Volume::has_login_token),
            sidecar: spec
                .init_containers
                .into_iter()
                .find(|container| container.name == SIDECAR)
                .map(|container| container.args),
            address: status.pod_ip.parse().ok(),
            is_ready: status.is_ready(),
            is_over: matches!(status.phase.as_str(), "Succeeded" | "Failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use serde_json::{Value, json};

    use super::{
        super::{
            fixtures::{Fixtures, endpoint, identity, settings},
            inject, select,
        },
        *,
    };

    /// A pod of vision/iris and of agents/labeler as the API server has it.
    fn pod(namespace: &str, app: &str, account: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "a", "namespace": namespace, "labels": {"app": app}, "annotations": {"x": "y"}},
            "spec": {"serviceAccountName": account, "containers": [{"name": "app", "image": "x"}]},
            "status": {"phase": "Running"}})
    }

    fn injected(mut pod: Value, catalog: &Fixtures) -> Value {
        let read: Pod = serde_json::from_value(pod.clone()).expect("a pod");
        let namespace = read.namespace().unwrap_or_default();
        let account = read.spec.as_ref().and_then(|spec| spec.service_account_name.clone()).unwrap_or_default();
        let selection = select(catalog, &namespace, read.labels(), &account).expect("no refusal").expect("selected");
        inject(&read, &selection, &settings()).expect("an injection").apply(&mut pod).expect("JSON");
        pod
    }

    fn running(pod: &Value) -> RunningPod {
        serde_json::from_value(pod.clone()).expect("a pod")
    }

    #[test]
    fn a_pod_that_predates_its_endpoint_lacks_the_guard() {
        let (before, catalog) = (pod("vision", "iris", "default"), Fixtures::demo());
        let after = injected(before.clone(), &catalog);
        let asked = endpoint("vision", "iris", "iris");
        assert!(running(&before).lacks_guard(&(&asked).into()));
        assert!(!running(&after).lacks_guard(&(&asked).into()));
        assert!(!running(&pod("vision", "other", "default")).lacks_guard(&(&asked).into()), "not selected");

        let mut moved = asked.clone();
        moved.spec.ports[0].port = 8081;
        assert!(running(&after).lacks_guard(&(&moved).into()), "the guard leads to another port");
        let mut fewer = asked.clone();
        fewer.spec.ports.pop();
        assert!(running(&after).lacks_guard(&(&fewer).into()), "a port too many is guarded");
        assert!(running(&after).lacks_guard(&(&endpoint("vision", "renamed", "iris")).into()), "another's guard");
        let mut asking = asked.clone();
        asking.spec.introspection = Some(crate::api::Introspection { service_account_name: "default".into() });
        assert!(running(&after).lacks_guard(&(&asking).into()), "it cannot log in");
        let both = Fixtures { endpoints: vec![asking.clone().into()], ..Fixtures::demo() };
        assert!(!running(&injected(before.clone(), &both)).lacks_guard(&(&asking).into()));

        for (field, value) in [
            ("/metadata/deletionTimestamp", json!("2026-01-01T00:00:00Z")),
            ("/status/phase", json!("Succeeded")),
            ("/status/phase", json!("Failed")),
        ] {
            let mut gone = before.clone();
            let (parent, name) = field.rsplit_once('/').expect("a field of something");
            gone.pointer_mut(parent).expect("its parent")[name] = value;
            assert!(!running(&gone).lacks_guard(&(&asked).into()), "{field}");
        }
    }

    #[test]
    fn a_pod_that_predates_its_identity_lacks_the_outbound_half() {
        let (before, catalog) = (pod("agents", "labeler", "labeler"), Fixtures::demo());
        let after = injected(before.clone(), &catalog);
        let asked = identity("agents", "labeler", "labeler");
        assert!(running(&before).lacks_egress(&asked));
        assert!(!running(&after).lacks_egress(&asked));
        assert!(!running(&pod("agents", "labeler", "other")).lacks_egress(&asked), "another ServiceAccount");
        let mut fewer = asked.clone();
        fewer.spec.targets.pop();
        assert!(running(&after).lacks_egress(&fewer));
        let mut blind = after;
        blind["spec"]["volumes"] = json!([]);
        assert!(running(&blind).lacks_egress(&asked), "it cannot log in");
    }

    #[test]
    fn what_changes_in_a_running_pod_counts_only_sometimes() {
        let before = pod("vision", "iris", "default");
        let guarded = running(&injected(before.clone(), &Fixtures::demo()));
        let mut other = before.clone();
        other["metadata"]["annotations"]["x"] = json!("z");
        assert!(running(&before).is_wired_like(&running(&other)));
        other["metadata"]["labels"]["app"] = json!("z");
        assert!(!running(&before).is_wired_like(&running(&other)));
        assert!(!running(&before).is_wired_like(&guarded));
        let mut gone = before.clone();
        gone["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(!running(&before).is_wired_like(&running(&gone)));
    }

    #[test]
    fn a_pod_serves_once_it_is_ready_and_guarded() {
        let (asked, catalog) = (endpoint("vision", "iris", "iris"), Fixtures::demo());
        let mut ready = injected(pod("vision", "iris", "default"), &catalog);
        assert_eq!(running(&ready).serves(&(&asked).into()), None);
        ready["status"]["podIP"] = json!("10.0.0.7");
        let before = running(&ready);
        assert_eq!(before.serves(&(&asked).into()), None);
        ready["status"]["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(running(&ready).serves(&(&asked).into()), Some([10, 0, 0, 7].into()));
        assert!(!running(&ready).is_wired_like(&before));
        assert_eq!(running(&ready).serves(&(&endpoint("vision", "other", "iris")).into()), None, "another's guard");
        ready["metadata"]["labels"]["app"] = json!("other");
        assert_eq!(running(&ready).serves(&(&asked).into()), None);
    }

    #[test]
    fn a_port_that_no_container_has_is_told() {
        let with = |app: Value, sidecar: Value, init: Value| {
            let mut pod = pod("vision", "iris", "default");
            pod["spec"]["containers"][0]["ports"] = app;
            pod["spec"]["initContainers"] =
                json!([{"name": SIDECAR, "ports": sidecar}, {"name": "early", "ports": init}]);
            running(&pod)
        };
        let port = |number: u16| json!([{"containerPort": number}]);
        let mut asked = endpoint("vision", "iris", "iris");
        asked.spec.ports.truncate(1);
        asked.spec.ports[0].port = 8080;
        for (pod, lacks) in [
            (with(port(8080), json!([]), json!([])), vec![]),
            (with(json!([]), json!([]), port(8080)), vec![]),
            (with(json!([]), json!([]), json!([])), vec![]),
            (with(json!([]), port(8080), port(9000)), vec![8080]),
            (with(port(8000), json!([]), json!([])), vec![8080]),
            (
                with(json!([{"containerPort": 8080, "protocol": "UDP"}, {"containerPort": 1}]), json!([]), json!([])),
                vec![8080],
            ),
        ] {
            assert_eq!(pod.lacks_ports(&(&asked).into()), lacks, "{:?}", pod.declared());
        }
        let mut other = asked.clone();
        other.spec.workload = endpoint("vision", "other", "other").spec.workload;
        assert_eq!(
            with(port(1), json!([]), json!([])).lacks_ports(&(&other).into()),
            Vec::<i32>::new(),
            "not selected"
        );
    }

    #[test]
    fn a_pod_is_read_whatever_it_lacks() {
        let nothing = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {}});
        assert!(running(&nothing).is_alive());
    }
}
