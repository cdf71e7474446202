//! Why a pod is not let in. Each sentence names the object, the field and the way out.

use crate::core::name::Ref;

/// Why a selected pod is refused. The discriminant in snake case is the metric label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The proxy guards one endpoint.
    #[error(
        "ModelEndpoints {first} and {second} both select this pod, and a pod can serve only one: change spec.workload.matchLabels of one of them, or the pod's labels"
    )]
    SeveralEndpoints {
        /// One of them.
        first: Ref,
        /// Another.
        second: Ref,
    },
    /// The same of applications.
    #[error(
        "WebApps {first} and {second} both select this pod, and a pod can serve only one: change spec.workload.matchLabels of one of them, or the pod's labels"
    )]
    SeveralApps {
        /// One of them.
        first: Ref,
        /// Another.
        second: Ref,
    },
    /// Or one of each.
    #[error(
        "ModelEndpoint {endpoint} and WebApp {app} both select this pod, and a pod can serve only one: change spec.workload.matchLabels of one of them, or the pod's labels"
    )]
    EndpointAndApp {
        /// The endpoint.
        endpoint: Ref,
        /// The application.
        app: Ref,
    },
    /// A pod is one workload.
    #[error(
        "WorkloadIdentities {first} and {second} both select this pod, and a pod can have only one: change spec.workload.matchLabels of one of them, or the pod's labels"
    )]
    SeveralIdentities {
        /// One of them.
        first: Ref,
        /// Another.
        second: Ref,
    },
    /// The audience of the pod's token is unknown.
    #[error("Realm {realm} of {object} not found; create it or change spec.realm")]
    RealmNotFound {
        /// Its name.
        realm: String,
        /// Who asks for it.
        object: String,
    },
    /// The audience of the pod's token is unknown.
    #[error("KeycloakServer {server} of Realm {realm} not found; create it ({object} needs it for this pod's token)")]
    ServerNotFound {
        /// Its name.
        server: String,
        /// Who names it.
        realm: String,
        /// Who asks for it.
        object: String,
    },
    /// The guard could not log in.
    #[error(
        "{served} selects this pod, and its guard logs in with ServiceAccount {wanted:?}, but the pod runs with {found:?}: change one of them"
    )]
    OtherServiceAccount {
        /// Whose guard.
        served: String,
        /// The account of its `introspection`, or of the application.
        wanted: String,
        /// The pod's.
        found: String,
    },
    /// What the application is told is not known.
    #[error("WebApp {app} selects this pod and signs people in itself, and what it is told is not known: {reason}")]
    NotTold {
        /// The application.
        app: Ref,
        /// What is wrong with it.
        reason: String,
    },
    /// It would be told two things.
    #[error(
        "container {container:?} sets variable {env}, and WebApp {app} says it otherwise: remove it there, or write it into spec.native.env of the WebApp (empty to leave it to the pod)"
    )]
    ToldOtherwise {
        /// The container.
        container: String,
        /// The variable.
        env: String,
        /// The application.
        app: Ref,
    },
    /// Another volume is where its secret goes.
    #[error(
        "container {container:?} mounts another volume at {path}: change spec.native.mountPath of WebApp {app}, or the mountPath there"
    )]
    MountTaken {
        /// The container.
        container: String,
        /// Where.
        path: String,
        /// The application.
        app: Ref,
    },
    /// The one that is to be told is not there.
    #[error(
        "no container of this pod is called {container:?}, which spec.native.containers of WebApp {app} names: correct it there"
    )]
    NoContainer {
        /// Its name.
        container: String,
        /// The application.
        app: Ref,
    },
    /// One token logs in at one realm.
    #[error(
        "{served} and WorkloadIdentity {identity} select this pod and are of two realms, and the guard of the first logs in as well: use one realm, or (for an endpoint) leave out spec.introspection"
    )]
    TwoRealms {
        /// Whose guard.
        served: String,
        /// Who calls.
        identity: Ref,
    },
    /// The guard speaks plain HTTP to the application, and so do the probes that it makes for it.
    #[error(
        "{endpoint} has spec.isolation Loopback, and the {probe} of container {container:?} calls its port {port} with scheme HTTPS, which the guard does not: use HTTP or exec"
    )]
    TlsProbe {
        /// The container.
        container: String,
        /// The field of the probe.
        probe: &'static str,
        /// The port that it calls.
        port: u16,
        /// Whose port that is.
        endpoint: String,
    },
    /// The kubelet calls hooks at the pod's address.
    #[error(
        "{endpoint} has spec.isolation Loopback, so lifecycle.{hook}.httpGet of container {container:?} cannot reach its port {port}: use exec"
    )]
    HookOnLoopback {
        /// The container.
        container: String,
        /// The hook.
        hook: &'static str,
        /// The port that it calls.
        port: u16,
        /// Whose port that is.
        endpoint: String,
    },
    /// The guard's ports would be the node's, and the application reachable around it.
    #[error(
        "spec.hostNetwork is true, and {selected_by} selects this pod: its guard would share the node's ports; remove hostNetwork or the label"
    )]
    HostNetwork {
        /// What selects the pod.
        selected_by: String,
    },
    /// The proxy is a Linux program.
    #[error("spec.os.name is {os:?}, and {selected_by} selects this pod: the proxy runs on Linux only")]
    NotLinux {
        /// What the pod asks for.
        os: String,
        /// What selects the pod.
        selected_by: String,
    },
    /// The sidecar's name is taken by an application container.
    #[error("spec.containers[].name {name:?} is reserved for Keywire's sidecar: rename the container")]
    ReservedContainer {
        /// The name.
        name: String,
    },
    /// A volume that is the sidecar's alone.
    #[error(
        "container {container:?} mounts the volume {volume:?}, which is reserved for Keywire's sidecar: rename the volume"
    )]
    ReservedVolume {
        /// Who mounts it.
        container: String,
        /// The volume.
        volume: String,
    },
    /// The variable has another value already.
    #[error(
        "container {container:?} sets env {env:?} already, and spec.targets of WorkloadIdentity {identity} sets it too: remove one, or change the target's env"
    )]
    EnvTaken {
        /// Who sets it.
        container: String,
        /// The variable.
        env: String,
        /// Whose target.
        identity: Ref,
    },
    /// Two sockets of the sidecar, or one of it and the application's, on one port.
    #[error("port {port} is both {first} and {second}: change one of them")]
    PortTaken {
        /// The port.
        port: u16,
        /// What has it.
        first: String,
        /// What wants it.
        second: String,
    },
    /// Not a TCP port.
    #[error("{field} of {object} gives no TCP port between 1 and 65535: set it")]
    NoPort {
        /// The field.
        field: String,
        /// Of which object.
        object: String,
    },
}
