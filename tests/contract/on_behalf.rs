//! Calls on behalf of others: tokens that are exchanged (RFC 8693), and what tells them from a client's own.

use std::collections::BTreeSet;

use keywire::core::claims::{OWN_CLAIM, SERVICE_ACCOUNT_PREFIX, USER_CLAIM};
use keywire::core::desired::{DesiredEndpoint, DesiredRealm, DesiredWorkload, Management, PermissionScope};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::issuer::{Issuer, claims};
use crate::keycloak::{TestRealm, in_realm, owner};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A chain: a person and a workload call `gateway`, which calls `tools` on their behalf, which calls `data`.
struct Scene {
    test: TestRealm,
    cluster: Issuer,
    audience: String,
    gateway: DesiredEndpoint,
    tools: DesiredEndpoint,
    data: DesiredEndpoint,
    router: DesiredWorkload,
    worker: DesiredWorkload,
    batch: DesiredWorkload,
    person: String,
}

fn acting(endpoint: DesiredEndpoint, identity: &str) -> DesiredEndpoint {
    let by = |scope: PermissionScope| scope.exchanged_by(Some(identity.to_owned()));
    DesiredEndpoint { scopes: endpoint.scopes.clone().into_iter().map(by).collect(), ..endpoint }
}

impl Scene {
    async fn set(test: TestRealm) -> Self {
        let cluster = Issuer::new(&test.name);
        let gateway = acting(test.endpoint("gateway", &["execute"]), "router.agents.workload");
        let tools = acting(test.endpoint("tools", &["execute", "read"]), "worker.agents.workload");
        let data = test.endpoint("data", &["execute"]);
        let acts = |workload: DesiredWorkload| DesiredWorkload { acts_on_behalf: true, ..workload };
        let router = acts(test.workload("router", &[&tools, &data]));
        let worker = acts(test.workload("worker", &[&data]));
        let mut batch = test.workload("batch", &[&gateway]);
        let audience = test.issuer().await;
        let realm = DesiredRealm {
            realm: test.name.clone(),
            owner: owner("Realm", None, "ml"),
            management: Management::ClientsOnly,
            workload_issuer: Some(cluster.trusted_as("cluster")),
            adopt: false,
        };
        test.realm.reconcile_realm(&realm).await.unwrap();
        for endpoint in [&gateway, &tools, &data] {
            test.realm.reconcile_endpoint(endpoint).await.unwrap();
            batch.grants.insert(endpoint.client_id.clone(), BTreeSet::from(["execute".to_owned()]));
        }
        for workload in [&router, &worker, &batch] {
            test.realm.reconcile_workload(workload).await.unwrap();
            assert_eq!(test.realm.reconcile_workload(workload).await.unwrap(), [], "{}", workload.client_id);
        }
        assert_eq!(test.realm.reconcile_endpoint(&gateway).await.unwrap(), []);
        let person = person(&test, &[&gateway, &tools, &data]).await;
        Self { test, cluster, audience, gateway, tools, data, router, worker, batch, person }
    }

    async fn post(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let url = self.test.realm.token_url();
        let answer = crate::keycloak::http().post(url).form(form).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// The person's own token, by a client that people use.
    async fn of_person(&self, endpoint: &DesiredEndpoint) -> String {
        let scope = format!("{}:execute", endpoint.client_id);
        let form = [
            ("grant_type", "password"),
            ("client_id", "cli"),
            ("username", "ann"),
            ("password", "only-for-this-test"),
            ("scope", scope.as_str()),
        ];
        token(self.post(&form).await)
    }

    async fn log_in(&self, workload: &DesiredWorkload, form: &[(&str, &str)]) -> (u16, Value) {
        let name = workload.client_id.split('.').next().unwrap();
        let assertion = self.cluster.token(&format!("system:serviceaccount:agents:{name}"), &self.audience);
        let login = [
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.expose_secret()),
        ];
        self.post(&[&login, form].concat()).await
    }

    async fn own(&self, workload: &DesiredWorkload, endpoint: &DesiredEndpoint) -> String {
        let scope = format!("{}:execute", endpoint.client_id);
        token(self.log_in(workload, &[("grant_type", "client_credentials"), ("scope", &scope)]).await)
    }

    async fn exchange(&self, workload: &DesiredWorkload, subject: &str, endpoint: &DesiredEndpoint) -> (u16, Value) {
        let scope = format!("{}:execute", endpoint.client_id);
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", subject),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("scope", scope.as_str()),
        ];
        self.log_in(workload, &form).await
    }
}

fn token((status, answer): (u16, Value)) -> String {
    assert_eq!(status, 200, "{answer}");
    answer["access_token"].as_str().unwrap().to_owned()
}

fn audiences(token: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    token["aud"]
        .as_array()
        .map_or_else(|| text(&token["aud"]).into_iter().collect(), |all| all.iter().filter_map(text).collect())
}

/// A person with the role `execute` of these, and the client by which people log in; gives the account's id.
async fn person(test: &TestRealm, endpoints: &[&DesiredEndpoint]) -> String {
    let body = json!({"username": "ann", "enabled": true, "email": "ann@example.com", "emailVerified": true, "firstName": "A",
        "lastName": "B", "credentials": [{"type": "password", "value": "only-for-this-test", "temporary": false}]});
    assert_eq!(test.raw.post("/users", &body).await.0, 201);
    let (_, found) = test.raw.get("/users?username=ann&exact=true").await;
    let person = found[0]["id"].as_str().unwrap().to_owned();
    for endpoint in endpoints {
        let (_, role) = test.raw.get(&format!("/clients/{}/roles/execute", endpoint.id)).await;
        let path = format!("/users/{person}/role-mappings/clients/{}", endpoint.id);
        assert_eq!(test.raw.post(&path, &json!([{"id": role["id"], "name": "execute"}])).await.0, 204);
    }
    let scopes: Vec<_> = endpoints.iter().flat_map(|endpoint| &endpoint.scopes).map(|scope| &scope.name).collect();
    let cli = json!({"clientId": "cli", "protocol": "openid-connect", "publicClient": true, "directAccessGrantsEnabled": true,
        "standardFlowEnabled": false, "fullScopeAllowed": false, "defaultClientScopes": ["basic", "roles"],
        "optionalClientScopes": scopes});
    assert_eq!(test.raw.post("/clients", &cli).await.0, 201);
    person
}

#[tokio::test]
async fn a_token_to_be_exchanged_is_for_the_endpoint_and_its_identity_alone() {
    in_realm(|test| async move {
        let scene = Scene::set(test).await;
        let both = BTreeSet::from(["gateway.vision.endpoint".to_owned(), "router.agents.workload".to_owned()]);
        for token in [scene.of_person(&scene.gateway).await, scene.own(&scene.batch, &scene.gateway).await] {
            assert_eq!(audiences(&claims(&token)), both);
        }
        let direct = claims(&scene.own(&scene.batch, &scene.gateway).await);
        assert!(
            direct.get(OWN_CLAIM).is_none() && direct.get(USER_CLAIM).is_none(),
            "only of who may exchange: {direct}"
        );
        // Who is not in a token's audience exchanges nothing.
        let of_person = scene.of_person(&scene.gateway).await;
        assert_eq!(scene.exchange(&scene.worker, &of_person, &scene.data).await.0, 403);
        let not_acting = DesiredWorkload { acts_on_behalf: false, ..scene.router.clone() };
        scene.test.realm.reconcile_workload(&not_acting).await.unwrap();
        assert_eq!(scene.test.realm.reconcile_workload(&not_acting).await.unwrap(), []);
        assert_eq!(scene.exchange(&scene.router, &of_person, &scene.data).await.0, 400, "not any more");
    })
    .await;
}

/// What guards rely on: who logged in himself is told by a claim that no exchange gives.
#[tokio::test]
async fn a_token_that_was_exchanged_is_never_taken_for_the_clients_own() {
    in_realm(|test| async move {
        let mut scene = Scene::set(test).await;
        for workload in [&mut scene.router, &mut scene.worker] {
            workload.grants.insert(scene.data.client_id.clone(), BTreeSet::from(["execute".to_owned()]));
            scene.test.realm.reconcile_workload(workload).await.unwrap();
        }
        let own = claims(&scene.own(&scene.router, &scene.data).await);
        assert_eq!(
            (&own[OWN_CLAIM], &own["azp"]),
            (&json!("router.agents.workload"), &json!("router.agents.workload"))
        );

        let of_person = scene.of_person(&scene.gateway).await;
        let first = token(scene.exchange(&scene.router, &of_person, &scene.tools).await);
        let second = token(scene.exchange(&scene.worker, &first, &scene.data).await);
        let account = format!("{SERVICE_ACCOUNT_PREFIX}batch.agents.workload");
        let of_batch = scene.own(&scene.batch, &scene.gateway).await;
        let for_batch = token(scene.exchange(&scene.router, &of_batch, &scene.tools).await);
        let chained = token(scene.exchange(&scene.worker, &for_batch, &scene.data).await);
        let own = scene.own(&scene.router, &scene.data).await;
        let again = token(scene.exchange(&scene.router, &own, &scene.data).await);
        for (what, token, azp, user) in [
            ("for a person", &first, "router", "ann"),
            ("for a person, by the second of a chain", &second, "worker", "ann"),
            ("for a workload", &for_batch, "router", &*account),
            ("for a workload, by the second of a chain", &chained, "worker", &*account),
            ("its own, exchanged", &again, "router", "service-account-router.agents.workload"),
        ] {
            let token = claims(token);
            assert!(token.get(OWN_CLAIM).is_none(), "{what}: {token}");
            assert_eq!(
                (&token["azp"], &token[USER_CLAIM]),
                (&json!(format!("{azp}.agents.workload")), &json!(user)),
                "{what}"
            );
        }
        let told = claims(&second);
        assert_eq!((&told["sub"], &told["aud"]), (&json!(scene.person), &json!("data.vision.endpoint")));
        assert_eq!(
            told["resource_access"],
            json!({"data.vision.endpoint": {"roles": ["execute"]}}),
            "the person's roles"
        );
    })
    .await;
}

#[tokio::test]
async fn what_the_bearer_lacks_no_exchange_gives() {
    in_realm(|test| async move {
        let mut scene = Scene::set(test).await;
        scene.router.grants.insert(scene.data.client_id.clone(), BTreeSet::from(["execute".to_owned()]));
        scene.test.realm.reconcile_workload(&scene.router).await.unwrap();
        let of_person = scene.of_person(&scene.gateway).await;
        let (_, role) = scene.test.raw.get(&format!("/clients/{}/roles/execute", scene.data.id)).await;
        let path = format!("/users/{}/role-mappings/clients/{}", scene.person, scene.data.id);
        assert_eq!(scene.test.raw.delete_with(&path, &json!([{"id": role["id"], "name": "execute"}])).await.0, 204);
        let (status, answer) = scene.exchange(&scene.router, &of_person, &scene.data).await;
        let token = claims(answer["access_token"].as_str().unwrap_or_default());
        assert!(
            status == 200 && audiences(&token).is_empty() && answer["scope"] == "",
            "the agent's role is not in it: {answer}"
        );

        let disabled = json!({"enabled": false, "email": "ann@example.com", "firstName": "A", "lastName": "B"});
        assert_eq!(scene.test.raw.put(&format!("/users/{}", scene.person), &disabled).await.0, 204);
        let (status, answer) = scene.exchange(&scene.router, &of_person, &scene.tools).await;
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_request")), "{answer}");
    })
    .await;
}
