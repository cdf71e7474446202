//! The MCP SDK's server and client, in both eras of the protocol.

use serde_json::{Value, json};

use crate::{
    guarded::{Guarded, Who, grant},
    process::{Program, Server},
    support::client::{Answer, raw},
};

/// What a server of 2026-07-28 wants in each body.
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
const ACCEPT: &str = "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\n";

/// `answers` is how the server of the session era answers: `sse` or `json`.
async fn guarded(answers: &str) -> Guarded {
    let server = Server::start("/health", |port, _| {
        Program::python("mcp", "apps/mcp_app.py").args([port.to_string(), answers.to_owned()])
    })
    .await;
    let port = server.address.port();
    let all = &["read", "execute"];
    let grants = [
        grant(Who::Granted, all, None),
        grant(Who::Narrowed, all, Some(&["add", "notes://public", "greet"])),
        grant(Who::Reader, &["read"], None),
    ];
    Guarded::granting(server, port, "MCP", &grants).await
}

fn client(mode: &str) -> Program {
    Program::python("mcp", "clients/mcp_client.py").args([mode])
}

/// Whether the client was told that this may not be: it gives the error, in whatever form it came.
fn is_refused(outcome: &Value) -> bool {
    outcome.get("status").is_some() || outcome.get("code").is_some()
}

async fn visits(guarded: &Guarded, mode: &str, version: &str) {
    let told = guarded.client(Who::Granted, client(mode)).await;
    assert_eq!(told, guarded.unguarded(client(mode)).await, "{mode}");
    assert_eq!((&told["version"], &told["add"]), (&json!(version), &json!(["42"])));

    let told = guarded.client(Who::Narrowed, client(mode)).await;
    for (member, names) in
        [("tools", json!(["add"])), ("resources", json!(["notes://public"])), ("prompts", json!(["greet"]))]
    {
        assert_eq!(told[member], names, "{mode} {told}");
    }
    for (member, answer) in [("add", "42"), ("public", "everybody may read this"), ("greet", "Greet Ada.")] {
        assert_eq!(told[member], json!([answer]), "{mode} {told}");
    }
    for member in ["erase", "secret", "insult"] {
        assert!(is_refused(&told[member]), "{mode} {member} {told}");
    }

    let told = guarded.client(Who::Reader, client(mode)).await;
    assert_eq!(told["secret"], json!(["not everybody may read this"]), "{mode} {told}");
    assert!(is_refused(&told["add"]) && is_refused(&told["erase"]), "{mode} {told}");

    for who in [Who::Stranger, Who::Nobody] {
        let told = guarded.client(who, client(mode)).await;
        assert!(is_refused(&told) && told.get("tools").is_none(), "{mode} {who:?} {told}");
    }
}

#[tokio::test]
async fn sessions_that_are_streamed() {
    let guarded = guarded("sse").await;
    visits(&guarded, "legacy", "2025-11-25").await;
    sessions_have_owners(&guarded).await;
}

#[tokio::test]
async fn sessions_in_json() {
    visits(&guarded("json").await, "legacy", "2025-11-25").await;
}

#[tokio::test]
async fn stateless() {
    let guarded = guarded("sse").await;
    visits(&guarded, "auto", "2026-07-28").await;
    heads_and_bodies_agree(&guarded).await;
    // Whoever is refused is told where tokens come from.
    let path = "/.well-known/oauth-protected-resource/mcp";
    let metadata = guarded.call(Who::Nobody, "GET", path).await;
    assert_eq!(metadata.json()["resource"], json!(format!("http://{}/mcp", guarded.address())), "{metadata:?}");
    let refused = send(&guarded, Who::Nobody, "Host: a\r\n", "{}").await;
    let challenge = refused.header("www-authenticate").unwrap_or_default();
    assert!(refused.status == 401 && challenge.contains(path), "{challenge}");
}

async fn send(guarded: &Guarded, who: Who, head: &str, body: &str) -> Answer {
    let token = guarded.token(who).map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("POST /mcp HTTP/1.1\r\n{token}{ACCEPT}{head}Content-Length: {}\r\n\r\n{body}", body.len());
    raw(guarded.address(), request).await.expect("an answer")
}

/// The id of a session opens nothing to who did not begin it.
async fn sessions_have_owners(guarded: &Guarded) {
    // Any name will do for the host: the server itself answers 421 to what is not local.
    let head = "Host: tools.vision.svc:8080\r\n";
    let hello = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"test","version":"1"}}}"#;
    let answer = send(guarded, Who::Granted, head, hello).await;
    let session = answer.header("mcp-session-id").expect("a session").to_owned();
    assert_eq!(answer.status, 200);
    let head = format!("{head}Mcp-Session-Id: {session}\r\nMcp-Protocol-Version: 2025-11-25\r\n");
    let started = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(send(guarded, Who::Granted, &head, started).await.status, 202);
    let list = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    assert_eq!(send(guarded, Who::Granted, &head, list).await.status, 200);
    for who in [Who::Narrowed, Who::Reader, Who::Stranger] {
        let status = send(guarded, who, &head, list).await.status;
        assert!(matches!(status, 403 | 404), "{who:?} {status}");
    }
    // Two readings of one body; several messages in one.
    for body in [
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/list","method":"prompts/list"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"add","name":"erase","arguments":{"what":"it"}}}"#.to_owned(),
        format!("[{list}]"),
    ] {
        assert_eq!(send(guarded, Who::Granted, &head, &body).await.status, 400, "{body}");
    }
}

async fn heads_and_bodies_agree(guarded: &Guarded) {
    let call = |name: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{{"a":1,"b":2,"what":"it"}},{META}}}}}"#
        )
    };
    let head = |method: &str, name: &str| {
        format!(
            "Host: tools.vision.svc:8080\r\nMcp-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\nMcp-Name: {name}\r\n"
        )
    };
    for (who, method, name, body, status) in [
        (Who::Narrowed, "tools/call", "add", call("add"), 200),
        (Who::Narrowed, "tools/call", "=?base64?YWRk?=", call("add"), 200),
        (Who::Narrowed, "tools/call", "erase", call("erase"), 403),
        // The head says what may be, the body what may not, and the other way round.
        (Who::Narrowed, "tools/call", "add", call("erase"), 400),
        (Who::Granted, "tools/call", "erase", call("add"), 400),
        (Who::Granted, "tools/list", "add", call("add"), 400),
        (Who::Reader, "tools/call", "add", call("add"), 403),
        (Who::Nobody, "tools/call", "add", call("add"), 401),
    ] {
        let answer = send(guarded, who, &head(method, name), &body).await;
        assert_eq!(answer.status, status, "{who:?} {method} {name} {body} {}", answer.body);
    }
    // Without the version in the head the server takes it for the session era, where it has no session.
    let unversioned = "Host: a\r\nMcp-Method: tools/call\r\nMcp-Name: add\r\n";
    assert_eq!(send(guarded, Who::Granted, unversioned, &call("add")).await.status, 400);
}
