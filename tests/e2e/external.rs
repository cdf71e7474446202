//! An API outside the cluster: the Realm lists it, the pod calls a loopback port, its token is for that API alone.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    runtime::{Builder, Runtime},
};

use crate::{
    cluster::{Object, kubectl},
    eventually::PATIENCE,
    front::{Front, authority},
    objects::{caller_pod, identity, service_account},
    pods::{Request, start},
    stage::Stage,
};

/// What the API outside was asked.
#[derive(Clone, Default)]
struct Api {
    heads: Arc<Mutex<Vec<String>>>,
}

impl Api {
    /// Answers each request, and keeps its head.
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let heads = Arc::clone(&self.heads);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let heads = Arc::clone(&heads);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await.ok()?);
                    }
                    heads.lock().expect("lock").push(String::from_utf8_lossy(&head).into_owned());
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                    stream.write_all(answer).await.ok()
                });
            }
        });
        address
    }

    /// The claims of the token in the last request.
    fn claims(&self) -> Value {
        let heads = self.heads.lock().expect("lock");
        let fields = heads.last().expect("a request").lines().filter_map(|line| line.split_once(": "));
        let mut tokens = fields.filter(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let (_, value) = tokens.next().expect("an Authorization");
        let payload = value.strip_prefix("Bearer ").and_then(|token| token.split('.').nth(1)).expect("a token");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).expect("base64")).expect("claims")
    }
}

fn outside() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// The machine as pods reach it.
fn node() -> IpAddr {
    let server = kubectl(&["config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"]);
    let url: url::Url = server.parse().expect("the API server's URL");
    url.host_str().expect("a host").parse().expect("an address")
}

#[test]
fn a_pod_calls_an_api_outside_as_far_as_the_realm_lists_it() {
    let (runtime, api, ca, address) = (outside(), Api::default(), authority(), node());
    let behind = format!("http://{}", runtime.block_on(api.start())).parse().expect("a URL");
    let front = runtime.block_on(Front::start(&ca, &address.to_string(), address, &behind));
    let base = front.url.as_str().trim_end_matches('/').to_owned();

    let stage = Stage::with_realm("external");
    let agents = stage.namespace("agents");
    stage.apply(service_account(&agents, "labeler"));
    let mut labeler = identity(&stage.id, &agents, "labeler", &[]);
    labeler["spec"]["egress"] = json!("Restricted");
    let target = json!({"env": "MODELS_URL",
        "external": {"url": format!("{base}/v1"), "audience": "models-api", "scopes": ["models:read"]}});
    labeler["spec"]["targets"] = json!([target]);
    stage.apply(labeler);
    let object = Object::in_namespace(&agents, "workloadidentity", "labeler");
    let message = object.wait_condition("Targets", "False", "AudienceNotListed");
    assert!(message.contains("models-api") && message.contains("externalAudiences"), "{message}");
    let pod = start(&caller_pod(&agents, "labeler")).wait_ready();
    assert_eq!(pod.run("printf %s \"$MODELS_URL\""), "http://127.0.0.1:15100/v1");
    let chat = Request::get("$MODELS_URL/chat");
    assert_eq!(pod.call_until(503, &chat).reason(), "port_not_served");

    let mapper = json!({"name": "audience", "type": "oidc-audience-mapper",
        "config": {"included.custom.audience": "models-api", "access.token.claim": "true"}});
    let listed =
        |urls: Value| json!([{"audience": "models-api", "scopes": ["models:read"], "urls": urls, "ca": ca.pem()}]);
    stage.realm_object().patch(&json!({"spec": {
        "clientScopes": [{"name": "models:read", "mappers": [mapper]}],
        "externalAudiences": listed(json!([format!("{base}/")])),
    }}));
    object.wait_condition("Targets", "True", "Found");
    object.wait_ready(PATIENCE);
    pod.call_until(200, &chat);
    let claims = api.claims();
    assert_eq!(claims["aud"], "models-api", "that API's alone");
    assert_eq!(claims["azp"], format!("labeler.{agents}.workload"));
    let beside = pod.call(&Request::get("http://127.0.0.1:15100/admin"));
    assert_eq!((beside.status, beside.reason()), (403, "path_not_listed"));
    let policy = Object::in_namespace(&agents, "networkpolicy", "keywire.egress.labeler").get().expect("a policy");
    let to = json!([{"ipBlock": {"cidr": format!("{address}/32")}}]);
    let egress = policy["spec"]["egress"].as_array().expect("rules");
    assert!(
        egress.iter().any(|rule| rule["to"] == to && rule["ports"][0]["port"] == front.url.port().unwrap()),
        "{egress:?}"
    );

    // The platform team takes it back: neither the sidecar nor Keycloak goes on.
    stage.realm_object().patch(&json!({"spec": {"externalAudiences": listed(json!(["https://models.example.com/"]))}}));
    let message = object.wait_condition("Targets", "False", "AudienceNotListed");
    assert!(message.contains(&base), "{message}");
    assert_eq!(pod.call_until(503, &chat).reason(), "port_not_served");
    let assertion = stage.assertion(&agents, "labeler");
    let (status, answer) = stage.log_in(&assertion, &[("scope", "models:read")]);
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_scope")));
}
