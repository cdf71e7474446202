//! The model is a part of a form: read as the loosest server might read it, or not at all.

use serde_json::json;

use crate::support::{
    app::App,
    client::{Answer, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

/// A client whose grant is of one model.
const NARROWED: &str = "narrow.agents.workload";
const LINE: &str = "POST /v1/audio/transcriptions HTTP/1.1";
const FILE: &str = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n";

async fn guarded(models: Option<&[&str]>) -> (Issuer, App, Proxy) {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        policy["protocol"] = json!("OpenAI");
        if let Some(models) = models {
            policy["models"] = json!(models);
        }
        let grant =
            json!({"name": "narrow", "subject": {"client": NARROWED}, "permissions": ["predict"], "models": ["small"]});
        policy["grants"].as_array_mut().expect("grants").push(grant);
    })
    .await;
    (issuer, app, proxy)
}

async fn send(issuer: &Issuer, proxy: &Proxy, client: &str, fields: &str, body: &str) -> Answer {
    let token = issuer.token(ENDPOINT, client, &["predict"], proxy.now());
    let head =
        format!("{LINE}\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
    raw(proxy.guard_address(), head + body).await.expect("an answer")
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, answer.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

fn part(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

const FORM: &str = "Content-Type: multipart/form-data; boundary=b\r\n";

#[tokio::test]
async fn the_part_decides() {
    let (issuer, app, proxy) = guarded(None).await;
    let end = "--b--\r\n";
    for (client, body, status, reason) in [
        (NARROWED, format!("{FILE}{}{end}", part("model", "small")), 200, ""),
        (LABELER, format!("{}{FILE}{end}", part("model", "large")), 200, ""),
        (NARROWED, format!("{}{FILE}{end}", part("model", "large")), 403, "model_not_granted"),
        (NARROWED, format!("{}{}{end}", part("model", "small"), part("model", "large")), 400, "duplicate_part"),
        (NARROWED, format!("{}{}{end}", part("model", "small"), part("Model", "large")), 400, "lookalike_part"),
        (NARROWED, format!("{}{}{end}", part("model", "small"), part("model[]", "large")), 400, "lookalike_part"),
        (NARROWED, format!("{}{}{end}", part("model", "small"), part("fallbacks", "large")), 400, "rival_part"),
        (NARROWED, format!("{}{}{end}x", part("model", "small"), FILE), 400, "not_a_form"),
        (NARROWED, format!("x\r\n{}{end}", part("model", "small")), 400, "not_a_form"),
        (NARROWED, format!("{}{end}", part("model", "small").replace("\r\n", "\n")), 400, "not_a_form"),
        (NARROWED, format!("{FILE}{end}"), 400, "model_missing"),
        (NARROWED, r#"{"model":"small"}"#.to_owned(), 400, "not_a_form"),
    ] {
        assert_eq!(
            told(&send(&issuer, &proxy, client, FORM, &body).await),
            (status, reason.to_owned()),
            "{client} {body}"
        );
    }
    for (fields, status, reason) in [
        ("Content-Type: application/json\r\n", 415, "content_type"),
        ("Content-Type: multipart/mixed; boundary=b\r\n", 415, "content_type"),
        ("Content-Type: multipart/form-data\r\n", 400, "invalid_boundary"),
        ("Content-Type: multipart/form-data; boundary=x; boundary=b\r\n", 400, "invalid_boundary"),
        ("Content-Type: multipart/form-data; boundary=b\r\nContent-Encoding: gzip\r\n", 415, "content_encoding"),
        ("Content-Type: multipart/form-data; boundary=b\r\nX-Model: large\r\n", 400, "model_in_head"),
    ] {
        let body = format!("{}{end}", part("model", "small"));
        assert_eq!(
            told(&send(&issuer, &proxy, NARROWED, fields, &body).await),
            (status, reason.to_owned()),
            "{fields}"
        );
    }
    assert_eq!(app.heads().len(), 2, "only what was allowed went on");
}

#[tokio::test]
async fn no_part_means_the_only_model() {
    let (issuer, app, proxy) = guarded(Some(&["small"])).await;
    let body = format!("{FILE}--b--\r\n");
    assert_eq!(send(&issuer, &proxy, NARROWED, FORM, &body).await.status, 200);
    assert_eq!(app.bodies(), [format!("{}{body}", part("model", "small"))]);
    let empty = format!("{FILE}{}--b--\r\n", part("model", ""));
    assert_eq!(told(&send(&issuer, &proxy, NARROWED, FORM, &empty).await), (400, "model_missing".to_owned()));
}
