//! Applications that people open in a browser: their clients, and sign-in by a page's own script.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use keywire::{
    api::WebApp,
    core::{
        build::{Site, desired_app},
        desired::{DesiredEndpoint, Sealed},
    },
};
use reqwest::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN};
use serde_json::{Value, json};
use url::Url;

use crate::{
    browser::{APP, Browser},
    issuer::claims,
    keycloak::{TestRealm, http, in_realm},
};

/// A page's secret for one sign-in (RFC 7636, section 4.1).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// What an application logs in with that signs people in itself.
const SECRET: &str = "a-secret-of-this-test";

/// An application as its object describes it.
fn app(test: &TestRealm, spec: Value) -> DesiredEndpoint {
    let object = json!({"apiVersion": "keywire.dev/v1alpha1", "kind": "WebApp",
        "metadata": {"namespace": "tools", "name": "board", "uid": "1"}, "spec": spec});
    let object: WebApp = serde_json::from_value(object).expect("a WebApp");
    let app = object.parse().expect("good");
    let secret = app.native().map(|_| Sealed::new("1", SECRET));
    desired_app(Site { cluster: "test", realm: &test.name }, &app, Some("keywire-test"), secret)
}

fn sidecar(permissions: &[&str]) -> Value {
    let rules: Vec<_> =
        permissions.iter().map(|name| json!({"path": format!("/{name}"), "permission": name})).collect();
    json!({"realm": "ml", "host": "board.example", "signIn": "Sidecar", "serviceAccountName": "board", "port": 3000,
        "workload": {"matchLabels": {"app": "board"}}, "rules": rules,
        "access": [{"name": "users", "people": [{"user": "ann"}]}]})
}

fn public() -> Value {
    json!({"realm": "ml", "host": "app.example", "scheme": "http", "signIn": "Public",
        "public": {"redirectPaths": ["/callback"]}, "access": [{"name": "users", "people": [{"user": "ann"}]}]})
}

async fn ann(test: &TestRealm) {
    let person = json!({"username": "ann", "enabled": true, "email": "ann@example.com", "firstName": "Ann", "lastName": "A",
        "credentials": [{"type": "password", "value": "ann", "temporary": false}]});
    assert_eq!(test.raw.post("/users", &person).await.0, 201);
}

#[tokio::test]
async fn an_application_is_made_and_kept() {
    in_realm(|test| async move {
        ann(&test).await;
        let desired = app(&test, sidecar(&[]));
        test.realm.reconcile_endpoint(&desired).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&desired).await.unwrap(), [], "converged");
        // A page of its own, with the same permission and one more.
        let more = app(&test, sidecar(&["admin"]));
        assert!(!test.realm.reconcile_endpoint(&more).await.unwrap().is_empty());
        assert_eq!(test.realm.reconcile_endpoint(&more).await.unwrap(), [], "converged");

        let path = format!("/clients/{}", desired.id);
        let (_, before) = test.raw.get(&path).await;
        let mut meddled = before.clone();
        meddled["redirectUris"] = json!(["*"]);
        meddled["implicitFlowEnabled"] = json!(true);
        meddled["protocolMappers"] = json!([]);
        assert_eq!(test.raw.put(&path, &meddled).await.0, 204);
        // Whoever asks for it would have a scope of his own in every token.
        let (_, scopes) = test.raw.get("/client-scopes").await;
        let phone = scopes.as_array().unwrap().iter().find(|scope| scope["name"] == "basic").unwrap()["id"].clone();
        let scope = format!("{path}/default-client-scopes/{}", phone.as_str().unwrap());
        assert_eq!(test.raw.delete(&scope).await.0, 204);
        assert!(!test.realm.reconcile_endpoint(&more).await.unwrap().is_empty(), "it is noticed");
        assert_eq!(test.realm.reconcile_endpoint(&more).await.unwrap(), [], "and undone");
        let (_, after) = test.raw.get(&path).await;
        for field in ["redirectUris", "implicitFlowEnabled", "defaultClientScopes"] {
            let sorted = |value: &Value| {
                let mut list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
                list.sort_by_key(Value::to_string);
                list
            };
            assert_eq!(sorted(&after[field]), sorted(&before[field]), "{field}");
        }
        assert_eq!(after["protocolMappers"].as_array().unwrap().len(), 1);
        // From one way of signing in to the other.
        let page = app(&test, public());
        test.realm.reconcile_endpoint(&page).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&page).await.unwrap(), [], "converged");
    })
    .await;
}

/// What a page asks for, and what it gets.
struct Spa {
    test: TestRealm,
    client_id: String,
}

impl Spa {
    fn endpoint(&self, name: &str) -> Url {
        let base = self.test.keycloak.url.as_str().trim_end_matches('/').to_owned();
        format!("{base}/realms/{}/protocol/openid-connect/{name}", self.test.name).parse().expect("a URL")
    }

    fn authorization(&self, redirect_uri: &str, challenge: Option<&str>) -> Url {
        let mut url = self.endpoint("auth");
        url.query_pairs_mut()
            .extend_pairs([("client_id", self.client_id.as_str()), ("response_type", "code"), ("scope", "openid")])
            .append_pair("redirect_uri", redirect_uri);
        if let Some(challenge) = challenge {
            url.query_pairs_mut().extend_pairs([("code_challenge", challenge), ("code_challenge_method", "S256")]);
        }
        url
    }

    /// The status, whose pages may read the answer, and the answer.
    async fn exchange(&self, code: &str, verifier: &str, origin: &str) -> (u16, Option<String>, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &self.client_id),
            ("code", code),
            ("redirect_uri", APP),
            ("code_verifier", verifier),
        ];
        let answer = http().post(self.endpoint("token")).header(ORIGIN, origin).form(&form).send().await.unwrap();
        let allowed = answer.headers().get(ACCESS_CONTROL_ALLOW_ORIGIN).map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), allowed, answer.json().await.unwrap())
    }

    async fn code(&self, challenge: &str) -> String {
        let mut browser = Browser::new(&self.test.keycloak.url);
        let form = browser.open(&self.authorization(APP, Some(challenge))).await;
        browser.submit(&form, &[("username", "ann"), ("password", "ann")]).await.parameter("code")
    }
}

#[tokio::test]
async fn a_page_signs_people_in_without_a_secret() {
    in_realm(|test| async move {
        ann(&test).await;
        let desired = app(&test, public());
        test.realm.reconcile_endpoint(&desired).await.unwrap();
        let spa = Spa { client_id: desired.client_id.clone(), test };
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let (status, allowed, answer) = spa.exchange(&spa.code(&challenge).await, VERIFIER, "http://app.example").await;
        assert_eq!((status, allowed.as_deref()), (200, Some("http://app.example")), "{}", answer["error_description"]);
        let token = claims(answer["access_token"].as_str().unwrap());
        assert_eq!(token["aud"], json!(desired.client_id), "one audience");
        let mut roles: Vec<_> = token["resource_access"][&desired.client_id]["roles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|role| role.as_str().unwrap())
            .collect();
        roles.sort_unstable();
        assert_eq!(roles, ["grant.users", "use"]);
        assert_eq!(token["realm_access"], json!(null), "nothing of the realm's");

        // Pages of other origins may not read it, a code without its verifier is worth nothing.
        let (_, allowed, _) = spa.exchange(&spa.code(&challenge).await, VERIFIER, "http://evil.example").await;
        assert_eq!(allowed, None);
        let other = "another-verifier-that-is-as-long-as-the-first-one";
        let (status, ..) = spa.exchange(&spa.code(&challenge).await, other, "http://app.example").await;
        assert_eq!(status, 400);
        // Nor is anything given without PKCE, or to another place.
        let browser = Browser::new(&spa.test.keycloak.url);
        let (status, _) = browser.look(&spa.authorization("http://app.example/callback/more", Some(&challenge))).await;
        assert_eq!(status, 400, "redirect URIs are compared as they are");
        let mut browser = Browser::new(&spa.test.keycloak.url);
        let refused = browser.open(&spa.authorization(APP, None)).await;
        assert_eq!(refused.parameter("error"), "invalid_request");
    })
    .await;
}

fn native() -> Value {
    json!({"realm": "ml", "host": "app.example", "scheme": "http", "signIn": "Native",
        "native": {"redirectPaths": ["/callback"], "roles": ["use", "admin"], "rolesClaim": "may"},
        "access": [{"name": "users", "people": [{"user": "ann"}]}]})
}

#[tokio::test]
async fn an_application_that_signs_people_in_itself_logs_in_with_its_secret() {
    in_realm(|test| async move {
        ann(&test).await;
        let desired = app(&test, native());
        test.realm.reconcile_endpoint(&desired).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&desired).await.unwrap(), [], "converged");
        // Somebody gives it another secret.
        let path = format!("/clients/{}", desired.id);
        assert_eq!(test.raw.post(&format!("{path}/client-secret"), &json!({})).await.0, 200);
        assert_eq!(test.realm.reconcile_endpoint(&desired).await.unwrap().len(), 1, "it is noticed");

        let spa = Spa { client_id: desired.client_id.clone(), test };
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()));
        let exchange = async |secret: &str| {
            let code = spa.code(&challenge).await;
            let form = [
                ("grant_type", "authorization_code"),
                ("client_id", &spa.client_id),
                ("client_secret", secret),
                ("code", &code),
                ("redirect_uri", APP),
                ("code_verifier", VERIFIER),
            ];
            let answer = http().post(spa.endpoint("token")).form(&form).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        };
        assert_eq!(exchange("another").await.0, 401);
        let (status, answer) = exchange(SECRET).await;
        assert_eq!(status, 200, "{}", answer["error_description"]);
        let told = http().get(spa.endpoint("userinfo")).bearer_auth(answer["access_token"].as_str().unwrap());
        let told: Value = told.send().await.unwrap().json().await.unwrap();
        for tokens in
            [claims(answer["id_token"].as_str().unwrap()), claims(answer["access_token"].as_str().unwrap()), told]
        {
            let mut roles: Vec<_> =
                tokens["may"].as_array().unwrap().iter().map(|role| role.as_str().unwrap()).collect();
            roles.sort_unstable();
            assert_eq!(roles, ["grant.users", "use"], "wherever the application looks");
        }
        // With the secret alone it gets nothing.
        let alone = [("grant_type", "client_credentials"), ("client_id", &spa.client_id), ("client_secret", SECRET)];
        let answer = http().post(spa.endpoint("token")).form(&alone).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401);
    })
    .await;
}

#[tokio::test]
async fn who_holds_a_role_of_somebody_elses_client_may_open_it() {
    in_realm(|test| async move {
        ann(&test).await;
        let hub = json!({"clientId": "https://hub.example/x", "publicClient": true, "standardFlowEnabled": false});
        assert_eq!(test.raw.post("/clients", &hub).await.0, 201);
        let (_, found) = test.raw.get("/clients?clientId=https://hub.example/x").await;
        let role = format!("/clients/{}/roles", found[0]["id"].as_str().unwrap());
        assert_eq!(test.raw.post(&role, &json!({"name": "member"})).await.0, 201);
        let (_, member) = test.raw.get(&format!("{role}/member")).await;
        let (_, users) = test.raw.get("/users?username=ann").await;
        let mappings = format!(
            "/users/{}/role-mappings/clients/{}",
            users[0]["id"].as_str().unwrap(),
            found[0]["id"].as_str().unwrap()
        );
        assert_eq!(test.raw.post(&mappings, &json!([member])).await.0, 204);

        let named = |client: &str, role: &str| {
            let mut spec = public();
            spec["access"][0]["people"] = json!([{"clientRole": {"client": client, "role": role}}]);
            app(&test, spec)
        };
        let desired = named("https://hub.example/x", "member");
        test.realm.reconcile_endpoint(&desired).await.unwrap();
        assert_eq!(test.realm.reconcile_endpoint(&desired).await.unwrap(), [], "converged");
        let included = format!("{role}/member/composites/clients/{}", desired.id);
        let includes = async || {
            let mut names: Vec<_> =
                test.raw.get(&included).await.1.as_array().unwrap().iter().map(|role| role["name"].clone()).collect();
            names.sort_by_key(ToString::to_string);
            Value::Array(names)
        };
        assert_eq!(includes().await, json!(["grant.users", "use"]));
        // What somebody takes away is put back; what is not granted any more goes.
        let (_, all) = test.raw.get(&included).await;
        assert_eq!(test.raw.delete_with(&format!("{role}/member/composites"), &all).await.0, 204);
        assert!(!test.realm.reconcile_endpoint(&desired).await.unwrap().is_empty(), "it is noticed");
        assert_eq!(includes().await, json!(["grant.users", "use"]));
        // A role of our own means one thing alone, and there is no such client.
        for absent in [named(&desired.client_id, "use"), named("nobody", "use")] {
            test.realm.reconcile_endpoint(&absent).await.unwrap();
            assert_eq!(test.realm.reconcile_endpoint(&absent).await.unwrap(), [], "converged");
            assert_eq!(test.realm.absent_people(&desired.client_id).len(), 1);
        }
        assert_eq!(includes().await, json!([]));
    })
    .await;
}
