//! An A2A agent and its client, over JSON-RPC and over REST.

use serde_json::json;

use crate::{
    guarded::{Guarded, Who, grant},
    process::{Program, Server},
};

async fn guarded() -> Guarded {
    let card = "/.well-known/agent-card.json";
    let server = Server::start(card, |port, _| Program::python("a2a", "apps/a2a_app.py").args([port])).await;
    let port = server.address.port();
    let grants = [grant(Who::Granted, &["read", "execute"], None), grant(Who::Reader, &["read"], None)];
    Guarded::granting(server, port, "A2A", &grants).await
}

fn client(binding: &str) -> Program {
    Program::python("a2a", "clients/a2a_client.py").args([binding])
}

async fn messages(binding: &str) {
    let guarded = guarded().await;
    let done = json!({"text": "HELLO", "read": ["HELLO"]});
    let told = guarded.client(Who::Granted, client(binding)).await;
    assert_eq!((&told["streamed"], &told["at once"], &told["tasks"]), (&done, &done, &json!(2)), "{told}");
    // The card leads to the guard, not around it.
    let here = guarded.address().to_string();
    let urls = told["urls"].as_array().expect("URLs");
    assert!(!urls.is_empty() && urls.iter().all(|url| url.as_str().is_some_and(|url| url.contains(&here))), "{told}");

    let told = guarded.client(Who::Reader, client(binding)).await;
    assert_eq!((&told["streamed"]["status"], &told["at once"]["status"]), (&json!(403), &json!(403)), "{told}");
    assert_eq!(told["tasks"], json!(2), "{told}");
    for (who, status) in [(Who::Stranger, 403), (Who::Nobody, 401)] {
        let told = guarded.client(who, client(binding)).await;
        for member in ["streamed", "at once", "tasks"] {
            assert_eq!(told[member]["status"], json!(status), "{who:?} {told}");
        }
    }
}

#[tokio::test]
async fn json_rpc() {
    messages("JSONRPC").await;
}

#[tokio::test]
async fn rest() {
    messages("HTTP+JSON").await;
}

/// What this server takes, and who may only read must not get by.
#[tokio::test]
async fn other_spellings() {
    let guarded = guarded().await;
    let message = json!({"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hello"}]});
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}});
    let version = "A2A-Version: 1.0\r\n";
    for (who, path, body, status) in [
        (Who::Granted, "/", &call, 200),
        (Who::Reader, "/", &call, 403),
        (Who::Reader, "/message:send", &json!({"message": message}), 403),
        // Every REST path is there once more below the name of a tenant.
        (Who::Reader, "/tasks/message:send", &json!({"message": message}), 403),
        (Who::Reader, "/message%3Asend", &json!({"message": message}), 400),
    ] {
        let answer = guarded.post(who, path, version, body).await;
        assert_eq!(answer.status, status, "{who:?} {path} {}", answer.body);
    }
}
