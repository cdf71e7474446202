//! HTTP/2: the same decisions over other frames, and bounds on what frames can do.

use http_body_util::BodyExt;
use serde_json::json;

use crate::support::{
    app::{App, EVENTS},
    h2::{CONTINUATION, Connection, END_HEADERS, END_STREAM, GO_AWAY, HEADERS, PING, RESET, Raw, block, full},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
    until,
};

struct Scene {
    proxy: Proxy,
    app: App,
    token: String,
    _issuer: Issuer,
}

async fn scene() -> Scene {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |policy| policy["models"] = json!(["iris"])).await;
    let token = issuer.token(ENDPOINT, LABELER, &["read", "predict"], proxy.now());
    Scene { proxy, app, token, _issuer: issuer }
}

#[tokio::test]
async fn what_goes_on_is_plain_http1_with_the_guards_own_fields() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    let mut connection = Connection::open(proxy.guard_address()).await;
    let request = http::Request::builder()
        .method("POST")
        .uri("http://iris.vision:80/v2/models/iris/infer?x=1")
        .header("authorization", format!("Bearer {token}"))
        .header("x-keywire-subject", "root")
        .header("x-forwarded-for", "10.9.8.7")
        .header("te", "trailers")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(full("{}"));
    let answer = connection.send(request.expect("a request")).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert!(answer.into_body().collect().await.is_ok());
    let heads = app.heads();
    let head = heads.last().expect("a head");
    assert!(head.starts_with("post /v2/models/iris/infer?x=1 http/1.1\r\n"), "{head}");
    for line in ["host: iris.vision:80", "cookie: a=1; b=2", "content-length: 2", "x-forwarded-for: 127.0.0.1"] {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line}: {head}");
    }
    assert!(!head.contains("root") && !head.contains("authorization") && !head.contains("\r\nte:"), "{head}");
    assert_eq!(app.bodies(), ["{}"]);
}

/// What a library of HTTP/2 takes apart for us, and what it leaves to us.
#[tokio::test]
async fn heads_with_two_readings_are_refused() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    let auth = format!("Bearer {token}");
    let good =
        [(":method", "GET"), (":scheme", "http"), (":path", "/v2"), (":authority", "a"), ("authorization", &*auth)];
    let with = |name: &str, value: &'static str| {
        let replaced = good.map(|(known, before)| if known == name { (known, value) } else { (known, before) });
        replaced.to_vec()
    };
    let and = |name: &'static str, value: &'static str| [&good[..], &[(name, value)]].concat();
    let without = |name: &str| good.into_iter().filter(|(known, _)| *known != name).collect::<Vec<_>>();
    let mut raw = Raw::open(proxy.guard_address()).await;
    assert!(raw.request(1, &good).await);
    assert!(matches!(raw.end(1).await, Some(Ok(body)) if body.contains("get /v2 ")), "the counter-example");
    for (fields, reason) in [
        // CVE-2026-33186.
        (with(":path", "v2"), ""),
        (with(":path", "*"), ""),
        (with(":path", "//v2"), "empty_segment"),
        (with(":path", "/v2/../v2"), "dot_segment"),
        (with(":path", "/%76%32"), "ambiguous_percent"),
        (with(":path", "/v2;x=y"), "path_parameter"),
        (with(":path", "/v2\\x"), ""),
        (with(":path", "/v2?access_token=x"), "token_in_query"),
        (with(":method", "CONNECT"), ""),
        (with(":scheme", "ftp"), "invalid_target"),
        (without(":scheme"), ""),
        (without(":authority"), "invalid_host"),
        (with(":authority", ""), ""),
        (with(":authority", "u@a"), "invalid_host"),
        ([without(":authority"), vec![("host", "a")]].concat(), "invalid_host"),
        (and("host", "b"), "invalid_host"),
        (and("authorization", "Bearer x"), "duplicate_authorization"),
        (and("connection", "close"), ""),
        (and("connection", "authorization"), ""),
        (and("keep-alive", "1"), ""),
        (and("proxy-connection", "close"), ""),
        (and("transfer-encoding", "chunked"), ""),
        (and("upgrade", "h2c"), ""),
        (and("upgrade", "websocket"), ""),
        (and("http2-settings", "AAMAAABkAAQAAP__"), "upgrade_refused"),
        (and("te", "gzip"), ""),
        (and("content-length", "5"), ""),
        (and("content-length", "+0"), ""),
        (and("X-Upper", "1"), ""),
        (and("x-keywire_subject", "root"), "aliased_header"),
        (and("x-http-method-override", "DELETE"), "override_header"),
        (and(":path", "/v2"), ""),
        (and(":unknown", "x"), ""),
        (and("bad name", "x"), ""),
        (and("x", "a\r\nb: c"), ""),
    ] {
        let mut raw = Raw::open(proxy.guard_address()).await;
        assert!(raw.request(1, &fields).await);
        let end = raw.end(1).await;
        // Without a reason it is the library that refuses: the stream, or all of the connection.
        let is_refused = match &end {
            Some(Ok(body)) => {
                !reason.is_empty() && body.contains(&format!("\"{reason}\""))
                    || reason.is_empty() && body.contains("\"invalid_request\"")
            }
            Some(Err(_)) | None => reason.is_empty(),
        };
        assert!(is_refused, "{fields:?}: {end:?}");
        assert_eq!(app.heads().len(), 1, "{fields:?} reached the application");
    }
}

#[tokio::test]
async fn large_heads_pass_and_huge_ones_do_not() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    let mut connection = Connection::open(proxy.guard_address()).await;
    let request = |length: usize| {
        let request = http::Request::builder().uri("http://a/v2").header("authorization", format!("Bearer {token}"));
        request.header("cookie", "c".repeat(length)).body(full("")).expect("a request")
    };
    assert!(matches!(connection.send(request(24_000)).await, Some(answer) if answer.status() == 200));
    let refused = connection.send(request(40_000)).await;
    assert!(refused.is_none_or(|answer| answer.status() == 431));
    assert_eq!(app.heads().len(), 1);
}

/// RUSTSEC-2024-0332: a head without an end.
#[tokio::test]
async fn a_head_that_goes_on_for_ever_ends_the_connection() {
    let Scene { proxy, app, .. } = scene().await;
    let mut raw = Raw::open(proxy.guard_address()).await;
    raw.frame(HEADERS, END_STREAM, 1, &block(&[(":method", "GET"), (":scheme", "http")])).await;
    let more = block(&[("x-more", &"y".repeat(1000))]);
    for _ in 0..200 {
        raw.frame(CONTINUATION, 0, 1, &more).await;
    }
    // It has to end by itself: nothing more is sent, and no end of the head.
    assert!(raw.end(1).await.is_none());
    assert!(app.heads().is_empty());
}

/// CVE-2023-44487: requests that are taken back as soon as they are made.
#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let Scene { proxy, token, _issuer, .. } = scene().await;
    let auth = format!("Bearer {token}");
    let fields =
        [(":method", "GET"), (":scheme", "http"), (":path", "/v2"), (":authority", "a"), ("authorization", &auth)];
    let mut raw = Raw::open(proxy.guard_address()).await;
    let one = block(&fields);
    // All at once, so that nobody can look at them in between.
    let mut flood = Vec::new();
    for index in 0..2000_u32 {
        let stream = (2 * index + 1).to_be_bytes();
        let length = u32::try_from(one.len()).expect("short").to_be_bytes();
        flood.extend([&length[1..], &[HEADERS, END_STREAM | END_HEADERS], &stream, &one].concat());
        flood.extend([&[0, 0, 4, RESET, 0][..], &stream, &8_u32.to_be_bytes()].concat());
    }
    // Whoever reads as far as this has taken all of them.
    flood.extend([&[0, 0, 8, PING, 0][..], &[0; 4], &[7; 8]].concat());
    raw.send(&flood).await;
    let mut has_ended = false;
    while let Some(frame) = raw.next().await {
        assert_ne!(frame.kind, PING, "the guard answers as if nothing had happened");
        has_ended |= frame.kind == GO_AWAY;
    }
    assert!(has_ended, "the connection did not end by the guard's will");
    let mut connection = Connection::open(proxy.guard_address()).await;
    let answer = connection.call("GET", "/v2", Some(&token), "").await;
    assert_eq!(answer.map(|answer| answer.status), Some(200), "the guard is well");
}

#[tokio::test]
async fn a_connection_has_so_many_streams_and_no_more() {
    let Scene { proxy, .. } = scene().await;
    let mut raw = Raw::open(proxy.guard_address()).await;
    let settings = loop {
        let frame = raw.next().await.expect("settings");
        if frame.kind == crate::support::h2::SETTINGS && frame.flags == 0 {
            break frame.payload;
        }
    };
    let setting = |id: u16| {
        let found = settings.chunks_exact(6).find(|setting| setting[..2] == id.to_be_bytes());
        found.map(|setting| u32::from_be_bytes(setting[2..].try_into().expect("four bytes")))
    };
    assert_eq!(setting(3), Some(100), "SETTINGS_MAX_CONCURRENT_STREAMS");
    assert_eq!(setting(6), Some(32 * 1024), "SETTINGS_MAX_HEADER_LIST_SIZE");
    assert_eq!(setting(4), Some(256 * 1024), "SETTINGS_INITIAL_WINDOW_SIZE");
    assert_ne!(setting(8), Some(1), "SETTINGS_ENABLE_CONNECT_PROTOCOL");
    // Their bodies never come: all wait.
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/hello"), (":authority", "a")];
    for index in 0..101 {
        raw.frame(HEADERS, END_HEADERS, 2 * index + 1, &block(&fields)).await;
    }
    // Refused by the protocol, or answered: in no case more than a hundred at once.
    let end = raw.end(201).await;
    assert!(!matches!(end, Some(Ok(ref body)) if body.is_empty()), "{end:?}");
}

#[tokio::test]
async fn streams_are_not_buffered_and_finish_during_a_drain() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    let mut connection = Connection::open(proxy.guard_address()).await;
    let request = http::Request::builder().method("POST").uri("http://a/v2/models/iris/generate_stream");
    let request = request.header("authorization", format!("Bearer {token}")).body(full("{}")).expect("a request");
    let mut body = connection.send(request).await.expect("an answer").into_body();
    let mut next = async || body.frame().await.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
    assert_eq!(next().await.as_deref(), Some(&b"data: first\n\n"[..]), "the first came before the second was made");
    let address = proxy.guard_address();
    let stopping = proxy.stop();
    until("the port to close", || async { tokio::net::TcpStream::connect(address).await.is_err() }).await;
    EVENTS.add_permits(1);
    assert_eq!(next().await.as_deref(), Some(&b"data: second\n\n"[..]));
    assert!(next().await.is_none_or(|end| end.is_empty()));
    until("the connection to end", || async { connection.is_closed() }).await;
    tokio::task::spawn_blocking(|| stopping.join()).await.expect("joins").expect("stops");
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    let connection = Connection::open(proxy.guard_address()).await;
    let calls = (0..50).map(|_| {
        let (mut connection, token) = (connection.clone(), token.clone());
        tokio::spawn(async move { connection.call("POST", "/v2/models/iris/infer", Some(&token), "{}").await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.expect("joins").map(|answer| answer.status), Some(200));
    }
    assert_eq!(app.heads().len(), 50);
    assert!(proxy.metric("keywire_connections").await <= 1.0);
}
