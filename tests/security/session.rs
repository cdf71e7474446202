//! Websockets whose messages name models: no message goes on that was not decided.

use serde_json::json;

use crate::support::{
    app::App,
    client::{Connection, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
    until,
};

const NARROWED: &str = "narrow.agents.workload";
const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
const TEXT: u8 = 0x81;

struct Scene {
    issuer: Issuer,
    app: App,
    proxy: Proxy,
}

impl Scene {
    async fn new() -> Self {
        let (issuer, app) = (Issuer::start().await, App::start().await);
        let proxy = Proxy::ready(&issuer, &app, |policy| {
            policy["protocol"] = json!("OpenAI");
            let grant =
                json!({"name": "narrow", "subject": {"client": NARROWED}, "permissions": ["predict"], "models": ["iris", "ear"]});
            policy["grants"].as_array_mut().expect("grants").push(grant);
        })
        .await;
        Self { issuer, app, proxy }
    }

    fn handshake(&self, client: &str, query: &str, fields: &str) -> String {
        let token = self.issuer.token(ENDPOINT, client, &["predict"], self.proxy.now());
        format!(
            "GET /v1/realtime{query} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {token}\r\n{fields}\r\n"
        )
    }

    /// Opens a session with an application that sends back what it gets.
    async fn open(&self, client: &str, query: &str) -> Connection {
        self.app.script(&format!("{ACCEPTED}\r\n"));
        let mut connection = Connection::open(self.proxy.guard_address()).await;
        connection.send(self.handshake(client, query, "").as_bytes()).await;
        let answer = connection.answer().await.expect("an answer");
        assert_eq!(answer.status, 101, "{answer:?}");
        connection
    }
}

/// A client's frame under a mask of zeros, which leaves its text as it is.
fn frame(first: u8, text: &str) -> Vec<u8> {
    let length = match u8::try_from(text.len()) {
        Ok(short) if short < 126 => vec![0x80 | short],
        _ => [&[0x80 | 126][..], &u16::try_from(text.len()).expect("short").to_be_bytes()].concat(),
    };
    [&[first][..], &length, &[0; 4], text.as_bytes()].concat()
}

#[tokio::test]
async fn each_message_names_what_may_be_used() {
    let scene = Scene::new().await;
    let update = |session: &str| frame(TEXT, &format!(r#"{{"type":"session.update","mark":1,{session}}}"#));
    let pieces = [frame(0x01, r#"{"mark":1,"model":"ro"#), frame(0x89, "p"), frame(0x80, r#"se"}"#)].concat();
    for (who, query, messages, refused) in [
        (NARROWED, "?model=iris", frame(TEXT, r#"{"type":"response.create","mark":1}"#), None),
        (NARROWED, "?model=iris", update(r#""session":{"model":"iris"}"#), None),
        (NARROWED, "?model=iris", update(r#""session":{"model":"rose"}"#), Some("model_not_granted")),
        (NARROWED, "?model=iris", update(r#""model":"rose""#), Some("model_not_granted")),
        (NARROWED, "?model=iris", update(r#""session":{"audio":{"input":{"transcription":{"model":"ear"}}}}"#), None),
        (
            NARROWED,
            "?model=iris",
            update(r#""session":{"audio":{"input":{"transcription":{"model":"whisper"}}}}"#),
            Some("model_not_granted"),
        ),
        (NARROWED, "?model=iris", update(r#""items":[[{"model":"rose"}]]"#), Some("model_not_granted")),
        // A schema has members of any name.
        (NARROWED, "?model=iris", update(r#""session":{"tools":[{"parameters":{"model":{"type":"string"}}}]}"#), None),
        (NARROWED, "?model=iris", update(r#""model":{"name":"rose"}"#), Some("not_text")),
        (NARROWED, "?model=iris", update(r#""model":"iris","model":"rose""#), Some("duplicate_member")),
        (
            NARROWED,
            "?model=iris",
            update(r#""session":{"x":{"model":"ear","model":"rose"}}"#),
            Some("duplicate_member"),
        ),
        (NARROWED, "?model=iris", update(r#""session":{"Model":"rose"}"#), Some("lookalike_member")),
        (NARROWED, "?model=iris", update(r#""session":{"fallbacks":["rose"]}"#), Some("rival_member")),
        (NARROWED, "?model=iris", frame(TEXT, "mark"), Some("not_json")),
        (NARROWED, "?model=iris", pieces.clone(), Some("model_not_granted")),
        (NARROWED, "?model=iris", frame(0x82, r#"{"mark":1}"#), Some("binary_message")),
        (NARROWED, "?model=iris", frame(0xc1, r#"{"mark":1}"#), Some("reserved_frame")),
        (NARROWED, "?model=iris", [&[TEXT, 10][..], br#"{"mark":1}"#].concat(), Some("unmasked_frame")),
        (NARROWED, "", update(r#""model":"iris""#), None),
        (NARROWED, "", update(r#""voice":"ash""#), Some("every_model_not_granted")),
        (NARROWED, "", update(r#""model":"rose""#), Some("model_not_granted")),
        // It names one that may be used, but not who answers.
        (
            NARROWED,
            "",
            update(r#""session":{"audio":{"input":{"transcription":{"model":"ear"}}}}"#),
            Some("every_model_not_granted"),
        ),
        (
            NARROWED,
            "",
            frame(TEXT, r#"{"type":"response.create","mark":1,"model":"iris"}"#),
            Some("every_model_not_granted"),
        ),
        (LABELER, "", update(r#""voice":"ash""#), None),
        (LABELER, "", update(r#""model":"rose""#), None),
        (LABELER, "", pieces, None),
    ] {
        let shown = String::from_utf8_lossy(&messages);
        let mut connection = scene.open(who, query).await;
        connection.send(&messages).await;
        match refused {
            None => assert!(connection.read_until("mark").await, "{who} {query} {shown}"),
            Some(reason) => {
                assert!(connection.read_until(reason).await, "{reason}: {who} {query} {shown}");
                assert!(connection.closed().await, "{shown}");
                assert!(!connection.text().contains("mark"), "it comes back: {shown}");
            }
        }
    }
    let counted = "keywire_guard_requests_total{decision=\"refused\",reason=\"binary_message\",permission=\"\"";
    assert!(scene.proxy.metric(counted).await >= 1.0);
}

#[tokio::test]
async fn what_follows_a_refused_message_does_not_go_on_either() {
    let scene = Scene::new().await;
    let mut connection = scene.open(NARROWED, "?model=iris").await;
    let all = [frame(TEXT, r#"{"mark":1}"#), frame(TEXT, r#"{"model":"rose"}"#), frame(TEXT, r#"{"mark":2}"#)].concat();
    connection.send(&all).await;
    assert!(connection.read_until("model_not_granted").await);
    assert!(connection.closed().await);
    assert!(!connection.text().contains("rose") && !connection.text().contains("\"mark\":2"));
}

#[tokio::test]
async fn nothing_is_agreed_on_that_changes_the_form_of_messages() {
    let scene = Scene::new().await;
    let asks = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    for (answer, status) in [(String::new(), 101), (asks.to_owned(), 502)] {
        scene.app.script(&format!("{ACCEPTED}{answer}\r\n"));
        let handshake = scene.handshake(NARROWED, "?model=iris", asks);
        let answered = raw(scene.proxy.guard_address(), handshake).await.expect("an answer");
        assert_eq!(answered.status, status, "{answered:?}");
    }
    assert!(scene.app.heads().iter().all(|head| !head.contains("extensions")));
}

#[tokio::test]
async fn a_session_ends_with_the_grant_of_a_model_that_it_named() {
    let scene = Scene::new().await;
    let mut connection = scene.open(NARROWED, "?model=iris").await;
    connection.send(&frame(TEXT, r#"{"session":{"model":"ear"}}"#)).await;
    assert!(connection.read_until("ear").await);
    let mut document = scene.proxy.document();
    document["number"] = json!(101);
    let grants = document["grants"].as_array_mut().expect("grants");
    grants.last_mut().expect("a grant")["models"] = json!(["iris"]);
    scene.proxy.write("guard/guard.json", &document.to_string());
    assert!(connection.closed().await);
    let denied = "keywire_guard_requests_total{decision=\"denied\",reason=\"model_not_granted\",permission=\"predict\"";
    until("the denial to be counted", || async { scene.proxy.metric(denied).await >= 1.0 }).await;
}
