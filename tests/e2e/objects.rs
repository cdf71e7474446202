//! The objects that a user writes, as JSON: YAML that cannot be indented wrongly.

use serde_json::{Value, json};

/// An ordinary workload: a shell and curl.
pub const CALLER_IMAGE: &str = "localhost/keywire-env/caller:1";
/// MLServer with a scikit-learn iris model.
pub const MODEL_IMAGE: &str = "localhost/keywire-env/mlserver-iris:1.7.1";

/// KServe's model server with two models that count.
pub const KSERVE_IMAGE: &str = "localhost/keywire-env/kserve:0.21.0";

/// An object of ours without a namespace.
pub fn cluster_object(kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": "keywire.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

/// An object of ours.
pub fn object(kind: &str, namespace: &str, name: &str, spec: Value) -> Value {
    let mut object = cluster_object(kind, name, spec);
    object["metadata"]["namespace"] = json!(namespace);
    object
}

/// A server that speaks the Open Inference Protocol on 8080, in the pods `app: NAME`.
pub fn model_endpoint(realm: &str, namespace: &str, name: &str) -> Value {
    let spec = json!({
        "realm": realm,
        "protocol": "OpenInference",
        "workload": {"matchLabels": {"app": name}},
        "ports": [{"name": "http", "port": 8080}],
    });
    object("ModelEndpoint", namespace, name, spec)
}

/// A server of plain HTTP on 8080, in the pods `app: NAME`, that has one route: GET `/hello` needs `read`.
pub fn http_endpoint(realm: &str, namespace: &str, name: &str) -> Value {
    let mut endpoint = model_endpoint(realm, namespace, name);
    endpoint["spec"]["protocol"] = json!("HTTP");
    endpoint["spec"]["rules"] = json!([{"methods": ["GET"], "path": "/hello", "permission": "read"}]);
    endpoint
}

/// An identity for the pods `app: NAME` that run as ServiceAccount NAME. Targets: variable, namespace, endpoint.
pub fn identity(realm: &str, namespace: &str, name: &str, targets: &[(&str, &str, &str)]) -> Value {
    let target = |(env, namespace, name): &(&str, &str, &str)| json!({"env": env, "endpoint": {"namespace": namespace, "name": name}});
    let spec = json!({
        "realm": realm,
        "serviceAccountName": name,
        "workload": {"matchLabels": {"app": name}},
        "targets": targets.iter().map(target).collect::<Vec<_>>(),
    });
    object("WorkloadIdentity", namespace, name, spec)
}

/// A grant to one identity.
pub fn grant(namespace: &str, endpoint: &str, subject: (&str, &str), permissions: &[&str]) -> Value {
    let (subject_namespace, subject) = subject;
    let spec = json!({
        "endpoint": endpoint,
        "subjects": [{"workloadIdentity": {"namespace": subject_namespace, "name": subject}}],
        "permissions": permissions,
    });
    object("AccessGrant", namespace, &format!("{endpoint}-{subject}"), spec)
}

/// A ServiceAccount whose pods get no token by themselves.
pub fn service_account(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountToken": false,
        "metadata": {"namespace": namespace, "name": name}})
}

/// A pod `app: NAME` that may run where Pod Security is `restricted`, with one container `app`.
pub fn pod(namespace: &str, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": false,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "app",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    })
}

/// A pod that calls, as ServiceAccount NAME.
pub fn caller_pod(namespace: &str, name: &str) -> Value {
    let mut pod = pod(namespace, name, CALLER_IMAGE);
    pod["spec"]["serviceAccountName"] = json!(name);
    pod["spec"]["containers"][0]["command"] = json!(["sleep", "infinity"]);
    pod
}

/// A pod that answers GET `/hello` on 8080.
pub fn http_pod(namespace: &str, name: &str) -> Value {
    let mut pod = pod(namespace, name, CALLER_IMAGE);
    let serve = "mkdir /tmp/www; echo hello > /tmp/www/hello; exec busybox httpd -f -p 8080 -h /tmp/www";
    pod["spec"]["containers"][0]["command"] = json!(["sh", "-c", serve]);
    pod
}

/// A pod that serves the iris model on 8080.
pub fn model_pod(namespace: &str, name: &str) -> Value {
    let mut pod = pod(namespace, name, MODEL_IMAGE);
    let container = &mut pod["spec"]["containers"][0];
    container["env"] = json!([{"name": "MLSERVER_PARALLEL_WORKERS", "value": "0"}]);
    container["readinessProbe"] = json!({"httpGet": {"path": "/v2/health/ready", "port": 8080}, "periodSeconds": 1});
    pod
}
