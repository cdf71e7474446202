//! Calls on behalf of callers: whoever has a call's handle may call for its caller, through this process, until the token ends.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as URL_SAFE};
use keywire::proxy::handles::MAX_BYTES;
use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Answer, call, raw},
    grpc::{self, GrpcApp, field, frame, request},
    h2,
    issuer::{Issuer, TokenAnswer},
    keys,
    proxy::{ENDPOINT, LABELER, Proxy, Setup, egress, policy},
};

const PATH: &str = "/v2/models/iris/infer";
const FIELD: &str = "x-keywire-on-behalf-of";
/// Who calls the agent. What his token says of him is good at the agent alone.
const CALLER: &str = "caller.people.workload";

/// An agent: `app` behind its guard, and beside it the way out to `tools`.
struct Agent {
    issuer: Issuer,
    app: App,
    tools: App,
    proxy: Proxy,
}

impl Agent {
    async fn start() -> Self {
        Self::start_with(|_, _| {}).await
    }

    async fn start_with(change: impl FnOnce(&mut Value, &mut Value)) -> Self {
        let (issuer, app, tools) = (Issuer::start().await, App::start().await, App::start().await);
        issuer.set_answer(grant(&["predict"]));
        let (mut guard, mut out) = (acting(&issuer, &app), egress(&issuer, tools.address));
        change(&mut guard, &mut out);
        let proxy = both(&guard, &out).await;
        Self { issuer, app, tools, proxy }
    }

    fn token(&self, name: &str) -> String {
        let mut claims = self.issuer.claims(ENDPOINT, CALLER, &["predict"], self.proxy.now(), 300);
        (claims["sub"], claims["jti"]) = (json!(name), json!(name));
        claims["aud"] = json!([ENDPOINT, LABELER]);
        self.issuer.signed(keys::issuer(), &claims)
    }

    /// A call comes in; gives the handle that the application gets with it.
    async fn handle(&self, token: &str) -> String {
        assert_eq!(call(self.proxy.guard_address(), "POST", PATH, Some(token)).await.status, 200);
        let [handle] = <[String; 1]>::try_from(self.app.last(FIELD)).expect("one handle");
        handle
    }

    async fn out(&self, fields: &str) -> Answer {
        let bytes = format!("POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}Content-Length: 0\r\n\r\n");
        raw(self.proxy.egress_address(), bytes).await.expect("an answer")
    }

    async fn out_for(&self, handle: &str) -> Answer {
        self.out(&format!("{FIELD}: {handle}\r\n")).await
    }
}

fn grant(roles: &[&str]) -> TokenAnswer {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    TokenAnswer::Grant { endpoint: ENDPOINT.to_owned(), client: LABELER.to_owned(), roles, lifetime: 300 }
}

fn acting(issuer: &Issuer, app: &App) -> Value {
    let mut document = policy(issuer, app);
    document["onBehalfOf"] = json!(LABELER);
    document["grants"] =
        json!([{"name": "callers", "subject": {"client": CALLER}, "permissions": ["predict", "read"]}]);
    document
}

async fn both(guard: &Value, out: &Value) -> Proxy {
    let mut proxy = Proxy::prepare();
    proxy.write("guard/guard.json", &proxy.with_ports(guard).to_string());
    proxy.write("egress/egress.json", &proxy.with_ports(out).to_string());
    proxy.start(&Setup { guard: true, egress: true, ..Setup::default() });
    proxy.until_ready().await;
    proxy
}

#[tokio::test]
async fn a_caller_is_called_for_with_the_handle_that_came_with_the_call() {
    let agent = Agent::start().await;
    let token = agent.token("ann");
    let handle = agent.handle(&token).await;
    assert_eq!(handle.len(), 22, "128 bits");
    assert!(agent.app.last("authorization").is_empty(), "the token itself is not for the application");
    assert_eq!(agent.handle(&token).await, handle, "one token, one handle");

    assert_eq!(agent.out_for(&handle).await.status, 200);
    let form = agent.issuer.forms().pop().unwrap_or_default();
    for pair in [
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange",
        "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token",
        &format!("subject_token={token}"),
        "client_assertion=the.assertion.itself",
        "scope=iris.vision.endpoint%3Apredict+iris.vision.endpoint%3Aread",
    ] {
        assert!(form.split('&').any(|found| found == pair), "{pair} in {form}");
    }
    assert!(agent.tools.last(FIELD).is_empty(), "it does not leave the pod");
    let sent = agent.tools.last("authorization");
    assert!(sent.len() == 1 && !sent[0].contains(&token), "and neither does the token that it stands for");
    assert_eq!(agent.out_for(&handle).await.status, 200);
    assert_eq!((agent.tools.last("authorization"), agent.issuer.token_fetches()), (sent.clone(), 1), "fetched once");

    assert_eq!(agent.out("").await.status, 200);
    assert!(agent.issuer.forms().pop().is_some_and(|form| form.contains("grant_type=client_credentials")));
    assert_ne!(agent.tools.last("authorization"), sent, "without a handle the workload calls for itself");
}

#[tokio::test]
async fn a_handle_that_nobody_gave_is_worth_nothing() {
    let agent = Agent::start().await;
    let handle = agent.handle(&agent.token("ann")).await;
    let turned: String = handle.chars().rev().collect();
    let forged = URL_SAFE.encode([7; 16]);
    for (fields, status, reason) in [
        (format!("{FIELD}: {forged}\r\n"), 403, "handle_unknown"),
        (format!("{FIELD}: \r\n"), 400, "handle_invalid"),
        (format!("{FIELD}: {}\r\n", &handle[..21]), 400, "handle_invalid"),
        (format!("{FIELD}: {handle}{handle}\r\n"), 400, "handle_invalid"),
        (format!("{FIELD}: {handle}\r\n{FIELD}: {handle}\r\n"), 400, "handle_invalid"),
        (format!("{FIELD}: {handle}, {handle}\r\n"), 400, "handle_invalid"),
        (format!("x_keywire_on_behalf_of: {handle}\r\n"), 400, "aliased_header"),
    ] {
        let answer = agent.out(&fields).await;
        assert_eq!((answer.status, answer.reason().as_str()), (status, reason), "{fields}");
    }
    assert!(matches!(agent.out_for(&turned).await.status, 400 | 403));
    assert!(
        agent.tools.heads().is_empty() && agent.issuer.token_fetches() == 0,
        "nor does the workload call for itself"
    );
}

#[tokio::test]
async fn nobody_brings_a_handle_along() {
    let agent = Agent::start().await;
    let of_bob = agent.handle(&agent.token("bob")).await;
    let bytes = format!(
        "POST {PATH} HTTP/1.1\r\nHost: iris\r\nAuthorization: Bearer {}\r\n{FIELD}: {of_bob}\r\nX-Keywire-Actor: root\r\n\
         Content-Length: 0\r\n\r\n",
        agent.token("ann")
    );
    assert_eq!(raw(agent.proxy.guard_address(), bytes).await.map(|answer| answer.status), Some(200));
    let given = agent.app.last(FIELD);
    assert!(given.len() == 1 && given[0] != of_bob, "{given:?}");
    assert!(agent.app.last("x-keywire-actor").is_empty());
    // Where there is no caller, there is nobody to call for.
    let bytes = format!("GET /hello HTTP/1.1\r\nHost: iris\r\n{FIELD}: {of_bob}\r\n\r\n");
    assert_eq!(raw(agent.proxy.guard_address(), bytes).await.map(|answer| answer.status), Some(200));
    assert!(agent.app.last(FIELD).is_empty());
}

#[tokio::test]
async fn each_handle_is_one_callers() {
    let agent = Agent::start().await;
    let mut sent = Vec::new();
    for name in ["ann", "bob"] {
        let token = agent.token(name);
        let handle = agent.handle(&token).await;
        assert_eq!(agent.out_for(&handle).await.status, 200);
        assert!(
            agent.issuer.forms().pop().is_some_and(|form| form.contains(&format!("subject_token={token}&"))),
            "{name}"
        );
        sent.push((handle, agent.tools.last("authorization")));
    }
    assert_ne!(sent[0], sent[1]);
    for (handle, authorization) in sent {
        assert_eq!(agent.out_for(&handle).await.status, 200);
        assert_eq!(agent.tools.last("authorization"), authorization, "what was had for one is never sent for another");
    }
}

#[tokio::test]
async fn a_handle_ends_with_its_token() {
    let agent = Agent::start().await;
    let handle = agent.handle(&agent.token("ann")).await;
    assert_eq!(agent.out_for(&handle).await.status, 200);
    agent.proxy.advance(300);
    let answer = agent.out_for(&handle).await;
    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (403, "handle_unknown"),
        "though what was had for it may be good"
    );
    assert_eq!(agent.tools.heads().len(), 1);
}

#[tokio::test]
async fn handles_end_when_the_endpoint_acts_for_nobody_any_more() {
    let agent = Agent::start().await;
    let handle = agent.handle(&agent.token("ann")).await;
    let mut document = agent.proxy.document();
    document["number"] = json!(101);
    document.as_object_mut().expect("object").remove("onBehalfOf");
    agent.proxy.write("guard/guard.json", &document.to_string());
    crate::support::until("the new policy", || async {
        agent.proxy.metric("keywire_guard_policy_number").await == 101.0
    })
    .await;
    let answer = agent.out_for(&handle).await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "handle_unknown"));
    // And none are given where none were wanted.
    let plain = agent.issuer.token(ENDPOINT, CALLER, &["predict"], agent.proxy.now());
    assert_eq!(call(agent.proxy.guard_address(), "POST", PATH, Some(&plain)).await.status, 200);
    assert!(agent.app.last(FIELD).is_empty());
}

#[tokio::test]
async fn another_identity_has_no_use_for_a_handle() {
    let other = "other.agents.workload";
    let agent = Agent::start_with(|_, out| out["clientId"] = json!(other)).await;
    let handle = agent.handle(&agent.token("ann")).await;
    let answer = agent.out_for(&handle).await;
    assert_eq!((answer.status, answer.reason().as_str()), (403, "handle_unknown"));
    assert_eq!(agent.issuer.token_fetches(), 0, "the token is shown to nobody else's login");
}

#[tokio::test]
async fn whom_no_grant_covers_is_named() {
    let agent = Agent::start().await;
    let handle = agent.handle(&agent.token("ann")).await;
    agent.issuer.set_answer(grant(&[]));
    let answer = agent.out_for(&handle).await;
    let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!((answer.status, answer.reason().as_str()), (403, "not_granted"));
    assert!(
        message.contains("ann") && message.contains("agents/labeler") && message.contains("vision/iris"),
        "{message}"
    );
    let agent = Agent::start().await;
    let handle = agent.handle(&agent.token("ann")).await;
    for (status, error, reason) in
        [(400, "invalid_request", "bearer_refused"), (403, "access_denied", "exchange_refused")]
    {
        agent.issuer.set_answer(TokenAnswer::Plain(status, json!({"error": error})));
        let told = || async { agent.out_for(&handle).await.reason() == reason };
        crate::support::until(reason, told).await;
    }
    assert!(agent.tools.heads().is_empty());
}

#[tokio::test]
async fn a_token_on_somebodys_behalf_is_never_given_out() {
    let agent = Agent::start_with(|_, out| out["targets"][0]["offersToken"] = json!(true)).await;
    let handle = agent.handle(&agent.token("ann")).await;
    let ask = async |fields: &str| {
        let bytes =
            format!("GET /.keywire/token HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Keywire-Token: request\r\n{fields}\r\n");
        raw(agent.proxy.egress_address(), bytes).await.expect("an answer")
    };
    assert_eq!(ask("").await.status, 200, "the counter-example");
    let refused = ask(&format!("{FIELD}: {handle}\r\n")).await;
    assert_eq!((refused.status, refused.reason().as_str()), (403, "token_request"));
}

#[tokio::test]
async fn a_token_is_for_the_endpoint_and_for_its_identity_alone() {
    let agent = Agent::start().await;
    let issuer = Issuer::start().await;
    let app = App::start().await;
    let plain = Proxy::ready(&issuer, &app, |document| {
        document["grants"] = json!([{"name": "callers", "subject": {"client": CALLER}, "permissions": ["predict"]}]);
    })
    .await;
    for (aud, at_agent, at_other) in [
        (json!([ENDPOINT, LABELER]), 200, 401),
        (json!([LABELER, ENDPOINT]), 200, 401),
        (json!(ENDPOINT), 200, 200),
        (json!(LABELER), 401, 401),
        (json!([LABELER]), 401, 401),
        (json!([ENDPOINT, ENDPOINT]), 401, 401),
        (json!([ENDPOINT, "other.agents.workload"]), 401, 401),
        (json!([ENDPOINT, LABELER, "other.vision.endpoint"]), 401, 401),
        (json!([ENDPOINT, LABELER, LABELER]), 401, 401),
    ] {
        for (proxy, issuer, expected) in [(&agent.proxy, &agent.issuer, at_agent), (&plain, &issuer, at_other)] {
            let mut claims = issuer.claims(ENDPOINT, CALLER, &["predict"], proxy.now(), 300);
            claims["aud"] = aud.clone();
            let token = issuer.signed(keys::issuer(), &claims);
            assert_eq!(call(proxy.guard_address(), "POST", PATH, Some(&token)).await.status, expected, "{aud}");
        }
    }
}

/// Without a handle the application would call for itself: a call whose token cannot be kept does not come in.
#[tokio::test]
async fn the_memory_for_tokens_is_bounded() {
    let agent = Agent::start().await;
    let token = |n: usize| {
        let mut claims = agent.issuer.claims(ENDPOINT, CALLER, &["predict"], agent.proxy.now(), 300);
        (claims["jti"], claims["padding"]) = (json!(n.to_string()), json!("x".repeat(11_000)));
        agent.issuer.signed(keys::issuer(), &claims)
    };
    let fit = MAX_BYTES / token(0).len();
    let mut refused = None;
    for n in 0..fit + 10 {
        let answer = call(agent.proxy.guard_address(), "POST", PATH, Some(&token(n))).await;
        if answer.status != 200 {
            refused = Some((answer.status, answer.reason()));
            break;
        }
    }
    assert_eq!(refused, Some((503, "handles_full".to_owned())));
    let heads = agent.app.heads();
    assert!(heads.len() <= fit + 1 && heads.iter().all(|head| head.contains(FIELD)), "{} came in", heads.len());
}

#[tokio::test]
async fn calls_of_grpc_and_websockets_are_made_on_behalf_too() {
    let tools = GrpcApp::start().await;
    let address = tools.address;
    let agent =
        Agent::start_with(move |_, out| out["targets"][0]["upstream"] = json!(format!("http://{address}"))).await;
    let token = agent.token("ann");
    let handle = agent.handle(&token).await;
    let mut call = request("/inference.GRPCInferenceService/ModelInfer", None, h2::full(frame(&field(1, b"iris"))));
    call.headers_mut().insert(FIELD, handle.parse().expect("a field"));
    let mut connection = h2::Connection::open(agent.proxy.egress_address()).await;
    let ended = grpc::call(&mut connection, call).await.expect("an end");
    assert_eq!(ended.trailers["grpc-status"], "0");
    assert!(!tools.seen()[0].headers.contains_key(FIELD));
    assert!(agent.issuer.forms().pop().is_some_and(|form| form.contains(&format!("subject_token={token}&"))));

    let agent = Agent::start().await;
    let token = agent.token("bob");
    let handle = agent.handle(&token).await;
    agent.tools.script("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    let handshake = format!(
        "GET /v1/realtime HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{FIELD}: {handle}\r\n\r\n"
    );
    assert_eq!(raw(agent.proxy.egress_address(), handshake).await.map(|answer| answer.status), Some(101));
    assert!(agent.tools.last(FIELD).is_empty() && agent.tools.last("authorization").len() == 1);
    assert!(agent.issuer.forms().pop().is_some_and(|form| form.contains(&format!("subject_token={token}&"))));
}

/// What an agent's client gets in exchange for a caller's token: the caller's account and roles, the agent's `azp`.
fn exchanged(issuer: &Issuer, now: i64, user: &str, roles: &[&str]) -> Value {
    let mut claims = issuer.claims(ENDPOINT, LABELER, roles, now, 300);
    (claims["sub"], claims["keywire_user"]) = (json!(user), json!(user));
    claims.as_object_mut().expect("object").remove("client_id");
    claims
}

/// The target of a chain: the agent holds a grant of two models, ann (by a role) and a workload one of one model each.
fn of_both(document: &mut Value) {
    let grant = |name: &str, subject: Value, models: &[&str]| json!({"name": name, "subject": subject, "permissions": ["predict"], "models": models});
    document["audit"] = json!("all");
    document["grants"] = json!([
        grant("agent", json!({"client": LABELER}), &["iris", "rose"]),
        grant("ann", json!({"role": "grant.ann"}), &["iris", "tulip"]),
        grant("caller", json!({"client": CALLER}), &["rose"]),
    ]);
}

async fn told(proxy: &Proxy, issuer: &Issuer, model: &str, claims: &Value) -> (u16, String) {
    let token = issuer.signed(keys::issuer(), claims);
    let answer = call(proxy.guard_address(), "POST", &format!("/v2/models/{model}/infer"), Some(&token)).await;
    (answer.status, answer.reason())
}

#[tokio::test]
async fn a_call_on_somebodys_behalf_needs_a_grant_for_each_of_the_two() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, of_both).await;
    let workload = format!("service-account-{CALLER}");
    let other = "other.agents.workload";
    for (azp, user, roles, model, status, reason) in [
        (LABELER, "ann", &["predict", "grant.ann"][..], "iris", 200, ""),
        (LABELER, "ann", &["predict", "grant.ann"], "rose", 403, "bearer_not_granted"),
        (LABELER, "ann", &["predict", "grant.ann"], "tulip", 403, "actor_not_granted"),
        (LABELER, "ann", &["predict"], "iris", 403, "bearer_not_granted"),
        (LABELER, "ann", &["grant.ann"], "iris", 403, "role_missing"),
        (other, "ann", &["predict", "grant.ann"], "iris", 403, "actor_not_granted"),
        (LABELER, &*workload, &["predict"], "rose", 200, ""),
        (LABELER, &*workload, &["predict", "grant.ann"], "iris", 403, "bearer_not_granted"),
        (LABELER, "service-account-nobody", &["predict", "grant.ann"], "iris", 403, "bearer_not_granted"),
        // A person who calls himself what a client is called.
        (LABELER, CALLER, &["predict"], "rose", 403, "bearer_not_granted"),
    ] {
        let mut claims = exchanged(&issuer, proxy.now(), user, roles);
        claims["azp"] = json!(azp);
        let found = told(&proxy, &issuer, model, &claims).await;
        assert_eq!(found, (status, reason.to_owned()), "{azp} for {user} {roles:?} at {model}");
    }
    assert_eq!(app.heads().len(), 2);
    assert_eq!(app.last("x-keywire-client"), [LABELER]);
    assert_eq!(
        (app.last("x-keywire-subject"), app.last("x-keywire-actor")),
        (vec![workload], vec![LABELER.to_owned()])
    );
}

#[tokio::test]
async fn an_agents_own_token_is_its_own_and_a_persons_is_the_persons() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, of_both).await;
    let claims = |azp: &str, own: Option<&str>, user: Option<&str>, roles: &[&str]| {
        let mut claims = issuer.claims(ENDPOINT, azp, roles, proxy.now(), 300);
        for (name, value) in [("keywire_client", own), ("keywire_user", user)] {
            value.into_iter().for_each(|value| claims[name] = json!(value));
        }
        claims
    };
    let account = format!("service-account-{LABELER}");
    // The agent for itself: its own grants, with its own role, and nobody else's.
    let own = |roles: &[&str]| claims(LABELER, Some(LABELER), Some(&account), roles);
    assert_eq!(told(&proxy, &issuer, "rose", &own(&["predict"])).await.0, 200);
    assert!(app.last("x-keywire-actor").is_empty());
    assert_eq!(told(&proxy, &issuer, "rose", &own(&[])).await, (403, "role_missing".into()));
    assert_eq!(
        told(&proxy, &issuer, "tulip", &own(&["predict", "grant.ann"])).await,
        (403, "model_not_granted".into())
    );
    // Whoever says that the token is his own, and is not the one that it was given to.
    let lying = claims(LABELER, Some(CALLER), Some("ann"), &["predict"]);
    assert_eq!(told(&proxy, &issuer, "rose", &lying).await, (403, "bearer_not_granted".into()));
    // A person, directly: the agent's grant is not his.
    let direct = claims("cli", None, None, &["predict", "grant.ann"]);
    assert_eq!(told(&proxy, &issuer, "iris", &direct).await.0, 200);
    assert_eq!(told(&proxy, &issuer, "rose", &direct).await, (403, "model_not_granted".into()));
    // Without the marks of an exchange a token counts as the one that its client could have for itself, and as no more.
    let unmarked = claims(LABELER, None, None, &["predict", "grant.ann"]);
    assert_eq!(told(&proxy, &issuer, "tulip", &unmarked).await, (403, "model_not_granted".into()));
    assert_eq!(app.heads().len(), 2);
}

#[tokio::test]
async fn the_one_who_calls_and_the_one_who_is_called_for_are_both_recorded() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut document = policy(&issuer, &app);
    of_both(&mut document);
    let mut proxy = Proxy::prepare();
    proxy.write("guard/guard.json", &proxy.with_ports(&document).to_string());
    let path = proxy.directory.path().join("audit.log");
    let flag: &'static str = path.display().to_string().leak();
    // The records of one thread are in order.
    proxy.start(&Setup { guard: true, one_worker: true, extra: vec!["--audit-file", flag], ..Setup::default() });
    proxy.until_ready().await;
    let for_ann = exchanged(&issuer, proxy.now(), "ann", &["predict", "grant.ann"]);
    assert_eq!(told(&proxy, &issuer, "iris", &for_ann).await.0, 200);
    let for_caller = exchanged(&issuer, proxy.now(), &format!("service-account-{CALLER}"), &["predict"]);
    assert_eq!(told(&proxy, &issuer, "iris", &for_caller).await.0, 403);
    let own = issuer.claims(ENDPOINT, LABELER, &["predict"], proxy.now(), 300);
    assert_eq!(told(&proxy, &issuer, "iris", &own).await.0, 200);
    crate::support::until("three records", || async {
        std::fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 3)
    })
    .await;
    let text = std::fs::read_to_string(&path).expect("the log");
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let names = |record: &Value| {
        [&record["client"], &record["on_behalf_of"], &record["grant"]].map(|name| name.as_str().map(str::to_owned))
    };
    let text = |name: &str| Some(name.to_owned());
    assert_eq!(names(&records[0]), [text(LABELER), text("ann"), text("ann")]);
    assert_eq!(names(&records[1]), [text(LABELER), text(CALLER), None]);
    assert_eq!(names(&records[2]), [text(LABELER), None, text("agent")]);
}
