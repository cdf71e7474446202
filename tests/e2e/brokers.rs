//! People who are not the realm's own: it brokers whatever the customer signs in with, and a role decides.

use serde_json::{Value, json};

use crate::{
    accounts::Accounts,
    apps::Scene,
    browser::{Browser, Page},
    cluster::{assert_says, text},
    eventually::{PATIENCE, eventually},
    keycloak::Administrator,
    stage::{Stage, internal_url},
    trouble::{allow_reading, apply_secret},
};

/// What lets people in.
const ROLE: &str = "AIHubAccess";
const SECRET: &str = "a-secret-between-two-realms";

/// The realm that stands for the customer's provider, for as long as this lives.
struct Customer {
    keycloak: Administrator,
    realm: String,
}

impl Customer {
    /// With people who are members of `devs`, or of nothing.
    fn new(stage: &Stage) -> Self {
        let customer = Self { keycloak: Administrator::from_env(), realm: format!("{}-customer", stage.id) };
        let realm = json!({"realm": customer.realm, "enabled": true, "sslRequired": "none"});
        assert_eq!(customer.keycloak.post("", &realm).0, 201);
        let group = customer.accounts().make_group("devs");
        for name in ["ada", "bob", "eve"] {
            let id = customer.accounts().make_user(name);
            if name != "bob" {
                customer.accounts().join(&id, &group);
            }
        }
        customer
    }

    fn accounts(&self) -> Accounts<'_> {
        Accounts { keycloak: &self.keycloak, realm: &self.realm }
    }

    /// Lets the realm sign people in here.
    fn trust(&self, client: &Value) {
        let (status, answer) = self.keycloak.post(&format!("/{}/clients", self.realm), client);
        assert_eq!(status, 201, "{answer}");
    }

    /// As Keycloak reaches it, which is on this machine and knows no name of the cluster's.
    fn url(&self, rest: &str) -> String {
        format!("{}realms/{}{rest}", self.keycloak.url(), self.realm)
    }
}

impl Drop for Customer {
    fn drop(&mut self) {
        self.keycloak.delete(&format!("/{}", self.realm));
    }
}

/// The customer's provider as the realm has it. Who is in `devs` there has the role here, with each login anew.
fn oidc(stage: &Stage, customer: &Customer, namespace: &str) -> Value {
    let groups = json!({"name": "groups", "protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper",
        "config": {"claim.name": "groups", "full.path": "false", "id.token.claim": "true", "userinfo.token.claim": "true"}});
    customer.trust(&json!({"clientId": "hub", "secret": SECRET, "publicClient": false, "standardFlowEnabled": true,
        "redirectUris": [format!("{}/realms/{}/broker/corp/endpoint", internal_url(), stage.id)],
        "protocolMappers": [groups]}));
    json!({"alias": "corp", "type": "OIDC", "displayName": "Corporate", "clientId": "hub", "trustEmail": true,
        "syncMode": "Force", "clientSecret": {"namespace": namespace, "name": "login", "key": "clientSecret"},
        "discovery": customer.url("/.well-known/openid-configuration"),
        "config": {"defaultScope": "openid profile email", "clientAuthMethod": "client_secret_post",
            "pkceEnabled": "true", "pkceMethod": "S256"},
        "mappers": [{"name": "access", "type": "oidc-advanced-role-idp-mapper", "config": {"role": ROLE,
            "claims": "[{\"key\":\"groups\",\"value\":\"devs\"}]", "are.claim.values.regex": "false"}}]})
}

/// The same over SAML 2.0, by redirects alone.
fn saml(stage: &Stage, customer: &Customer) -> Value {
    let ours = format!("{}/realms/{}", internal_url(), stage.id);
    let property = |name: &str| {
        json!({"name": name, "protocol": "saml", "protocolMapper": "saml-user-property-mapper",
            "config": {"user.attribute": name, "attribute.name": name, "attribute.nameformat": "Basic"}})
    };
    let groups = json!({"name": "groups", "protocol": "saml", "protocolMapper": "saml-group-membership-mapper",
        "config": {"attribute.name": "groups", "attribute.nameformat": "Basic", "single": "true", "full.path": "false"}});
    customer.trust(&json!({"clientId": ours, "protocol": "saml", "frontchannelLogout": true,
        "redirectUris": [format!("{ours}/broker/saml/endpoint")],
        "attributes": {"saml.authnstatement": "true", "saml.server.signature": "true", "saml.assertion.signature": "true",
            "saml.client.signature": "false", "saml.force.post.binding": "false", "saml_name_id_format": "username",
            "saml_force_name_id_format": "true"},
        "protocolMappers": [groups, property("email"), property("firstName"), property("lastName")]}));
    let brings = |name: &str| {
        json!({"name": name, "type": "saml-user-attribute-idp-mapper",
            "config": {"attribute.name": name, "user.attribute": name}})
    };
    json!({"alias": "saml", "type": "SAML", "displayName": "The older one", "trustEmail": true, "syncMode": "Force",
        "discovery": customer.url("/protocol/saml/descriptor"),
        "config": {"entityId": ours, "postBindingResponse": "false", "postBindingAuthnRequest": "false",
            "wantAssertionsSigned": "true", "validateSignature": "true", "principalType": "SUBJECT",
            "nameIDPolicyFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"},
        "mappers": [{"name": "access", "type": "saml-advanced-role-idp-mapper", "config": {"role": ROLE,
            "attributes": "[{\"key\":\"groups\",\"value\":\"devs\"}]", "are.attribute.values.regex": "false"}},
            brings("email"), brings("firstName"), brings("lastName")]})
}

/// Signs in by way of a provider, and gives what the application's page then is.
fn by_way_of(scene: &Scene, provider: &str, name: &str) -> (Browser, u16, String) {
    let mut browser = scene.browser();
    let (status, page) = scene.runtime.block_on(async {
        let form: Page = browser.open(&scene.place("/hello")).await;
        let theirs = browser.open(&form.link(&format!("/broker/{provider}/login"))).await;
        assert!(theirs.url.path().contains("-customer/"), "at the customer's: {}", theirs.url);
        browser.send(&theirs, &[("username", name), ("password", name)]).await;
        browser.look(&scene.place("/hello")).await
    });
    (browser, status, page)
}

#[test]
fn who_has_the_role_at_the_customers_gets_in_and_who_has_not_is_told() {
    let stage = Stage::with_realm("broker");
    let customer = Customer::new(&stage);
    let corp = stage.namespace("corp");
    allow_reading(&stage, &corp);
    apply_secret(&stage, &corp, "hub", SECRET);
    let providers = json!([oidc(&stage, &customer, &corp), saml(&stage, &customer)]);
    stage.realm_object().patch(&json!({"spec": {"sslRequired": "None", "roles": [{"name": ROLE}],
        "identityProviders": providers}}));
    eventually("the realm has both providers", PATIENCE, || {
        stage.realm_object().touch("allowed");
        let found = stage.keycloak.get(&format!("/{}/identity-provider/instances", stage.id)).1;
        let has = |alias: &str| found.as_array().is_some_and(|all| all.iter().any(|one| one["alias"] == alias));
        if has("corp") && has("saml") { Ok(()) } else { Err(found.to_string()) }
    });
    stage.realm_object().wait_ready(PATIENCE);
    let scene = Scene::on(stage, json!([{"name": "members", "people": [{"realmRole": ROLE}]}]));

    let (_, status, page) = by_way_of(&scene, "corp", "ada");
    assert_eq!((status, page.trim()), (200, "hello"));
    let (_, status, page) = by_way_of(&scene, "saml", "eve");
    assert_eq!((status, page.trim()), (200, "hello"), "over SAML, too");
    let (_, status, page) = by_way_of(&scene, "corp", "bob");
    assert_eq!(status, 403, "{page}");
    assert_says(&page, &["The Board", "Ask those who keep it."]);

    // The customer takes it from her: her next login no longer has it.
    let accounts = customer.accounts();
    let group = accounts.group("devs");
    let ada = text(&customer.keycloak.get(&accounts.path("/users?username=ada&exact=true")).1[0]["id"]);
    assert_eq!(customer.keycloak.delete(&accounts.path(&format!("/users/{ada}/groups/{group}"))).0, 204);
    assert_eq!(by_way_of(&scene, "corp", "ada").1, 403, "roles are brought with each login");
}
