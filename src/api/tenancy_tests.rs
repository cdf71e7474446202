//! What a tenant can write at all: nothing that leads the operator to a Secret, or its credentials to an address.

use kube::core::crd::CustomResourceExt;
use serde_json::Value;

use super::{AccessGrant, ModelEndpoint, WebApp, WorkloadIdentity};

/// The kinds that tenants write. Every other kind is cluster-scoped: the platform team's.
fn of_tenants() -> [(&'static str, Value); 4] {
    let schema = |crd| serde_json::to_value(crd).unwrap_or_default();
    [
        ("ModelEndpoint", schema(ModelEndpoint::crd())),
        ("WorkloadIdentity", schema(WorkloadIdentity::crd())),
        ("AccessGrant", schema(AccessGrant::crd())),
        ("WebApp", schema(WebApp::crd())),
    ]
}

/// Every field of the spec, as `spec.targets.endpoint.namespace`.
fn fields(schema: &Value, path: &str, found: &mut Vec<String>) {
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        fields(field, &path, found);
        fields(&field["items"], &path, found);
        fields(&field["additionalProperties"], &path, found);
        found.push(path);
    }
}

fn spec_fields(crd: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for version in crd["spec"]["versions"].as_array().into_iter().flatten() {
        fields(&version["schema"]["openAPIV3Schema"]["properties"]["spec"], "spec", &mut found);
    }
    found
}

#[test]
fn other_kinds_are_not_tenants() {
    for crd in super::crds() {
        let is_tenants = of_tenants().iter().any(|(kind, _)| *kind == crd.spec.names.kind);
        assert_eq!(crd.spec.scope == "Namespaced", is_tenants, "{}: list it here", crd.spec.names.kind);
    }
}

/// Addresses that a tenant may write: told to callers, and never called, neither by the operator nor by a proxy.
/// `core::build::policy::tests::an_external_url_is_only_told` proves it.
const ONLY_TOLD: [(&str, &str); 1] = [("ModelEndpoint", "spec.externalUrl")];

/// Addresses that a tenant may write and its own pods then call, with a token: only as far as the Realm lists them, as
/// `core::graph::external::tests` prove. The operator calls none.
const LISTED: [(&str, &str); 1] = [("WorkloadIdentity", "spec.targets.external.url")];

/// Where people are sent back to after they have signed in: only as far as the Realm lists the host, as the e2e test
/// `apps::a_host_that_the_realm_does_not_list_is_refused` proves. The operator calls none.
const LISTED_HOSTS: [(&str, &str); 1] = [("WebApp", "spec.host")];

/// Names of the tenant's own file, and of its containers' variable, for the one secret that Keywire makes for it. Which secret that
/// is, no field says: `admission::told::tests` prove it.
const OWN_NAMES: [(&str, &str); 2] = [("WebApp", "spec.native.secretFile"), ("WebApp", "spec.native.secretEnv")];

#[test]
fn no_field_of_a_tenant_names_a_secret_or_an_address() {
    for (kind, crd) in of_tenants() {
        let fields = spec_fields(&crd);
        assert!(fields.len() > 4, "{kind} has fields: {fields:?}");
        let known: Vec<_> = [ONLY_TOLD, LISTED, LISTED_HOSTS].into_iter().flatten().chain(OWN_NAMES).collect();
        let is_known = |field: &&String| known.contains(&(kind, field.as_str()));
        for field in fields.iter().filter(|field| !is_known(field)) {
            let last = field.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
            for word in ["secret", "password", "credentialref", "configmap", "url", "uri", "host", "server", "issuer"] {
                assert!(
                    !last.contains(word),
                    "{kind}: {field} could lead the operator elsewhere; prove that it cannot"
                );
            }
        }
    }
}

/// The only things of other namespaces that a tenant's object names are an endpoint, whose owner has to grant it, and an
/// identity, which gains by it.
#[test]
fn references_to_other_namespaces_are_few_and_known() {
    let mut named = Vec::new();
    for (kind, crd) in of_tenants() {
        let of_namespace = spec_fields(&crd).into_iter().filter(|field| field.ends_with(".namespace"));
        named.extend(of_namespace.map(|field| format!("{kind} {field}")));
    }
    named.sort();
    assert_eq!(
        named,
        ["AccessGrant spec.subjects.workloadIdentity.namespace", "WorkloadIdentity spec.targets.endpoint.namespace"]
    );
}
