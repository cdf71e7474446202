//! The Model Context Protocol: the message decides, the head agrees with it, and a session is its caller's.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Answer, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

/// A client that may call one tool.
const NARROWED: &str = "narrow.agents.workload";
const NEW: &str = "MCP-Protocol-Version: 2026-07-28\r\n";

struct Guarded {
    issuer: Issuer,
    app: App,
    proxy: Proxy,
}

impl Guarded {
    async fn new(protocol: &str) -> Self {
        let (issuer, app) = (Issuer::start().await, App::start().await);
        let proxy = Proxy::ready(&issuer, &app, |policy| {
            policy["protocol"] = json!(protocol);
            policy["rules"] = json!([]);
            policy["grants"] = json!([
                {"name": "all", "subject": {"client": LABELER}, "permissions": ["execute", "read"]},
                {"name": "one", "subject": {"client": NARROWED}, "permissions": ["execute", "read"], "models": ["search", "file:///a"]},
                {"name": "reads", "subject": {"client": "reader"}, "permissions": ["read"]},
            ]);
        })
        .await;
        Self { issuer, app, proxy }
    }

    async fn send(&self, line: &str, client: &str, fields: &str, body: &str) -> Answer {
        let token = self.issuer.token(ENDPOINT, client, &["execute", "read"], self.proxy.now());
        let head = format!(
            "{line} HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n{fields}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        raw(self.proxy.guard_address(), head + body).await.expect("an answer")
    }

    async fn post(&self, client: &str, fields: &str, body: &str) -> (u16, String) {
        told(&self.send("POST /mcp", client, fields, body).await)
    }
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["data"]["reason"].as_str().unwrap_or_default().to_owned())
}

fn message(method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

#[tokio::test]
async fn the_message_decides() {
    let guarded = Guarded::new("MCP").await;
    let call = |name: &str| message("tools/call", &json!({"name": name, "arguments": {"name": "search"}}));
    for (client, body, status, reason) in [
        (LABELER, call("delete"), 200, ""),
        (NARROWED, call("search"), 200, ""),
        (NARROWED, call("delete"), 403, "model_not_granted"),
        (NARROWED, call("Search"), 403, "model_not_granted"),
        (NARROWED, message("resources/read", &json!({"uri": "file:///a"})), 200, ""),
        (
            NARROWED,
            message("resources/read", &json!({"uri": "file:///b", "name": "file:///a"})),
            403,
            "model_not_granted",
        ),
        (NARROWED, message("initialize", &json!({})), 200, ""),
        (NARROWED, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(), 200, ""),
        ("reader", call("search"), 403, "permission_not_granted"),
        ("reader", message("tools/list", &json!({})), 502, "list_unreadable"),
        (NARROWED, message("subscriptions/listen", &json!({})), 403, "every_model_not_granted"),
        (LABELER, message("logging/setLevel", &json!({})), 403, "unknown_route"),
        (LABELER, message("tools/delete", &json!({})), 403, "unknown_route"),
        (NARROWED, message("tools/call", &json!({})), 400, "name_missing"),
        (NARROWED, format!("[{}]", call("search")), 400, "batch"),
        (NARROWED, call("search").replace("\"method\"", "\"Method\":\"ping\",\"method\""), 400, "lookalike_member"),
        (NARROWED, call("search").replace("\"id\"", "\"method\":\"ping\",\"id\""), 400, "duplicate_member"),
        (NARROWED, call("search").replace("\"params\"", "\"params\":{},\"params\""), 400, "duplicate_member"),
        (NARROWED, call("search").replace("2.0", "1.0"), 400, "not_json_rpc"),
        (NARROWED, String::new(), 400, "not_json"),
        ("stranger", call("search"), 403, "no_grant"),
    ] {
        assert_eq!(guarded.post(client, "", &body).await, (status, reason.to_owned()), "{client} {body}");
    }
    assert_eq!(guarded.app.heads().len(), 6, "only what was allowed went on");
    let head = &guarded.app.heads()[0];
    assert!(head.contains(&format!("host: localhost:{}\r\n", guarded.app.address.port())), "{head}");
}

#[tokio::test]
async fn only_the_endpoints_path_is_there() {
    let guarded = Guarded::new("MCP").await;
    let body = message("ping", &json!({}));
    for (line, status) in [
        ("POST /mcp", 200),
        ("POST /team/mcp", 200),
        ("POST /", 200),
        ("GET /mcp", 200),
        ("DELETE /mcp", 200),
        ("PUT /mcp", 403),
        ("POST /admin", 403),
        ("POST /MCP", 403),
    ] {
        assert_eq!(guarded.send(line, LABELER, "", &body).await.status, status, "{line}");
    }
}

#[tokio::test]
async fn the_head_says_what_the_body_says() {
    let guarded = Guarded::new("MCP").await;
    let body = message("tools/call", &json!({"name": "search"}));
    for (fields, status) in [
        (format!("{NEW}Mcp-Method: tools/call\r\nMcp-Name: search\r\n"), 200),
        (format!("{NEW}Mcp-Method: tools/call\r\nMcp-Name: =?base64?c2VhcmNo?=\r\n"), 200),
        (format!("{NEW}Mcp-Method: tools/call\r\nMcp-Name: delete\r\n"), 400),
        (format!("{NEW}Mcp-Method: tools/call\r\n"), 400),
        (format!("{NEW}Mcp-Method: tools/list\r\nMcp-Name: search\r\n"), 400),
        (format!("{NEW}Mcp-Name: search\r\n"), 400),
        (format!("{NEW}Mcp-Method: tools/call\r\nMcp-Method: tools/call\r\nMcp-Name: search\r\n"), 400),
        ("Mcp-Name: delete\r\n".to_owned(), 400),
        ("MCP-Protocol-Version: 2025-06-18\r\n".to_owned(), 200),
        ("MCP-Protocol-Version: 2025-06-18\r\nMCP-Protocol-Version: 2026-07-28\r\n".to_owned(), 400),
    ] {
        let answer = guarded.send("POST /mcp", NARROWED, &fields, &body).await;
        assert_eq!(answer.status, status, "{fields}");
        if status == 400 {
            assert_eq!(answer.json()["error"]["code"], json!(-32020), "{fields}");
        }
    }
    assert_eq!(guarded.app.heads().len(), 3);
}

#[tokio::test]
async fn a_session_is_its_callers() {
    let guarded = Guarded::new("MCP").await;
    guarded.app.script("HTTP/1.1 200 OK\r\nMcp-Session-Id: 77aa\r\nContent-Length: 2\r\n\r\n{}");
    let begun = guarded.send("POST /mcp", NARROWED, "", &message("initialize", &json!({}))).await;
    let session = begun.header("mcp-session-id").expect("a session").to_owned();
    assert!(session.starts_with("77aa.") && session.len() > 40, "{session}");
    let ping = message("ping", &json!({}));
    let field = format!("Mcp-Session-Id: {session}\r\n");
    for line in ["POST /mcp", "GET /mcp", "DELETE /mcp"] {
        assert_eq!(guarded.send(line, NARROWED, &field, &ping).await.status, 200, "{line}");
        assert!(guarded.app.heads().last().is_some_and(|head| head.contains("mcp-session-id: 77aa\r\n")));
        let stolen = guarded.send(line, LABELER, &field, &ping).await;
        assert_eq!(told(&stolen), (404, "session_unknown".to_owned()), "{line}");
        let guessed = guarded.send(line, LABELER, "Mcp-Session-Id: 77aa\r\n", &ping).await;
        assert_eq!(told(&guessed), (404, "session_unknown".to_owned()), "{line}");
    }
    assert_eq!(guarded.app.heads().len(), 4);
}

/// What a stream has sent before may be a list that was cut for nobody.
#[tokio::test]
async fn a_stream_is_resumed_by_who_may_see_all() {
    let guarded = Guarded::new("MCP").await;
    for (client, status) in [(NARROWED, 403), (LABELER, 200)] {
        assert_eq!(guarded.send("GET /mcp", client, "Last-Event-ID: 7\r\n", "").await.status, status, "{client}");
    }
}

#[tokio::test]
async fn a_list_shows_what_may_be_called() {
    let guarded = Guarded::new("MCP").await;
    let tools = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{"name": "search"}, {"name": "delete"}], "nextCursor": "x"}});
    let plain = tools.to_string();
    let event = format!("event: message\r\ndata: {tools}\r\n\r\n");
    for (kind, body) in [("application/json", &plain), ("text/event-stream", &event)] {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        for (client, sees_search, sees_delete) in
            [(LABELER, true, true), (NARROWED, true, false), ("reader", false, false)]
        {
            guarded.app.script(&answer);
            let listed = guarded.send("POST /mcp", client, "", &message("tools/list", &json!({}))).await;
            assert_eq!(listed.status, 200);
            assert_eq!(listed.body.contains("search"), sees_search, "{client} {}", listed.body);
            assert_eq!(listed.body.contains("delete"), sees_delete, "{client} {}", listed.body);
            assert!(listed.body.contains("nextCursor"), "{}", listed.body);
        }
    }
}

#[tokio::test]
async fn an_agents_message_decides() {
    let guarded = Guarded::new("A2A").await;
    for (client, line, method, status) in [
        (LABELER, "POST /", "SendMessage", 200),
        (LABELER, "POST /", "message/stream", 200),
        (LABELER, "POST /", "GetTask", 200),
        ("reader", "POST /", "GetTask", 200),
        ("reader", "POST /", "SendMessage", 403),
        ("reader", "POST /message:send", "", 403),
        (LABELER, "POST /message:send", "", 200),
        // A task is anybody's who knows its id.
        (NARROWED, "POST /", "GetTask", 403),
        (LABELER, "POST /", "admin/reset", 403),
        (LABELER, "POST /other", "GetTask", 403),
    ] {
        let found = guarded.send(line, client, "", &message(method, &json!({}))).await;
        assert_eq!(found.status, status, "{client} {line} {method}");
    }
}

/// Told to whoever asks, so it names no address at which nobody asks for a token.
#[tokio::test]
async fn an_agents_card_says_where_its_guard_is() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        policy["protocol"] = json!("A2A");
        policy["rules"] = json!([]);
        policy["resource"] = json!("https://agents.example/one");
    })
    .await;
    let card = json!({"name": "one", "url": "http://10.0.0.7:9000/"}).to_string();
    app.script(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{card}", card.len()));
    let request = "GET /.well-known/agent-card.json HTTP/1.1\r\nHost: a\r\n\r\n";
    let answer = raw(proxy.guard_address(), request).await.expect("an answer");
    assert_eq!(answer.status, 200);
    let url = answer.json()["url"].as_str().unwrap_or_default().to_owned();
    assert!(url.starts_with("https://agents.example/one"), "{url}");
    assert!(!answer.body.contains("10.0.0.7"), "{}", answer.body);
}
