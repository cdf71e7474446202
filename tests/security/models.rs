//! The model is in the body: it is read as the loosest server might read it, or not at all.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Answer, Connection, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy, policy},
    until,
};

/// A client whose grant is of one model.
const NARROWED: &str = "narrow.agents.workload";
const CHAT: &str = "/v1/chat/completions";

/// A guard before a server of OpenAI's API. Who has no grant of its own may use `small` and nothing else.
struct Guarded {
    issuer: Issuer,
    app: App,
    proxy: Proxy,
}

/// The policy of such a guard.
fn narrowed(issuer: &Issuer, app: &App, models: Option<&[&str]>) -> Value {
    let mut policy = policy(issuer, app);
    policy["protocol"] = json!("OpenAI");
    if let Some(models) = models {
        policy["models"] = json!(models);
    }
    let grant = json!({"name": "narrow", "subject": {"client": NARROWED}, "permissions": ["predict", "read"], "models": ["small"]});
    policy["grants"].as_array_mut().expect("grants").push(grant);
    policy
}

impl Guarded {
    async fn new(models: Option<&[&str]>) -> Self {
        let (issuer, app) = (Issuer::start().await, App::start().await);
        let proxy = Proxy::ready(&issuer, &app, |policy| *policy = narrowed(&issuer, &app, models)).await;
        Self { issuer, app, proxy }
    }

    async fn send(&self, line: &str, client: Option<&str>, fields: &str, body: &[u8]) -> Answer {
        let token = client.map(|client| self.issuer.token(ENDPOINT, client, &["predict", "read"], self.proxy.now()));
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\n{token}{fields}\r\n");
        raw(self.proxy.guard_address(), [head.as_bytes(), body].concat()).await.expect("an answer")
    }

    /// A body for the chat route: status, and the reason where it is refused.
    async fn ask(&self, client: &str, body: &str) -> (u16, String) {
        let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
        told(&self.send(&format!("POST {CHAT}"), Some(client), &fields, body.as_bytes()).await)
    }

    /// A list that the application answers with, as a client sees it.
    async fn list(&self, client: &str, answer: &str) -> Answer {
        self.app.forget_script();
        self.app.script(answer);
        self.send("GET /v1/models", Some(client), "", b"").await
    }
}

/// Status and reason, in OpenAI's form.
fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn the_model_in_the_body_decides() {
    let guarded = Guarded::new(None).await;
    for (client, body, status, reason) in [
        (LABELER, r#"{"model":"large","messages":[]}"#, 200, ""),
        (NARROWED, r#"{"model":"small","messages":[]}"#, 200, ""),
        (NARROWED, r#"{"messages":[{"content":"\"model\":\"small\""}],"model":"small"}"#, 200, ""),
        (NARROWED, r#"{"\u006dodel":"small"}"#, 200, ""),
        (NARROWED, r#"{"model":"large"}"#, 403, "model_not_granted"),
        (NARROWED, r#"{"model":"Small"}"#, 403, "model_not_granted"),
        (NARROWED, r#"{"model":"small "}"#, 403, "model_not_granted"),
        (NARROWED, r#"{"\u006dodel":"large"}"#, 403, "model_not_granted"),
        (NARROWED, r#"{"options":{"model":"small"},"model":"large"}"#, 403, "model_not_granted"),
        (NARROWED, r#"{"options":{"model":"small"}}"#, 400, "model_missing"),
        (NARROWED, r#"{"model":null}"#, 400, "model_missing"),
        (LABELER, "{}", 400, "model_missing"),
        (NARROWED, r#"{"model":"small","model":"large"}"#, 400, "duplicate_member"),
        (NARROWED, r#"{"model":"large","model":"small"}"#, 400, "duplicate_member"),
        (NARROWED, r#"{"model":"small","\u006dodel":"large"}"#, 400, "duplicate_member"),
        (NARROWED, r#"{"model":"small","Model":"large"}"#, 400, "lookalike_member"),
        (NARROWED, r#"{"model":["small"]}"#, 400, "not_text"),
        (NARROWED, "\u{feff}{\"model\":\"small\"}", 400, "not_utf8"),
        (NARROWED, r#"{"model":"small"}{"model":"large"}"#, 400, "not_json"),
        (NARROWED, r#"[{"model":"small"}]"#, 400, "not_an_object"),
        (NARROWED, "model=small", 400, "not_json"),
        (NARROWED, "", 400, "not_json"),
        (NARROWED, r#"{"model":"small","model\u0000":"large"}"#, 400, "lookalike_member"),
        // Other members by which a server chooses.
        (NARROWED, r#"{"model":"small","models":["large"]}"#, 400, "rival_member"),
        (NARROWED, r#"{"model":"small","fallbacks":["large"]}"#, 400, "rival_member"),
        (NARROWED, r#"{"model":"small","deployment_id":"large"}"#, 400, "rival_member"),
        (NARROWED, r#"{"model":"small","lora":[{"id":1}]}"#, 400, "rival_member"),
        ("stranger.agents.workload", r#"{"model":"small"}"#, 403, "no_grant"),
    ] {
        assert_eq!(guarded.ask(client, body).await, (status, reason.to_owned()), "{client} {body}");
    }
    let deep = format!(r#"{{"model":"small","x":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(guarded.ask(NARROWED, &deep).await, (400, "too_deep".to_owned()));
    assert_eq!(guarded.app.heads().len(), 4, "only what was allowed went on");
}

/// A server takes its own default where the request names none, which need not be the one of the closed list: the guard
/// puts that in.
#[tokio::test]
async fn no_model_means_the_only_one() {
    let guarded = Guarded::new(Some(&["small"])).await;
    for (body, sent) in [
        (r#"{"messages":[]}"#, r#"{"model":"small","messages":[]}"#),
        (r#"{"model":null}"#, r#"{"model":"small"}"#),
        (r#"{"messages":[],"model":""}"#, r#"{"messages":[],"model":"small"}"#),
        (" {}", r#" {"model":"small"}"#),
    ] {
        assert_eq!(guarded.ask(NARROWED, body).await.0, 200, "{body}");
        assert_eq!(guarded.app.bodies().last().map(String::as_str), Some(sent), "{body}");
    }
    assert_eq!(guarded.ask(LABELER, r#"{"model":"large"}"#).await, (403, "model_not_served".to_owned()));
    let guarded = Guarded::new(Some(&["small", "large"])).await;
    assert_eq!(guarded.ask(NARROWED, r#"{"messages":[]}"#).await, (400, "model_missing".to_owned()));
}

#[tokio::test]
async fn a_body_that_could_be_read_as_something_else_goes_no_further() {
    let guarded = Guarded::new(None).await;
    let body = br#"{"model":"small"}"#;
    let length = format!("Content-Length: {}\r\n", body.len());
    for (fields, status, reason) in [
        ("Content-Type: application/json\r\n", 200, ""),
        ("Content-Type: application/json; charset=utf-8\r\n", 200, ""),
        ("", 415, "content_type"),
        ("Content-Type: text/plain\r\n", 415, "content_type"),
        ("Content-Type: multipart/form-data; boundary=x\r\n", 415, "content_type"),
        ("Content-Type: application/json; charset=utf-16\r\n", 415, "content_type"),
        ("Content-Type: application/json\r\nContent-Type: text/plain\r\n", 415, "content_type"),
        ("Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 415, "content_encoding"),
    ] {
        let answer = guarded.send(&format!("POST {CHAT}"), Some(NARROWED), &format!("{fields}{length}"), body).await;
        assert_eq!(told(&answer), (status, reason.to_owned()), "{fields}");
    }
    assert_eq!(guarded.app.heads().len(), 2);
}

#[tokio::test]
async fn nothing_in_the_head_chooses_a_model() {
    let guarded = Guarded::new(None).await;
    let body = br#"{"model":"small"}"#;
    let json = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    for (query, field, status, reason) in [
        ("?api-version=1", "", 200, ""),
        ("?model=large", "", 400, "model_in_head"),
        ("?a=b;MODEL=large", "", 400, "model_in_head"),
        ("?%6d%6Fdel=large", "", 400, "model_in_head"),
        ("", "X-LiteLLM-Model: large\r\n", 400, "model_in_head"),
        ("", "x_gateway_model_name: large\r\n", 400, "model_in_head"),
        ("", "Content_Type: application/x-www-form-urlencoded\r\n", 400, "aliased_header"),
        // Taken out, as the client wishes.
        ("", "Connection: x-model\r\nX-Model: large\r\n", 200, ""),
    ] {
        let line = format!("POST {CHAT}{query}");
        let answer = guarded.send(&line, Some(NARROWED), &format!("{json}{field}"), body).await;
        assert_eq!(told(&answer), (status, reason.to_owned()), "{query} {field}");
    }
    let heads = guarded.app.heads();
    assert!(heads.len() == 2 && !heads[1].contains("x-model"), "{heads:?}");
}

/// It is in the audit record and in the answer.
#[tokio::test]
async fn a_models_name_has_a_largest_size() {
    let guarded = Guarded::new(None).await;
    let named = |length: usize| format!(r#"{{"model":"{}"}}"#, "m".repeat(length));
    assert_eq!(guarded.ask(NARROWED, &named(512)).await, (403, "model_not_granted".to_owned()));
    assert_eq!(guarded.ask(NARROWED, &named(513)).await, (400, "name_too_long".to_owned()));
}

#[tokio::test]
async fn a_body_is_read_to_a_limit_and_only_for_who_has_a_grant() {
    let guarded = Guarded::new(None).await;
    let json = "Content-Type: application/json\r\n";
    let announced = format!("{json}Content-Length: {}\r\n", (16 << 20) + 1);
    let line = format!("POST {CHAT}");
    assert_eq!(told(&guarded.send(&line, Some(NARROWED), &announced, b"{").await), (413, "body_too_large".to_owned()));
    // Without saying so.
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 1 << 20], b"\r\n"].concat();
    let chunked = format!("{json}Transfer-Encoding: chunked\r\n");
    let answer = guarded.send(&line, Some(NARROWED), &chunked, &chunk.repeat(17)).await;
    assert_eq!(told(&answer), (413, "body_too_large".to_owned()));
    // Nobody's body is waited for who may not call anyway.
    for (client, status) in [(None, 401), (Some("stranger.agents.workload"), 403)] {
        assert_eq!(guarded.send(&line, client, &announced, b"").await.status, status);
    }
    // What is chunked arrives whole.
    let body = b"8\r\n{\"model\"\r\n9\r\n:\"small\"}\r\n0\r\n\r\n";
    assert_eq!(guarded.send(&line, Some(NARROWED), &chunked, body).await.status, 200);
    assert_eq!(guarded.app.heads().len(), 1);
    assert!(guarded.app.heads()[0].contains("content-length: 17\r\n"), "{}", guarded.app.heads()[0]);
    assert_eq!(guarded.app.bodies(), [r#"{"model":"small"}"#]);
}

/// Head and body may lie half a minute apart: what is in force by the end counts.
#[tokio::test]
async fn the_policy_that_is_in_force_behind_the_body_decides() {
    let revoked: fn(&mut Value) = |policy| drop(policy["grants"].as_array_mut().expect("grants").pop());
    let ruled: fn(&mut Value) =
        |policy| policy["rules"] = json!([{"path": "/v1/chat/**", "access": {"permission": "predict"}}]);
    for (change, reason) in [(revoked, "no_grant"), (ruled, "every_model_not_granted")] {
        let guarded = Guarded::new(None).await;
        let token = guarded.issuer.token(ENDPOINT, NARROWED, &["predict"], guarded.proxy.now());
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: 17\r\nExpect: 100-continue\r\n\r\n"
        );
        let mut connection = Connection::open(guarded.proxy.guard_address()).await;
        connection.send(head.as_bytes()).await;
        // The guard wants the body, so it has admitted the head.
        assert_eq!(connection.answer().await.expect("an answer").status, 100);
        let mut policy = narrowed(&guarded.issuer, &guarded.app, None);
        policy["number"] = json!(101);
        change(&mut policy);
        guarded.proxy.write("guard/guard.json", &guarded.proxy.with_ports(&policy).to_string());
        until("the new policy", || async { guarded.ask(NARROWED, r#"{"model":"small"}"#).await.1 == reason }).await;
        connection.send(br#"{"model":"small"}"#).await;
        let answer = connection.answer().await.expect("an answer");
        assert_eq!(told(&answer), (403, reason.to_owned()));
    }
}

fn listed(answer: &Answer) -> Vec<Value> {
    answer.json()["data"].as_array().into_iter().flatten().map(|model| model["id"].clone()).collect()
}

#[tokio::test]
async fn a_list_shows_what_the_caller_may_use() {
    let guarded = Guarded::new(None).await;
    let models = json!({"object": "list", "data": [{"id": "small"}, {"id": "large"}], "last_id": "large", "models": [{"name": "large"}]})
        .to_string();
    let answer = |status: &str, fields: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let plain = answer("200 OK", "ETag: \"x\"\r\n", &models);
    let narrowed = guarded.list(NARROWED, &plain).await;
    assert_eq!((narrowed.status, listed(&narrowed)), (200, vec![json!("small")]));
    assert!(!narrowed.body.contains("large") && narrowed.header("etag").is_none(), "{narrowed:?}");
    assert_eq!(listed(&guarded.list(LABELER, &plain).await), [json!("small"), json!("large")]);
    let asked = guarded.app.heads();
    assert!(asked[0].contains("accept-encoding: identity\r\n"), "{}", asked[0]);
    for unreadable in [
        answer("200 OK", "", "no JSON: large"),
        answer("200 OK", "Content-Encoding: gzip\r\n", &models),
        answer("206 Partial Content", "", &models),
        answer("200 OK", "", r#"{"data":{"large":{}}}"#),
        answer("200 OK", "", &format!("{}{models}", " ".repeat(4 << 20))),
    ] {
        let found = guarded.list(NARROWED, &unreadable).await;
        assert_eq!(told(&found), (502, "list_unreadable".to_owned()), "{unreadable:.200}");
    }
    // The application's own failure is not ours to hide.
    let failed = guarded.list(NARROWED, &answer("500 Internal Server Error", "", "{}")).await;
    assert_eq!((failed.status, failed.body.as_str()), (500, "{}"));
    assert_eq!(guarded.list("stranger.agents.workload", &plain).await.status, 403);
}

#[tokio::test]
async fn a_repositorys_index_shows_what_the_caller_may_use() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        let grant = json!({"name": "n", "subject": {"client": NARROWED}, "permissions": ["read"], "models": ["small"]});
        policy["grants"].as_array_mut().expect("grants").push(grant);
    })
    .await;
    let index = json!([{"name": "small", "state": "READY"}, {"name": "large", "state": "READY"}]).to_string();
    for (client, expected) in [(NARROWED, 1), (LABELER, 2)] {
        app.script(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{index}", index.len()));
        let token = issuer.token(ENDPOINT, client, &["read"], proxy.now());
        let head = format!("POST /v2/repository/index HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n");
        let answer =
            raw(proxy.guard_address(), format!("{head}Content-Length: 2\r\n\r\n{{}}")).await.expect("an answer");
        assert_eq!(answer.json().as_array().map(Vec::len), Some(expected), "{client} {answer:?}");
    }
}
