//! GraphQL before Dagster: what a document does decides, wherever the server takes it from and however it is written.

use serde_json::json;

use crate::support::{
    app::App,
    client::{Answer, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

const JSON: &str = "Content-Type: application/json\r\n";
const TEXT: &str = "Content-Type: application/graphql\r\n";

struct Guarded {
    issuer: Issuer,
    app: App,
    proxy: Proxy,
}

impl Guarded {
    async fn new() -> Self {
        let (issuer, app) = (Issuer::start().await, App::start().await);
        let proxy = Proxy::ready(&issuer, &app, |policy| {
            policy["protocol"] = json!("Dagster");
            policy["rules"] = json!([]);
            let grant = |client: &str, permissions: &[&str]| json!({"name": client, "subject": {"client": client}, "permissions": permissions});
            policy["grants"] = json!([
                grant("reader", &["read"]), grant("runner", &["read", "execute"]), grant("blind", &["execute"]),
                grant("keeper", &["deploy"]), grant(LABELER, &["read", "execute", "deploy", "admin"]),
                {"name": "narrow", "subject": {"client": "narrow"}, "permissions": ["read", "execute"], "models": ["iris"]},
            ]);
        })
        .await;
        Self { issuer, app, proxy }
    }

    async fn send(&self, line: &str, client: &str, fields: &str, body: &[u8]) -> Answer {
        let roles = ["read", "execute", "deploy", "admin"];
        let token = self.issuer.token(ENDPOINT, client, &roles, self.proxy.now());
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{fields}Content-Length: {length}\r\n\r\n"
        );
        raw(self.proxy.guard_address(), [head.as_bytes(), body].concat()).await.expect("an answer")
    }

    /// Status and reason.
    async fn told(&self, line: &str, client: &str, fields: &str, body: &str) -> (u16, String) {
        let answer = self.send(line, client, fields, body.as_bytes()).await;
        (answer.status, answer.reason())
    }

    /// The same for a document, in JSON.
    async fn ask(&self, client: &str, document: &str) -> (u16, String) {
        self.told("POST /graphql", client, JSON, &json!({"query": document}).to_string()).await
    }
}

#[tokio::test]
async fn what_it_does_decides() {
    let guarded = Guarded::new().await;
    let ok = (200, String::new());
    let denied = (403, "permission_not_granted".to_owned());
    for (document, needs) in [
        ("{ runsOrError { __typename } }", "read"),
        ("subscription { locationStateChangeEvents { __typename } }", "read"),
        ("mutation { launchRun(executionParams: {}) { __typename } }", "execute"),
        ("mutation { reportRunlessAssetEvents(eventParams: {}) { __typename } }", "execute"),
        ("mutation { stopSensor(id: \"s\") { __typename } }", "deploy"),
        ("mutation { deleteRun(runId: \"r\") { __typename } }", "admin"),
        ("mutation { whatEverComesNext }", "admin"),
        // However it is written.
        ("mutation { version: deleteRun(runId: \"r\") { __typename } }", "admin"),
        ("mutation { setNuxSeen: deleteRun(runId: \"r\") { __typename } }", "admin"),
        ("mutation { deleteRun: launchRun { id } }", "execute"),
        ("mutation { ...F } fragment F on Mutation { deleteRun(runId: \"r\") { __typename } }", "admin"),
        ("mutation { ... on Mutation { ... { deleteRun(runId: \"r\") { __typename } } } }", "admin"),
        ("mutation { ...F } fragment F on Mutation { ...G } fragment G on Mutation { launchRun { id } }", "execute"),
        ("#{ version }\nmutation#{\n{ launchRun { id } }", "execute"),
        (",,mutation,{,launchRun,{,id,},}", "execute"),
    ] {
        let expected = |granted: bool| if granted { ok.clone() } else { denied.clone() };
        assert_eq!(guarded.ask("reader", document).await, expected(needs == "read"), "{document}");
        assert_eq!(guarded.ask("blind", document).await, expected(needs == "execute"), "{document}");
        assert_eq!(guarded.ask("keeper", document).await, expected(needs == "deploy"), "{document}");
        assert_eq!(guarded.ask(LABELER, document).await, ok, "{document}");
        assert_eq!(guarded.ask("stranger", document).await, (403, "no_grant".to_owned()), "{document}");
        let narrowed = guarded.ask("narrow", document).await.0;
        assert_eq!(narrowed, 403, "{document}: there are no models that it could be narrowed to");
    }
}

#[tokio::test]
async fn what_has_two_readings_goes_no_further() {
    let guarded = Guarded::new().await;
    for (document, reason) in [
        // Which one is run, `operationName` says.
        ("query A { version } mutation B { launchRun { id } }", "different_needs"),
        ("mutation A { launchRun { id } } mutation B { deleteRun { id } }", "different_needs"),
        ("mutation { launchRun { id } wipeAssets { id } }", "different_needs"),
        ("mutation { launchRun { id } ...F } fragment F on Mutation { deleteRun { id } }", "different_needs"),
        ("\u{feff}mutation { launchRun { id } }", "invalid_character"),
        ("{ version # \u{7}} mutation { deleteRun\n }", "invalid_character"),
        ("\"\"\"described\"\"\" mutation { deleteRun { id } }", "not_executable"),
        ("{ version } type A { a: Int }", "not_executable"),
        ("mutation { ...F }", "fragments"),
        ("query { a(b: \"\\x22\") }", "invalid_token"),
        ("{ version", "not_executable"),
        ("", "no_operation"),
    ] {
        assert_eq!(guarded.ask(LABELER, document).await, (400, reason.to_owned()), "{document}");
    }
    let deep = format!("{}a{}", "{a".repeat(10_000), "}".repeat(10_000));
    assert_eq!(guarded.ask(LABELER, &deep).await, (400, "document_too_deep".to_owned()));
    assert_eq!(guarded.ask(LABELER, &" ".repeat(300_000)).await, (400, "document_too_long".to_owned()));
    assert!(guarded.app.heads().is_empty());
}

/// The HTTP method is no permission, and neither is where the document stands.
#[tokio::test]
async fn wherever_it_is() {
    let guarded = Guarded::new().await;
    let (post, get) = ("POST /graphql", "GET /graphql");
    let mutation = "mutation%7BlaunchRun%7D";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let both = "Content-Type: text/plain; application/json\r\n";
    let denied = "permission_not_granted";
    let rows = [
        // A page to write one in.
        (get.to_owned(), "", "", 200, ""),
        (format!("{get}?query=%7Bversion%7D"), "", "", 200, ""),
        (format!("{get}?query={mutation}"), "", "", 403, denied),
        (format!("{get}?query={mutation}"), "Accept: text/html\r\n", "", 403, denied),
        (format!("{get}?operationName=A&query={mutation}"), JSON, "", 403, denied),
        (format!("GET /dagster/graphql?query={mutation}"), "", "", 403, denied),
        (format!("{get}?query=%7Bversion%7D&query={mutation}"), "", "", 400, "duplicate_parameter"),
        (format!("{get}?query=%7Bversion%7D&Query={mutation}"), "", "", 400, "lookalike_parameter"),
        (format!("{get}?query=%7Bversion%7D;query={mutation}"), "", "", 400, "duplicate_parameter"),
        (format!("{post}?query=%7Bversion%7D"), "", "", 200, ""),
        (format!("{post}?query={mutation}"), "", "", 403, denied),
        (format!("{post}?query={mutation}"), form, "query=%7Bversion%7D", 415, "content_type"),
        (format!("{post}?query={mutation}"), JSON, r#"{"query":"{version}"}"#, 400, "document_twice"),
        (format!("{post}?query=%7Bversion%7D"), JSON, r#"{"query":"mutation{launchRun}"}"#, 400, "document_twice"),
        (format!("{get}?query=%7Bversion%7D"), JSON, r#"{"query":"mutation{launchRun}"}"#, 400, "document_twice"),
        (post.to_owned(), TEXT, "{version}", 200, ""),
        (post.to_owned(), TEXT, "mutation{launchRun}", 403, denied),
        (post.to_owned(), both, r#"{"query":"mutation{launchRun}"}"#, 415, "content_type"),
        (post.to_owned(), "Content-Type: multipart/form-data; boundary=x\r\n", "--x--", 415, "content_type"),
        (post.to_owned(), "", r#"{"query":"mutation{launchRun}"}"#, 415, "content_type"),
        (post.to_owned(), JSON, r#"{"query":"{version}"}"#, 200, ""),
        (post.to_owned(), JSON, r#"{"query":"{version}","query":"mutation{launchRun}"}"#, 400, "duplicate_member"),
        (post.to_owned(), JSON, r#"{"query":"{version}","\u0051uery":"mutation{launchRun}"}"#, 400, "lookalike_member"),
        (post.to_owned(), JSON, r#"{"\u0071uery":"mutation{l\u0061unchRun}"}"#, 403, denied),
        (post.to_owned(), JSON, r#"[{"query":"{version}"},{"query":"mutation{launchRun}"}]"#, 400, "not_an_object"),
        (post.to_owned(), JSON, r#"{"variables":{"query":"{version}"}}"#, 400, "document_missing"),
    ];
    let passed = rows.iter().filter(|row| row.3 == 200).count();
    for (line, fields, body, status, reason) in rows {
        let told = guarded.told(&line, "reader", fields, body).await;
        assert_eq!(told, (status, reason.to_owned()), "{line} {fields} {body}");
    }
    let twice = guarded.told(post, "reader", &format!("{TEXT}{JSON}"), "{version}").await;
    assert_eq!(twice, (415, "content_type".to_owned()));
    let packed = guarded.told(post, "reader", &format!("{JSON}Content-Encoding: gzip\r\n"), "{}").await;
    assert_eq!(packed, (415, "content_encoding".to_owned()));
    // Python finds out the character set by itself.
    let wide: Vec<u8> = r#"{"query":"mutation{launchRun}"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let answer = guarded.send(post, "reader", JSON, &wide).await;
    assert_eq!((answer.status, answer.reason().as_str()), (400, "not_json"));
    assert_eq!(guarded.app.heads().len(), passed, "only what was allowed went on");
}
