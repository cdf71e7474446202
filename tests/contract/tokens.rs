//! Federated login end to end: a ServiceAccount token becomes an access token for exactly one endpoint.

use std::collections::BTreeSet;

use keywire::core::claims::ClaimValue;
use keywire::core::desired::{Credential, DesiredEndpoint, DesiredRealm, DesiredWorkload, Management, ScopeRef};
use keywire::keycloak::{TokenAnswer, TokenError, TokenRequest};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::issuer::{Issuer, claims};
use crate::keycloak::{TestRealm, in_realm, owner};

/// Two endpoints, a workload that targets both, and the cluster that vouches for it.
struct Scene {
    test: TestRealm,
    cluster: Issuer,
    audience: String,
    resnet: DesiredEndpoint,
    bert: DesiredEndpoint,
    labeler: DesiredWorkload,
}

impl Scene {
    async fn set(test: TestRealm) -> Self {
        let cluster = Issuer::new(&test.name);
        let (resnet, bert) = (test.endpoint("resnet", &["predict", "read"]), test.endpoint("bert", &["predict"]));
        let mut labeler = test.workload("labeler", &[&resnet, &bert]);
        labeler.grants.insert(resnet.client_id.clone(), BTreeSet::from(["predict".to_owned()]));
        labeler.grants.insert(bert.client_id.clone(), BTreeSet::from(["predict".to_owned()]));
        let audience = test.issuer().await;
        let scene = Self { test, cluster, audience, resnet, bert, labeler };
        scene.trust(&scene.cluster).await;
        scene.test.realm.reconcile_endpoint(&scene.resnet).await.unwrap();
        scene.test.realm.reconcile_endpoint(&scene.bert).await.unwrap();
        scene.test.realm.reconcile_workload(&scene.labeler).await.unwrap();
        scene
    }

    async fn trust(&self, cluster: &Issuer) {
        let realm = DesiredRealm {
            realm: self.test.name.clone(),
            owner: owner("Realm", None, "ml"),
            management: Management::ClientsOnly,
            workload_issuer: Some(cluster.trusted_as("cluster")),
            adopt: false,
        };
        self.test.realm.reconcile_realm(&realm).await.unwrap();
    }

    async fn token(&self, cluster: &Issuer, scopes: &[&str]) -> Result<TokenAnswer, TokenError> {
        let subject = "system:serviceaccount:agents:labeler";
        let scope = scopes.iter().map(ToString::to_string).collect();
        let assertion = cluster.token(subject, &self.audience);
        self.test.realm.request_token(&TokenRequest { assertion, scope }).await
    }
}

fn claims_of(answer: &TokenAnswer) -> Value {
    claims(answer.access_token.expose_secret())
}

#[tokio::test]
async fn a_token_has_exactly_one_audience_and_only_its_roles() {
    in_realm(|test| async move {
        let scene = Scene::set(test).await;
        let answer = scene.token(&scene.cluster, &["resnet.vision.endpoint:predict"]).await.unwrap();
        let token = claims_of(&answer);
        assert_eq!(token["aud"], "resnet.vision.endpoint", "one audience, as a string");
        assert_eq!(token["azp"], "labeler.agents.workload");
        assert_eq!(token["resource_access"], json!({"resnet.vision.endpoint": {"roles": ["predict"]}}));
        assert!(token.get("realm_access").is_none(), "{token}");
        assert!(token.get("sub").is_some(), "{token}");
        assert!(answer.scope.contains("resnet.vision.endpoint:predict"), "{:?}", answer.scope);

        let none = claims_of(&scene.token(&scene.cluster, &[]).await.unwrap());
        assert!(none.get("aud").is_none() && none.get("resource_access").is_none(), "{none}");
    })
    .await;
}

#[tokio::test]
async fn a_token_carries_what_the_identity_says_of_itself() {
    in_realm(|test| async move {
        let scene = Scene::set(test).await;
        let claims = vec![
            ("data".to_owned(), ClaimValue::List(vec!["public".to_owned(), "o\"pen".to_owned()])),
            ("version".to_owned(), ClaimValue::Text("2".to_owned())),
        ];
        let labeler = DesiredWorkload { claims, ..scene.labeler.clone() };
        scene.test.realm.reconcile_workload(&labeler).await.unwrap();
        let token = claims_of(&scene.token(&scene.cluster, &["resnet.vision.endpoint:predict"]).await.unwrap());
        assert_eq!((&token["data"], &token["version"]), (&json!(["public", "o\"pen"]), &json!("2")), "{token}");
        assert_eq!(token["aud"], "resnet.vision.endpoint");
    })
    .await;
}

/// The scopes of an API outside are somebody else's: they have an id that we did not choose.
#[tokio::test]
async fn a_token_for_an_api_outside_is_for_it_alone() {
    in_realm(|test| async move {
        let scene = Scene::set(test).await;
        let mapper = json!({"name": "audience", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
            "config": {"included.custom.audience": "models-api", "access.token.claim": "true"}});
        for (name, mappers) in
            [("models:read", json!([mapper])), ("models:write", json!([mapper])), ("other", json!([]))]
        {
            let scope = json!({"name": name, "protocol": "openid-connect", "protocolMappers": mappers,
                "attributes": {"include.in.token.scope": "true"}});
            assert_eq!(scene.test.raw.post("/client-scopes", &scope).await.0, 201);
        }
        let with = |names: &[&str]| {
            let mut labeler = scene.labeler.clone();
            labeler.optional_scopes.extend(names.iter().map(|name| ScopeRef::named(*name)));
            labeler
        };
        let both = with(&["models:read", "models:write"]);
        let done = scene.test.realm.reconcile_workload(&both).await.unwrap();
        assert_eq!(done.len(), 2, "{done:?}");
        assert_eq!(scene.test.realm.reconcile_workload(&both).await.unwrap(), [], "converged");

        let answer = scene.token(&scene.cluster, &["models:read"]).await.unwrap();
        let token = claims_of(&answer);
        assert_eq!(token["aud"], "models-api", "one audience, as a string");
        assert!(token.get("resource_access").is_none() && token.get("realm_access").is_none(), "{token}");
        assert!(answer.scope.contains("models:read") && !answer.scope.contains("models:write"), "{:?}", answer.scope);
        let endpoint = claims_of(&scene.token(&scene.cluster, &["resnet.vision.endpoint:predict"]).await.unwrap());
        assert_eq!(endpoint["aud"], "resnet.vision.endpoint", "an endpoint cannot replay it there");

        // What leaves the Realm's list leaves the client, and so does what others add: Keycloak itself says no then.
        let other = scene.test.realm.list_client_scopes().await.unwrap();
        let other = other.iter().find(|scope| scope.settings.name == "other").unwrap().reference().id;
        let path = format!("/clients/{}/optional-client-scopes/{other}", both.id);
        assert_eq!(scene.test.raw.put(&path, &json!({})).await.0, 204);
        let done = scene.test.realm.reconcile_workload(&with(&["models:read"])).await.unwrap();
        assert_eq!(done.len(), 2, "{done:?}");
        for scope in ["models:write", "other"] {
            assert!(scene.token(&scene.cluster, &[scope]).await.is_err(), "{scope} is refused");
        }
        assert!(scene.token(&scene.cluster, &["models:read"]).await.is_ok());

        let missing = scene.test.realm.reconcile_workload(&with(&["models:nowhere"])).await.unwrap_err();
        assert!(missing.to_string().contains("models:nowhere"), "{missing}");
        // A new client with such a scope has it from the start.
        let fresh = DesiredWorkload {
            optional_scopes: BTreeSet::from([ScopeRef::named("models:read")]),
            ..scene.test.workload("fresh", &[])
        };
        assert_eq!(scene.test.realm.reconcile_workload(&fresh).await.unwrap().len(), 1);
        assert_eq!(scene.test.realm.reconcile_workload(&fresh).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn a_scope_without_the_role_vanishes_from_a_good_answer() {
    in_realm(|test| async move {
        let scene = Scene::set(test).await;
        let answer = scene.token(&scene.cluster, &["resnet.vision.endpoint:read"]).await.unwrap();
        assert!(!answer.scope.contains("resnet.vision.endpoint:read"), "{:?}", answer.scope);
        let token = claims_of(&answer);
        assert!(token.get("aud").is_none() && token.get("resource_access").is_none(), "{token}");

        let both = ["resnet.vision.endpoint:read", "resnet.vision.endpoint:predict"];
        let token = claims_of(&scene.token(&scene.cluster, &both).await.unwrap());
        assert_eq!(token["resource_access"], json!({"resnet.vision.endpoint": {"roles": ["predict"]}}));
    })
    .await;
}

#[tokio::test]
async fn a_revoked_grant_and_a_suspended_workload_get_nothing() {
    in_realm(|test| async move {
        let scene = Scene::set(test).await;
        let ask = ["bert.vision.endpoint:predict"];
        assert_eq!(claims_of(&scene.token(&scene.cluster, &ask).await.unwrap())["aud"], "bert.vision.endpoint");
        let mut labeler = scene.labeler.clone();
        labeler.grants.remove(&scene.bert.client_id);
        scene.test.realm.reconcile_workload(&labeler).await.unwrap();
        assert!(claims_of(&scene.token(&scene.cluster, &ask).await.unwrap()).get("aud").is_none());

        let suspended = DesiredWorkload { enabled: false, ..labeler.clone() };
        let done = scene.test.realm.reconcile_workload(&suspended).await.unwrap();
        assert_eq!(done.len(), 1, "{done:?}");
        let error = scene.token(&scene.cluster, &ask).await.unwrap_err();
        assert!(matches!(error, TokenError::Refused { status: 401, .. }), "{error}");
        scene.test.realm.reconcile_workload(&labeler).await.unwrap();
        scene.token(&scene.cluster, &["resnet.vision.endpoint:predict"]).await.expect("its grants survived");
    })
    .await;
}

#[tokio::test]
async fn a_rotated_key_takes_effect_at_once_and_the_old_one_loses_it() {
    in_realm(|test| async move {
        let scene = Scene::set(test).await;
        let next = scene.cluster.rotated();
        assert!(scene.token(&next, &[]).await.is_err());
        scene.trust(&next).await;
        scene.token(&next, &[]).await.expect("the new key signs");
        assert!(scene.token(&scene.cluster, &[]).await.is_err(), "the old one no longer does");
    })
    .await;
}

/// What the guards of an endpoint do that asks of each token: its client logs in with their ServiceAccount, for that alone.
#[tokio::test]
async fn an_endpoints_guards_learn_what_became_of_a_token() {
    in_realm(|test| async move {
        let scene = Scene::set(test).await;
        let subject = "system:serviceaccount:vision:resnet";
        let login = Credential::Federated { issuer_alias: "cluster".into(), subject: subject.into() };
        let asking = DesiredEndpoint { login: Some(login), ..scene.resnet.clone() };
        assert_eq!(scene.test.realm.reconcile_endpoint(&asking).await.unwrap().len(), 1);
        assert_eq!(scene.test.realm.reconcile_endpoint(&asking).await.unwrap(), []);
        let answer = scene.token(&scene.cluster, &["resnet.vision.endpoint:predict"]).await.unwrap();
        let token = answer.access_token.expose_secret();
        let post = async |path: &str, subject: &str, form: &[(&str, &str)]| {
            let assertion = scene.cluster.token(subject, &scene.audience);
            let login = [
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.expose_secret()),
            ];
            let url = scene.test.realm.token_url().to_string();
            let url = url.strip_suffix("/token").map(|base| format!("{base}/{path}")).unwrap();
            let answer = crate::keycloak::http().post(url).form(&[&login, form].concat()).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
        };
        let ask = [("token", token)];
        let (status, said) = post("token/introspect", subject, &ask).await;
        assert_eq!((status, &said["active"]), (200, &json!(true)), "{said}");
        let (status, said) = post("token", subject, &[("grant_type", "client_credentials")]).await;
        assert!(status >= 400 && said.get("access_token").is_none(), "no token for it: {status} {said}");

        let (status, said) = post("revoke", "system:serviceaccount:agents:labeler", &ask).await;
        assert_eq!(status, 200, "{said}");
        let (status, said) = post("token/introspect", subject, &ask).await;
        assert_eq!((status, &said["active"]), (200, &json!(false)), "{said}");

        assert_eq!(scene.test.realm.reconcile_endpoint(&scene.resnet).await.unwrap().len(), 1, "the binding goes");
        assert_eq!(post("token/introspect", subject, &ask).await.0, 401);
    })
    .await;
}

#[tokio::test]
async fn nobody_logs_in_as_an_endpoint() {
    in_realm(|test| async move {
        let scene = Scene::set(test).await;
        let (_, client) = scene.test.raw.get(&format!("/clients/{}", scene.resnet.id)).await;
        let secret = client["secret"].as_str().unwrap_or_default().to_owned();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", scene.resnet.client_id.as_str()),
            ("client_secret", secret.as_str()),
        ];
        let answer = crate::keycloak::http().post(scene.test.realm.token_url()).form(&form).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "the secret that Keycloak made is good for nothing");
        let form =
            [("token", "anything"), ("client_id", scene.resnet.client_id.as_str()), ("client_secret", secret.as_str())];
        let introspection = format!("{}/introspect", scene.test.realm.token_url());
        let answer = crate::keycloak::http().post(introspection).form(&form).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401);
    })
    .await;
}
