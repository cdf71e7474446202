use serde_json::{Value, json};

use super::*;
use crate::{
    api::RealmSpec,
    core::{
        build::{cluster_owner, kind},
        desired::Sealed,
    },
};

fn realm(mut spec: Value) -> Realm {
    spec["server"] = json!("main");
    spec["realm"] = json!("ml");
    Realm::new("ml", serde_json::from_value::<RealmSpec>(spec).unwrap())
}

fn parse(spec: Value) -> Result<DesiredObjects, Problems> {
    let object = realm(spec);
    object.parse_objects(cluster_owner("main", kind::REALM, "ml", "1"), Some("keywire-main"), &Secrets::new())
}

#[test]
fn what_cannot_be_is_refused_with_the_way_out() {
    let long = "x".repeat(256);
    let cases = [
        (json!({"roles": [{"name": long}]}), "this one has 256"),
        (json!({"roles": [{"name": "a/b"}]}), "no slash"),
        (json!({"roles": [{"name": "default-roles-ml"}]}), "spec.defaultRoles"),
        (json!({"roles": [{"name": "a"}, {"name": "a"}]}), "listed twice"),
        (json!({"roles": [{"name": "a", "attributes": {"keywire.dev/owner": ["me"]}}]}), "keywire.dev/"),
        (json!({"roles": [{"name": "a", "composites": ["a"]}]}), "a → a"),
        (
            json!({"roles": [{"name": "a", "composites": ["x", "b"]}, {"name": "b", "composites": ["c"]},
                {"name": "c", "composites": ["b"]}]}),
            "b → c → b",
        ),
        (
            json!({"roles": [{"name": "a", "clientComposites": [{"client": "iris.vision.endpoint", "role": "read"}]}]}),
            "AccessGrant",
        ),
        (json!({"defaultRoles": ["a"]}), "not in spec.roles"),
        (json!({"management": "ClientsOnly", "roles": [{"name": "a"}], "defaultRoles": ["a"]}), "someone else's"),
        (json!({"groups": [{"path": "a"}]}), "written like"),
        (json!({"groups": [{"path": "/a/b"}]}), "/a has groups in it and is not listed"),
        (json!({"groups": [{"path": "/keywire-users-ml"}]}), "names like this are ours"),
        (json!({"groups": [{"path": format!("/{long}")}]}), "this one has 256"),
        (json!({"defaultGroups": ["/a"]}), "not in spec.groups"),
        (json!({"clientScopes": [{"name": "iris.vision.endpoint:read"}]}), "permissions on ModelEndpoints"),
        (
            json!({"management": "ClientsOnly", "clientScopes": [{"name": "a", "assignment": "Default"}]}),
            "spec.clientScopes[a].assignment",
        ),
        (json!({"identityProviders": [{"alias": "keywire-main", "type": "SAML"}]}), "spec.workloadIssuer"),
        (json!({"identityProviders": [{"alias": "corp", "type": "OIDC"}]}), "no login works without"),
        (
            json!({"identityProviders": [{"alias": "corp", "type": "SAML", "config": {"clientSecret": "oops"}}]}),
            "clientSecret is a secret",
        ),
        (
            json!({"identityProviders": [{"alias": "g", "type": "Google", "clientId": "x", "discovery": "https://x.y"}]}),
            "remove the URL",
        ),
        (
            json!({"userFederation": [{"name": "l", "connectionUrl": "ldap://x", "usersDn": "o", "fullSync": "0s"}]}),
            "0s is no period",
        ),
        (json!({"users": [{"username": "Dev"}]}), "lower case"),
        (json!({"users": [{"username": "dev", "groups": ["/a"]}]}), "/a is not in spec.groups"),
        (json!({"users": [{"username": "dev", "attributes": {"email": ["x"]}}]}), "email is a field"),
    ];
    for (spec, says) in cases {
        let problems = parse(spec.clone()).expect_err(&spec.to_string());
        assert!(problems.iter().any(|problem| problem.message.contains(says)), "{spec}: {problems:?}");
        assert!(problems.iter().all(|problem| !problem.message.contains("oops")), "{problems:?}");
    }
}

#[test]
fn unknown_provider_types_are_refused_by_the_kind() {
    let spec = json!({"server": "main", "realm": "ml", "identityProviders": [{"alias": "a", "type": "Nonsense"}]});
    let error = serde_json::from_value::<RealmSpec>(spec).unwrap_err().to_string();
    assert!(error.contains("Nonsense") && error.contains("OIDC"), "{error}");
}

#[test]
fn composites_that_meet_again_are_no_circle() {
    let roles = json!([{"name": "lead", "composites": ["dev", "ops"]}, {"name": "dev", "composites": ["viewer"]},
        {"name": "ops", "composites": ["viewer", "offline_access"]}, {"name": "viewer"}]);
    let desired = parse(json!({"roles": roles, "defaultRoles": ["viewer"]})).unwrap();
    let defaults: Vec<_> = desired.roles.iter().map(|role| (role.name.as_str(), role.is_default)).collect();
    assert_eq!(defaults, [("lead", Some(false)), ("dev", Some(false)), ("ops", Some(false)), ("viewer", Some(true))]);
}

#[test]
fn secrets_go_where_they_are_named() {
    let reference = |name: &str| json!({"namespace": "corp", "name": name, "key": "value"});
    let object = realm(json!({
        "identityProviders": [{"alias": "corp", "type": "OIDC", "clientId": "kc", "syncMode": "Force",
            "clientSecret": reference("oidc"), "mappers": [{"name": "m", "type": "t", "config": {"role": "r"}}]}],
        "userFederation": [{"name": "ad", "vendor": "ActiveDirectory", "connectionUrl": "ldaps://ad", "usersDn": "o=x",
            "bind": {"dn": "cn=kc", "password": reference("ldap")}, "config": {"readTimeout": "1"}}],
        "users": [{"username": "dev", "password": reference("dev")}],
    }));
    let named = object.secrets_of_objects();
    let fields: Vec<_> = named.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.identityProviders[corp].clientSecret",
            "spec.userFederation[ad].bind.password",
            "spec.users[dev].password"
        ]
    );
    let sealed = |name: &str| Secret::Known(Sealed::new(name, "hunter2"));
    let mut secrets: Secrets = named.iter().map(|(_, from)| ((*from).clone(), sealed(&from.name))).collect();
    let owner = cluster_owner("main", kind::REALM, "ml", "1");
    let desired = object.parse_objects(owner.clone(), None, &secrets).unwrap();
    assert_eq!(desired.identity_providers[0].secret, sealed("oidc"));
    assert_eq!(desired.identity_providers[0].config["syncMode"], "FORCE");
    assert_eq!(desired.identity_providers[0].mappers[0].config["syncMode"], "INHERIT");
    assert_eq!(desired.user_federation[0].secret, sealed("ldap"));
    let config = &desired.user_federation[0].config;
    assert_eq!((&*config["usernameLDAPAttribute"], &*config["uuidLDAPAttribute"]), ("sAMAccountName", "objectGUID"));
    assert_eq!((&*config["authType"], &*config["readTimeout"]), ("simple", "1"), "the object's own words win");
    assert!(!format!("{desired:?}{}", serde_json::to_string(&desired).unwrap()).contains("hunter2"));

    secrets.clear();
    let desired = object.parse_objects(owner, None, &secrets).unwrap();
    assert!(matches!(&desired.users[0].password, Secret::Unreadable(_)), "{:?}", desired.users[0]);
}
