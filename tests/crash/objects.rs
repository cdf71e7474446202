//! A tenant's objects: as they are made, and as they are changed.

use keywire::api::{AccessGrant, KeycloakServer, ModelEndpoint, Realm, WorkloadIdentity};
use kube::api::ApiResource;
use serde_json::{Value, json};

/// The name of the endpoint of each tenant.
pub const ENDPOINT: &str = "iris";
/// The name of the identity.
pub const IDENTITY: &str = "labeler";
/// The name of the grant.
pub const GRANT: &str = "iris-labeler";
/// The namespace of the operator, and of the Secrets that it reads.
pub const OPERATOR_NAMESPACE: &str = "keywire-system";

/// The kinds, each with the name of a tenant's object of it: in the order in which a person would make them.
pub fn kinds(tenant: &str) -> [(ApiResource, String); 5] {
    [
        (ApiResource::erase::<KeycloakServer>(&()), tenant.to_owned()),
        (ApiResource::erase::<Realm>(&()), tenant.to_owned()),
        (ApiResource::erase::<ModelEndpoint>(&()), ENDPOINT.to_owned()),
        (ApiResource::erase::<WorkloadIdentity>(&()), IDENTITY.to_owned()),
        (ApiResource::erase::<AccessGrant>(&()), GRANT.to_owned()),
    ]
}

/// How a tenant's operator comes to Keycloak.
#[derive(Clone)]
pub struct Login {
    /// Of its own proxy.
    pub internal_url: String,
    /// The issuer's beginning.
    pub url: String,
    /// Secret in the operator's namespace.
    pub secret: String,
}

/// A tenant's objects as they are made first.
pub fn made(tenant: &str, login: &Login) -> [Value; 5] {
    let rules = json!([rule("GET", "/hello", "read"), rule("POST", "/ask", "predict")]);
    [
        server(tenant, login),
        realm(tenant, &["viewer", "scientist"], "as made", "scientist"),
        endpoint(tenant, rules),
        identity(tenant, "IRIS_URL"),
        grant(tenant, "read"),
    ]
}

/// The same objects with a setting of the realm changed, a role renamed that a group has, one permission of the endpoint
/// put in another's place, the target under another name and the grant of something else.
pub fn changed(tenant: &str, login: &Login) -> [Value; 5] {
    let rules = json!([rule("POST", "/ask", "predict"), rule("PUT", "/model", "deploy")]);
    [
        server(tenant, login),
        realm(tenant, &["viewer", "researcher"], "as changed", "researcher"),
        endpoint(tenant, rules),
        identity(tenant, "MODEL_URL"),
        grant(tenant, "deploy"),
    ]
}

fn server(tenant: &str, login: &Login) -> Value {
    let spec = json!({
        "url": login.url,
        "internalUrl": login.internal_url,
        "credentials": {"clientSecret": {"namespace": OPERATOR_NAMESPACE, "name": login.secret}},
    });
    object("KeycloakServer", None, tenant, spec)
}

fn realm(tenant: &str, roles: &[&str], display_name: &str, of_group: &str) -> Value {
    let password = json!({"namespace": OPERATOR_NAMESPACE, "name": "ada", "key": "password"});
    let audience = json!({"name": "team", "type": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "team", "claim.value": "science", "jsonType.label": "String", "access.token.claim": "true"}});
    let spec = json!({
        "server": tenant,
        "realm": tenant,
        "namespaces": {"selector": {"matchLabels": {"kubernetes.io/metadata.name": tenant}}},
        "workloadIssuer": {},
        "deletionPolicy": "Delete",
        "displayName": display_name,
        "tokens": {"accessTokenLifespan": "5m"},
        "keys": [{"algorithm": "ES256", "rotateEvery": "2160h", "publishBefore": "24h"}],
        "roles": roles.iter().enumerate().map(|(at, name)| role(name, &roles[..at])).collect::<Vec<_>>(),
        "defaultRoles": ["viewer"],
        "groups": [{"path": "/science", "realmRoles": [of_group]}],
        "clientScopes": [{"name": "team", "assignment": "Optional", "mappers": [audience]}],
        "users": [{"username": "ada", "email": "ada@example.com", "password": password, "groups": ["/science"]}],
    });
    object("Realm", None, tenant, spec)
}

fn role(name: &str, composites: &[&str]) -> Value {
    json!({"name": name, "composites": composites})
}

fn endpoint(tenant: &str, rules: Value) -> Value {
    let spec = json!({
        "realm": tenant,
        "protocol": "HTTP",
        "workload": {"matchLabels": {"app": ENDPOINT}},
        "ports": [{"name": "http", "port": 8080}],
        "rules": rules,
    });
    object("ModelEndpoint", Some(tenant), ENDPOINT, spec)
}

fn rule(method: &str, path: &str, permission: &str) -> Value {
    json!({"methods": [method], "path": path, "permission": permission})
}

fn identity(tenant: &str, env: &str) -> Value {
    let spec = json!({
        "realm": tenant,
        "serviceAccountName": IDENTITY,
        "workload": {"matchLabels": {"app": IDENTITY}},
        "targets": [{"env": env, "endpoint": {"namespace": tenant, "name": ENDPOINT}}],
    });
    object("WorkloadIdentity", Some(tenant), IDENTITY, spec)
}

fn grant(tenant: &str, permission: &str) -> Value {
    let spec = json!({
        "endpoint": ENDPOINT,
        "subjects": [{"workloadIdentity": {"namespace": tenant, "name": IDENTITY}}],
        "permissions": [permission],
    });
    object("AccessGrant", Some(tenant), GRANT, spec)
}

fn object(kind: &str, namespace: Option<&str>, name: &str, spec: Value) -> Value {
    let mut object =
        json!({"apiVersion": "keywire.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object
}
