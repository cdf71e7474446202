//! What is seen of a guard from outside: counters, traces, the audit log.

use std::{fs, path::PathBuf};

use serde_json::{Value, json};

use crate::support::{
    app::App,
    client::{call, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy, Setup, policy},
    until,
};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A guard with an audit file, and where that is. One worker: the records of several come in turns of the writer.
async fn audited(issuer: &Issuer, app: &App, kind: &'static str) -> (Proxy, PathBuf) {
    let mut proxy = Proxy::prepare();
    proxy.write("guard/guard.json", &proxy.with_ports(&policy(issuer, app)).to_string());
    let path = proxy.directory.path().join("audit.log");
    // Leaked: the flags of a test live as long as it.
    let shown: &'static str = Box::leak(path.display().to_string().into_boxed_str());
    proxy.start(&Setup {
        guard: true,
        one_worker: true,
        extra: vec!["--audit", kind, "--audit-file", shown],
        ..Setup::default()
    });
    proxy.until_ready().await;
    (proxy, path)
}

fn records(path: &PathBuf) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    // A line that is being written does not count yet.
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).expect("a record")).collect()
}

async fn traced(proxy: &Proxy, token: &str, fields: &str) -> u16 {
    let fields = format!("Host: a\r\nAuthorization: Bearer {token}\r\n{fields}Content-Length: 0");
    let request = format!("POST /v2/models/iris/infer HTTP/1.1\r\n{fields}\r\n\r\n");
    raw(proxy.guard_address(), request).await.expect("an answer").status
}

#[tokio::test]
async fn each_decision_is_in_the_file_and_nothing_that_a_caller_sends_forges_one() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let (proxy, path) = audited(&issuer, &app, "all").await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    assert_eq!(traced(&proxy, &token, &format!("traceparent: {PARENT}\r\ntracestate: a=b\r\n")).await, 200);
    assert_eq!(traced(&proxy, "x", "").await, 401);
    // A name that would end the record and begin another.
    let forged = "/v2/models/x%0A%7B%22decision%22%3A%22allowed%22%7D/infer";
    call(proxy.guard_address(), "POST", forged, Some(&token)).await;
    until("three records", || async { records(&path).len() >= 3 }).await;
    let all = records(&path);
    assert_eq!(all.len(), 3, "{all:?}");
    for (name, value) in [
        ("target", "audit"),
        ("decision", "allowed"),
        ("reason", "granted"),
        ("client", LABELER),
        ("permission", "predict"),
        ("model", "iris"),
        ("route", "/v2/models/{model}/infer"),
        ("grant", "labelers"),
        ("trace_id", TRACE),
    ] {
        assert_eq!(all[0][name], json!(value), "{name}");
    }
    assert_eq!((&all[1]["decision"], &all[1]["reason"]), (&json!("denied"), &json!("malformed")));
    let text = fs::read_to_string(&path).expect("reads");
    assert!(!text.contains(&token), "the token is in the audit log");
    // The application was told of the same trace, and of one that was begun where there was none.
    let heads = app.heads();
    assert!(
        heads[0].contains(&format!("traceparent: {PARENT}")) && heads[0].contains("tracestate: a=b"),
        "{}",
        heads[0]
    );
}

#[tokio::test]
async fn a_broken_trace_is_begun_anew_or_taken_out() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let (all, path) = audited(&issuer, &app, "all").await;
    let (denied, _) = audited(&issuer, &app, "denied").await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], all.now());
    let broken = "traceparent: 00-zz\r\ntracestate: a=b\r\n";
    let twice = format!("traceparent: {PARENT}\r\ntraceparent: {PARENT}\r\n");
    for (proxy, fields) in
        [(&all, broken), (&all, ""), (&all, &twice), (&denied, broken), (&denied, ""), (&denied, &twice)]
    {
        assert_eq!(traced(proxy, &token, fields).await, 200);
    }
    let heads = app.heads();
    until("the records", || async { records(&path).len() == 3 }).await;
    for (head, record) in heads[..3].iter().zip(records(&path)) {
        let id = record["trace_id"].as_str().expect("an id");
        assert!(id.len() == 32 && head.contains(&format!("traceparent: 00-{id}-")), "{head}");
        assert_eq!(head.matches("traceparent").count(), 1, "{head}");
        assert!(!head.contains("tracestate"), "{head}");
    }
    for head in &heads[3..] {
        assert!(!head.contains("traceparent") && !head.contains("tracestate"), "{head}");
    }
}

#[tokio::test]
async fn the_file_may_be_moved_and_what_waits_is_written_at_the_end() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let (mut proxy, path) = audited(&issuer, &app, "denied").await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    assert_eq!((traced(&proxy, "x", "").await, traced(&proxy, &token, "").await), (401, 200));
    until("the first record", || async { records(&path).len() == 1 }).await;
    let moved = path.with_extension("1");
    fs::rename(&path, &moved).expect("moves");
    until("the new file", || async { path.exists() || traced(&proxy, "x", "").await != 401 }).await;
    assert_eq!(traced(&proxy, "x", "").await, 401);
    let stopping = proxy.stop();
    tokio::task::spawn_blocking(|| stopping.join()).await.expect("joins").expect("stops");
    let (before, after) = (records(&moved).len(), records(&path).len());
    assert!(before >= 1 && after >= 1, "{before} and {after}");
}

#[tokio::test]
async fn models_that_callers_invent_make_no_series() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        let grant = json!({"name": "n", "subject": {"client": "n"}, "permissions": ["predict"], "models": ["iris"]});
        policy["grants"].as_array_mut().expect("grants").push(grant);
    })
    .await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    let stranger = issuer.token(ENDPOINT, "stranger", &["predict"], proxy.now());
    for n in 0..20 {
        let path = format!("/v2/models/invented-{n}/infer");
        assert_eq!(call(proxy.guard_address(), "POST", &path, Some(&token)).await.status, 200);
        assert_eq!(call(proxy.guard_address(), "POST", &path, Some(&stranger)).await.status, 403);
    }
    assert_eq!(call(proxy.guard_address(), "POST", "/v2/models/iris/infer", Some(&token)).await.status, 200);
    let text = proxy.admin("/metrics").await.body;
    assert!(!text.contains("invented"), "{text}");
    let line = |decision: &str, reason: &str, model: &str| {
        format!(
            "keywire_guard_requests_total{{decision=\"{decision}\",reason=\"{reason}\",permission=\"predict\",model=\"{model}\"}}"
        )
    };
    for (line, expected) in [
        (line("allowed", "granted", "other"), 20.0),
        (line("allowed", "granted", "iris"), 1.0),
        (line("denied", "no_grant", "other"), 20.0),
    ] {
        assert_eq!(proxy.metric(&line).await, expected, "{line}");
    }
    assert!(proxy.metric("keywire_guard_decision_seconds_count").await >= 1.0, "{text}");
    assert_eq!(proxy.metric("keywire_guard_audit_lost_total").await, 0.0);
}

#[tokio::test]
async fn what_is_in_force_is_shown() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| {
        policy["resource"] = json!("https://models.example/iris");
        policy["cors"] = json!({"origins": ["https://chat.example"]});
        policy["limits"] = json!({"requestsPerSecond": 7, "concurrent": 3});
        policy["issuers"][0]["notBefore"] = json!(1_700_000_000);
    })
    .await;
    let guard = &proxy.admin("/config").await.json()["guard"];
    for (name, value) in [
        ("resource", json!("https://models.example/iris")),
        ("cors", json!(["https://chat.example"])),
        ("limits", json!({"requestsPerSecond": 7, "concurrent": 3})),
        ("notBefore", json!([1_700_000_000])),
    ] {
        assert_eq!(guard[name], value, "{name}");
    }
}
