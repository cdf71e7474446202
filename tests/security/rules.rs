//! Custom rules: the model is where the rule says, read as strictly as any protocol's own.

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{Answer, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

/// A client whose grant is of one model.
const NARROWED: &str = "narrow.agents.workload";
const JSON: &str = "Content-Type: application/json\r\n";
const FORM: &str = "Content-Type: multipart/form-data; boundary=b\r\n";

struct Guarded {
    issuer: Issuer,
    app: App,
    proxy: Proxy,
}

fn rule(method: &str, path: &str, model: &Value) -> Value {
    json!({"methods": [method], "path": path, "access": {"permission": "predict"}, "model": model})
}

impl Guarded {
    /// Before a server of nobody's protocol, which calls models engines.
    async fn new(models: Option<&[&str]>) -> Self {
        let (issuer, app) = (Issuer::start().await, App::start().await);
        let proxy = Proxy::ready(&issuer, &app, |policy| {
            policy["protocol"] = json!("HTTP");
            policy["models"] = json!(models);
            policy["rules"] = json!([
                rule("GET", "/look", &json!({"query": "engine"})),
                rule("POST", "/run", &json!({"json": "engine"})),
                rule("POST", "/model", &json!({"json": "model"})),
                rule("POST", "/upload", &json!({"multipart": "engine"})),
                {"methods": ["POST"], "path": "/any", "access": {"permission": "predict"}},
            ]);
            let grant = json!({"name": "narrow", "subject": {"client": NARROWED}, "permissions": ["predict"], "models": ["small"]});
            policy["grants"].as_array_mut().expect("grants").push(grant);
        })
        .await;
        Self { issuer, app, proxy }
    }

    async fn send(&self, client: &str, line: &str, fields: &str, body: &str) -> (u16, String) {
        let token = self.issuer.token(ENDPOINT, client, &["predict"], self.proxy.now());
        let length = body.len();
        let head = format!("{line} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{fields}");
        let whole = format!("{head}Content-Length: {length}\r\n\r\n{body}");
        told(&raw(self.proxy.guard_address(), whole).await.expect("an answer"))
    }
}

fn told(answer: &Answer) -> (u16, String) {
    (answer.status, if answer.status == 200 { String::new() } else { answer.reason() })
}

fn part(name: &str, value: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
}

#[tokio::test]
async fn the_place_that_a_rule_names_decides() {
    let guarded = Guarded::new(None).await;
    let form =
        |parts: &[(&str, &str)]| parts.iter().map(|(name, value)| part(name, value)).collect::<String>() + "--b--\r\n";
    let mut passed = 0;
    for (who, line, fields, body, status, reason) in [
        (NARROWED, "GET /look?engine=small", "", "".to_owned(), 200, ""),
        (NARROWED, "GET /look?engine=large", "", "".to_owned(), 403, "model_not_granted"),
        (LABELER, "GET /look?engine=large", "", "".to_owned(), 200, ""),
        (NARROWED, "GET /look", "", "".to_owned(), 400, "model_missing"),
        (NARROWED, "GET /look?engine=small&engine=large", "", "".to_owned(), 400, "duplicate_parameter"),
        (NARROWED, "GET /look?engine=small&Engine=large", "", "".to_owned(), 400, "lookalike_parameter"),
        (NARROWED, "POST /run", JSON, r#"{"engine":"small"}"#.to_owned(), 200, ""),
        (NARROWED, "POST /run", JSON, r#"{"engine":"large"}"#.to_owned(), 403, "model_not_granted"),
        (LABELER, "POST /run", JSON, r#"{"engine":"large"}"#.to_owned(), 200, ""),
        (NARROWED, "POST /run", JSON, r#"{"model":"small"}"#.to_owned(), 400, "model_missing"),
        (NARROWED, "POST /run", JSON, r#"{"engine":"small","engine":"large"}"#.to_owned(), 400, "duplicate_member"),
        (NARROWED, "POST /run", JSON, r#"{"engine":"small","ENGINE":"large"}"#.to_owned(), 400, "lookalike_member"),
        (NARROWED, "POST /run", JSON, r#"{"engine":["large"]}"#.to_owned(), 400, "not_text"),
        (
            NARROWED,
            "POST /run",
            "Content-Type: text/plain\r\n",
            r#"{"engine":"small"}"#.to_owned(),
            415,
            "content_type",
        ),
        // Some servers look there first.
        (NARROWED, "POST /run?engine=large", JSON, r#"{"engine":"small"}"#.to_owned(), 400, "model_in_head"),
        (NARROWED, "POST /run?engine=", JSON, r#"{"engine":"small"}"#.to_owned(), 400, "model_in_head"),
        (NARROWED, "POST /run?a=b;%65ngine=large", JSON, r#"{"engine":"small"}"#.to_owned(), 400, "model_in_head"),
        (NARROWED, "POST /run?engines=2", JSON, r#"{"engine":"small"}"#.to_owned(), 200, ""),
        (NARROWED, "POST /model", JSON, r#"{"model":"small"}"#.to_owned(), 200, ""),
        (NARROWED, "POST /model", JSON, r#"{"model":"small","fallbacks":["large"]}"#.to_owned(), 400, "rival_member"),
        (NARROWED, "POST /upload", FORM, form(&[("engine", "small"), ("file", "x")]), 200, ""),
        (NARROWED, "POST /upload", FORM, form(&[("engine", "large")]), 403, "model_not_granted"),
        (NARROWED, "POST /upload", FORM, form(&[("engine", "small"), ("engine", "large")]), 400, "duplicate_part"),
        (NARROWED, "POST /upload", FORM, form(&[("file", "x")]), 400, "model_missing"),
        (NARROWED, "POST /upload", JSON, r#"{"engine":"small"}"#.to_owned(), 415, "content_type"),
        // A rule that names no place: a call of every model.
        (NARROWED, "POST /any", JSON, r#"{"engine":"small"}"#.to_owned(), 403, "every_model_not_granted"),
        (LABELER, "POST /any", JSON, r#"{"engine":"small"}"#.to_owned(), 200, ""),
    ] {
        assert_eq!(guarded.send(who, line, fields, &body).await, (status, reason.to_owned()), "{who} {line} {body}");
        passed += usize::from(status == 200);
        assert_eq!(guarded.app.heads().len(), passed, "{line} {body}");
    }
}

#[tokio::test]
async fn the_only_model_is_put_in_under_the_rules_name() {
    let guarded = Guarded::new(Some(&["small"])).await;
    assert_eq!(guarded.send(NARROWED, "POST /run", JSON, r#"{"a":1}"#).await.0, 200);
    let upload = part("file", "x") + "--b--\r\n";
    assert_eq!(guarded.send(NARROWED, "POST /upload", FORM, &upload).await.0, 200);
    assert_eq!(guarded.app.bodies(), [r#"{"engine":"small","a":1}"#.to_owned(), part("engine", "small") + &upload]);
}
