//! Identity providers that people log in with: their secrets, their mappers, discovery, and a whole login.

use keywire::core::desired::objects::{DesiredObjects, Section};
use keywire::core::diff::objects::FindingReason;
use serde_json::{Value, json};
use url::Url;

use crate::browser::{APP, Browser};
use crate::issuer::{Issuer, claims};
use crate::keycloak::{TestRealm, in_realm, owner};
use crate::objects::{desired, only_finding, report, secret, settle};

/// A discovery document that is always there: the test's own realm's.
fn discovery(test: &TestRealm) -> String {
    format!("{}realms/{}/.well-known/openid-configuration", test.keycloak.url, test.name)
}

fn corporate(discovery: &str, version: &str, value: &str) -> Value {
    json!({"alias": "corp", "type": "OIDC", "displayName": "Corporate", "clientId": "kc", "trustEmail": true,
        "syncMode": "Force", "clientSecret": secret(version, value), "discovery": discovery,
        "config": {"defaultScope": "openid profile email", "clientAuthMethod": "client_secret_post",
            "pkceEnabled": "true", "pkceMethod": "S256"},
        "mappers": [{"name": "developers", "type": "oidc-advanced-role-idp-mapper", "config": {"role": "developer",
            "claims": "[{\"key\":\"groups\",\"value\":\"devs\"}]", "are.claim.values.regex": "false"}}]})
}

fn with(test: &TestRealm, providers: Value) -> DesiredObjects {
    desired(test, "ml", json!({"roles": [{"name": "developer"}], "identityProviders": providers}))
}

/// The test's Keycloak speaks HTTP under a name that is not private: a realm that asks for TLS takes no such provider.
async fn without_tls(test: &TestRealm) {
    let (status, answer) = test.raw.put("", &json!({"sslRequired": "none"})).await;
    assert_eq!(status, 204, "{answer}");
}

/// A realm that stands for the corporate provider, with one client and two people. In the same server as the test's.
async fn make_corporate_realm(test: &TestRealm) -> TestRealm {
    let name = format!("{}-corp", test.name);
    let master = crate::keycloak::Raw::log_in(&test.keycloak, "").await;
    assert_eq!(master.post("", &json!({"realm": name, "enabled": true})).await.0, 201);
    let raw = crate::keycloak::Raw::log_in(&test.keycloak, &format!("/{name}")).await;
    let corp = TestRealm { realm: test.admin.realm(&name), raw, name, ..test.clone() };
    let groups = json!({"name": "groups", "protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper",
        "config": {"claim.name": "groups", "full.path": "false", "id.token.claim": "true", "access.token.claim": "true",
            "userinfo.token.claim": "true"}});
    let client = json!({"clientId": "kc", "secret": "corporate-secret", "publicClient": false,
        "standardFlowEnabled": true, "redirectUris": ["*"], "protocolMappers": [groups]});
    assert_eq!(corp.raw.post("/clients", &client).await.0, 201);
    let person = |name: &str, groups: Value| {
        json!({"username": name, "email": format!("{name}@corp.example"), "firstName": name, "lastName": "Corp",
            "groups": groups, "password": secret("1", "a-long-password")})
    };
    let people =
        json!({"groups": [{"path": "/devs"}], "users": [person("ada", json!(["/devs"])), person("bob", json!([]))]});
    settle(&corp, &desired(&corp, "corp", people)).await;
    corp
}

/// The roles in the token of a person who logs in by way of the corporate realm.
async fn log_in(test: &TestRealm, username: &str) -> Vec<String> {
    let server = &test.keycloak.url;
    let realm = format!("{server}realms/{}/protocol/openid-connect", test.name);
    let query = [("client_id", "app"), ("response_type", "code"), ("scope", "openid"), ("redirect_uri", APP)];
    let start = Url::parse_with_params(&format!("{realm}/auth"), query).unwrap();
    let mut browser = Browser::new(server);
    let login_page = browser.open(&start).await;
    let corporate_page = browser.open(&login_page.link("/broker/corp/login")).await;
    assert!(corporate_page.url.path().contains("-corp/"), "{}", corporate_page.url);
    let fields = [("username", username), ("password", "a-long-password")];
    let back = browser.submit(&corporate_page, &fields).await;
    let code = back.parameter("code");
    let form =
        [("grant_type", "authorization_code"), ("client_id", "app"), ("redirect_uri", APP), ("code", code.as_str())];
    let answer = crate::keycloak::http().post(format!("{realm}/token")).form(&form).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let token = claims(answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")));
    assert_eq!(token["email"], format!("{username}@corp.example"));
    let roles = token["realm_access"]["roles"].as_array().unwrap();
    roles.iter().map(|role| role.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn people_log_in_by_way_of_the_corporate_provider_and_get_its_roles() {
    in_realm(|test| async move {
        without_tls(&test).await;
        let name = format!("/{}-corp", test.name);
        let corp = make_corporate_realm(&test).await;
        crate::keycloak::deleting(vec![name], async move {
            let app =
                json!({"clientId": "app", "publicClient": true, "standardFlowEnabled": true, "redirectUris": [APP]});
            assert_eq!(test.raw.post("/clients", &app).await.0, 201);
            settle(&test, &with(&test, json!([corporate(&discovery(&corp), "1", "corporate-secret")]))).await;
            assert!(log_in(&test, "ada").await.contains(&"developer".to_owned()), "the claim became a role");
            assert!(!log_in(&test, "bob").await.contains(&"developer".to_owned()));

            // A new secret on both sides: the old one no longer lets anybody in, the new one does.
            let (_, clients) = corp.raw.get("/clients?clientId=kc").await;
            let path = format!("/clients/{}", clients[0]["id"].as_str().unwrap());
            assert_eq!(corp.raw.put(&path, &json!({"secret": "another-secret"})).await.0, 204);
            let done = settle(&test, &with(&test, json!([corporate(&discovery(&corp), "2", "another-secret")]))).await;
            assert_eq!(done, ["update_broker"]);
            assert!(log_in(&test, "ada").await.contains(&"developer".to_owned()));
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn providers_are_made_kept_and_emptied_and_others_left_alone() {
    in_realm(|test| async move {
        without_tls(&test).await;
        let trust = Issuer::new("one").trusted_as("cluster").identity_provider(&owner("Realm", None, "ml"));
        test.realm.create_identity_provider(&trust).await.unwrap();
        let theirs = json!({"alias": "theirs", "providerId": "github", "config": {"clientId": "x", "clientSecret": "y"}});
        assert_eq!(test.raw.post("/identity-provider/instances", &theirs).await.0, 201);
        let client = |name: &str, kind: &str| {
            json!({"alias": name, "type": kind, "clientId": "x", "clientSecret": secret("1", "y")})
        };
        let saml = json!({"alias": "saml", "type": "SAML", "config": {"singleSignOnServiceUrl": "https://saml.example",
            "idpEntityId": "https://saml.example"}});
        let providers = json!([corporate(&discovery(&test), "1", "s"), saml, client("google", "Google"),
            client("github", "GitHub"), client("microsoft", "Microsoft")]);
        let wanted = with(&test, providers);
        settle(&test, &wanted).await;
        let (_, corp) = test.raw.get("/identity-provider/instances/corp").await;
        assert_eq!(corp["config"]["clientSecret"], "**********");
        assert!(corp["config"]["tokenUrl"].as_str().unwrap().contains(&test.name), "imported: {corp}");

        // Someone widens a mapper, adds one, and turns a check off.
        let mappers = "/identity-provider/instances/corp/mappers";
        let (_, all) = test.raw.get(mappers).await;
        let mut mapper = all[0].clone();
        mapper["config"]["claims"] = json!("[]");
        test.raw.put(&format!("{mappers}/{}", mapper["id"].as_str().unwrap()), &mapper).await;
        let more = json!({"name": "more", "identityProviderAlias": "corp",
            "identityProviderMapper": "oidc-hardcoded-role-idp-mapper", "config": {"role": "developer"}});
        assert_eq!(test.raw.post(mappers, &more).await.0, 201);
        let mut changed = corp.clone();
        changed["config"]["validateSignature"] = json!("false");
        changed["config"]["filteredByClaim"] = json!("true");
        test.raw.put("/identity-provider/instances/corp", &changed).await;
        let repaired = settle(&test, &wanted).await;
        assert_eq!(repaired, ["update_broker", "delete_broker_mapper", "update_broker_mapper"]);
        let (_, corp) = test.raw.get("/identity-provider/instances/corp").await;
        assert_eq!((&corp["config"]["validateSignature"], &corp["config"]["filteredByClaim"]), (&json!("true"), &json!(null)));

        settle(&test, &with(&test, json!([]))).await;
        let (_, left) = test.raw.get("/identity-provider/instances").await;
        let aliases: Vec<_> = left.as_array().unwrap().iter().map(|found| found["alias"].as_str().unwrap()).collect();
        assert_eq!(aliases, ["cluster", "theirs"]);
    })
    .await;
}

#[tokio::test]
async fn keycloak_takes_unknown_mapper_types_and_we_refuse_them() {
    in_realm(|test| async move {
        without_tls(&test).await;
        let wanted = with(&test, json!([corporate(&discovery(&test), "1", "s")]));
        settle(&test, &wanted).await;
        let mappers = "/identity-provider/instances/corp/mappers";
        let unknown =
            json!({"name": "bad", "identityProviderAlias": "corp", "identityProviderMapper": "nonsense", "config": {}});
        assert_eq!(test.raw.post(mappers, &unknown).await.0, 201, "the fact that all of this is about");
        settle(&test, &wanted).await;
        assert_eq!(test.raw.get(mappers).await.1.as_array().unwrap().len(), 1, "removed");

        let mut wrong = corporate(&discovery(&test), "1", "s");
        wrong["displayName"] = json!("changed");
        wrong["mappers"][0]["type"] = json!("nonsense");
        let found = report(&test, &with(&test, json!([wrong])), Section::IdentityProviders).await;
        let message = only_finding(&found, FindingReason::UnknownType);
        assert!(message.contains("\"nonsense\"") && message.contains("correct the type"), "{message}");
        assert!(found.done.is_empty());

        // One that the server knows, but for another kind of provider.
        let mut unfit = corporate(&discovery(&test), "1", "s");
        unfit["mappers"][0]["name"] = json!("unfit");
        unfit["mappers"][0]["type"] = json!("saml-role-idp-mapper");
        let found = report(&test, &with(&test, json!([unfit])), Section::IdentityProviders).await;
        let [failure] = found.failures.as_slice() else { panic!("{found:?}") };
        assert!(failure.to_string().contains("does not suit this kind of provider"), "{failure}");
        let (_, left) = test.raw.get(mappers).await;
        assert!(
            left.as_array().unwrap().iter().all(|mapper| mapper["identityProviderMapper"] != "saml-role-idp-mapper")
        );
    })
    .await;
}

#[tokio::test]
async fn an_unknown_provider_type_or_an_unreadable_secret_leaves_what_is_there() {
    in_realm(|test| async move {
        without_tls(&test).await;
        settle(&test, &with(&test, json!([corporate(&discovery(&test), "1", "s")]))).await;
        let mut unknown = with(&test, json!([corporate(&discovery(&test), "1", "s")]));
        unknown.identity_providers[0].provider_id = "nonsense".into();
        let found = report(&test, &unknown, Section::IdentityProviders).await;
        assert!(only_finding(&found, FindingReason::UnknownType).contains("\"nonsense\""));

        let mut unread = with(&test, json!([corporate(&discovery(&test), "1", "s")]));
        unread.identity_providers[0].enabled = false;
        unread.identity_providers[0].secret =
            keywire::core::desired::objects::Secret::Unreadable("Secret corp/oidc does not exist: create it".into());
        let found = report(&test, &unread, Section::IdentityProviders).await;
        assert!(only_finding(&found, FindingReason::SecretUnreadable).contains("create it"));
        assert_eq!(test.raw.get("/identity-provider/instances/corp").await.1["enabled"], true);
    })
    .await;
}

#[tokio::test]
async fn a_discovery_document_that_cannot_be_read_deletes_nothing() {
    in_realm(|test| async move {
        without_tls(&test).await;
        let nowhere = "http://127.0.0.1:9/.well-known/openid-configuration";
        let new = with(&test, json!([corporate(nowhere, "1", "s")]));
        let found = report(&test, &new, Section::IdentityProviders).await;
        let message = only_finding(&found, FindingReason::DiscoveryFailed);
        assert!(message.contains(nowhere) && message.contains("check the URL"), "{message}");
        assert!(!found.is_good());

        settle(&test, &with(&test, json!([corporate(&discovery(&test), "1", "s")]))).await;
        let (_, before) = test.raw.get("/identity-provider/instances/corp").await;
        let mut down = corporate(nowhere, "1", "s");
        let found = report(&test, &with(&test, json!([down])), Section::IdentityProviders).await;
        only_finding(&found, FindingReason::DiscoveryStale);
        assert!(found.is_good() && found.done.is_empty(), "{found:?}");
        assert_eq!(test.raw.get("/identity-provider/instances/corp").await.1, before);
        // What is said here still goes through.
        down = corporate(nowhere, "2", "t");
        down["enabled"] = json!(false);
        report(&test, &with(&test, json!([down])), Section::IdentityProviders).await;
        let (_, after) = test.raw.get("/identity-provider/instances/corp").await;
        assert_eq!((&after["enabled"], &after["config"]["tokenUrl"]), (&json!(false), &before["config"]["tokenUrl"]));
        assert_eq!(after["config"]["keywire.dev/secret-version"], "2");
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_is_not_ours_is_a_conflict() {
    in_realm(|test| async move {
        without_tls(&test).await;
        let theirs = json!({"alias": "corp", "providerId": "oidc", "config": {"clientId": "x", "clientSecret": "y",
            "tokenUrl": "https://theirs.example", "authorizationUrl": "https://theirs.example"}});
        assert_eq!(test.raw.post("/identity-provider/instances", &theirs).await.0, 201);
        let mut wanted = with(&test, json!([corporate(&discovery(&test), "1", "s")]));
        let found = report(&test, &wanted, Section::IdentityProviders).await;
        let message = only_finding(&found, FindingReason::Conflict);
        assert!(message.contains("identity provider corp") && message.contains("adopt it"), "{message}");
        let (_, left) = test.raw.get("/identity-provider/instances/corp").await;
        assert_eq!(left["config"]["tokenUrl"], "https://theirs.example");
        wanted.adopt = true;
        settle(&test, &wanted).await;
    })
    .await;
}
