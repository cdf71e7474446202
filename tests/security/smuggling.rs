//! Requests with two readings: refused, and never seen by the application.

use crate::support::{
    app::App,
    client::{Connection, raw},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy},
};

struct Scene {
    proxy: Proxy,
    app: App,
    token: String,
    _issuer: Issuer,
}

async fn scene() -> Scene {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.token(ENDPOINT, LABELER, &["read", "predict"], proxy.now());
    Scene { proxy, app, token, _issuer: issuer }
}

#[tokio::test]
async fn ambiguous_heads_are_refused() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    let auth = format!("Authorization: Bearer {token}\r\n");
    let good = format!("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}\r\n");
    assert_eq!(raw(proxy.guard_address(), &good).await.map(|a| a.status), Some(200), "the counter-example");
    let seen = app.heads().len();
    for (head, reason) in [
        ("GET /v2 HTTP/1.1\r\n{auth}\r\n", "invalid_host"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\nHost: a\r\n{auth}\r\n", "invalid_host"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n{auth}\r\n", "invalid_host"),
        ("GET /v2 HTTP/1.1\r\nHost: a/b\r\n{auth}\r\n", "invalid_host"),
        ("GET http://a/v2 HTTP/1.1\r\nHost: a\r\n{auth}\r\n", "invalid_target"),
        ("GET http://b/v2 HTTP/1.1\r\nHost: a\r\n{auth}\r\n", "invalid_target"),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n{auth}\r\n", "invalid_target"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n{auth}\r\n", "invalid_target"),
        ("GET /v2#/../admin HTTP/1.1\r\nHost: a\r\n{auth}\r\n", "fragment"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}{auth}\r\n", "duplicate_authorization"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\nAuthorization: Basic eDp5\r\n{auth}\r\n", "duplicate_authorization"),
        (
            "POST /v2 HTTP/1.1\r\nHost: a\r\n{auth}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "ambiguous_length",
        ),
        (
            "POST /v2 HTTP/1.1\r\nHost: a\r\n{auth}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            "ambiguous_length",
        ),
        ("POST /v2 HTTP/1.1\r\nHost: a\r\n{auth}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx", "ambiguous_length"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}X: y\n\r\n", "bare_line_feed"),
        ("GET /v2 HTTP/1.1\nHost: a\r\n{auth}\r\n", "bare_line_feed"),
        (
            "GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
            "upgrade_refused",
        ),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "upgrade_refused"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}X-HTTP-Method-Override: DELETE\r\n\r\n", "override_header"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}X-Original-URL: /v2/repository/index\r\n\r\n", "override_header"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}X_Keywire_Subject: root\r\n\r\n", "aliased_header"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}X.Keywire.Client: root\r\n\r\n", "aliased_header"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}Connection: Authorization\r\n\r\n", "invalid_connection"),
        ("GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}Connection: close, \u{e9}\r\n\r\n", "invalid_connection"),
        ("GET /v2?access_token=x HTTP/1.1\r\nHost: a\r\n{auth}\r\n", "token_in_query"),
    ] {
        let answer = raw(proxy.guard_address(), head.replace("{auth}", &auth)).await;
        let found = answer.as_ref().map(|answer| (answer.status, answer.reason()));
        assert_eq!(found, Some((400, reason.to_owned())), "{head:?}: {answer:?}");
        assert_eq!(app.heads().len(), seen, "{head:?} reached the application");
    }
}

/// hyper answers these itself, or just closes: without a reason, but not with a 200.
#[tokio::test]
async fn malformed_heads_never_pass() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    let auth = format!("Authorization: Bearer {token}\r\n");
    let huge = format!("GET /v2 HTTP/1.1\r\nHost: a\r\n{{auth}}X: {}\r\n\r\n", "y".repeat(33 * 1024));
    let many = format!("GET /v2 HTTP/1.1\r\nHost: a\r\n{{auth}}{}\r\n", "X: y\r\n".repeat(200));
    for head in [
        "GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}Folded: a\r\n b\r\n\r\n",
        "GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}Content-Length : 5\r\n\r\nhello",
        "GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}Content-Length: -5\r\n\r\n",
        "POST /v2 HTTP/1.1\r\nHost: a\r\n{auth}Content-Length: 5, 5\r\n\r\nhello",
        "POST /v2 HTTP/1.1\r\nHost: a\r\n{auth}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /v2 HTTP/1.1\r\nHost: a\r\n{auth}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST /v2 HTTP/1.0\r\nHost: a\r\n{auth}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}X\0: y\r\n\r\n",
        "GET /v2 HTTP/1.1\r\nHost: a\r\n{auth}no colon\r\n\r\n",
        "GET  /v2 HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
        "GET /v2 HTTP/3.0\r\nHost: a\r\n{auth}\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &huge,
        &many,
    ] {
        let answer = raw(proxy.guard_address(), head.replace("{auth}", &auth)).await;
        assert!(answer.as_ref().is_none_or(|a| (400..500).contains(&a.status)), "{:.80}: {answer:?}", head);
    }
    assert!(app.heads().is_empty(), "{:?}", app.heads());
}

#[tokio::test]
async fn a_violation_ends_the_connection() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    let good = format!("GET /v2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    // What follows an ambiguous request on the wire might be its body, or not.
    for (passed, smuggled) in [
        "POST /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /v2 HTTP/1.1\r\nHost: a\r\nX: y\n\r\n",
        "GET /v2#x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v2/../v2 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v2 HTTP/1.1\r\nHost: a\r\nX_Keywire_Subject: root\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut connection = Connection::open(proxy.guard_address()).await;
        connection.send(good.as_bytes()).await;
        assert_eq!(connection.answer().await.map(|a| a.status), Some(200));
        connection.send(format!("{smuggled}{good}").as_bytes()).await;
        assert_eq!(connection.answer().await.map(|a| a.status), Some(400), "{smuggled:?}");
        assert!(connection.answer().await.is_none(), "{smuggled:?}");
        assert_eq!(app.heads().len(), passed + 1, "{smuggled:?}");
    }
}

#[tokio::test]
async fn paths_have_one_reading() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    for (path, reason) in [
        ("//v2", "empty_segment"),
        ("/v2//models/iris", "empty_segment"),
        ("/open//x", "empty_segment"),
        ("/v2/./models/iris", "dot_segment"),
        ("/open/../v2/repository/index", "dot_segment"),
        ("/open/..;/v2/repository/index", "path_parameter"),
        ("/open/x;y=z", "path_parameter"),
        ("/open/%2e%2e/v2", "ambiguous_percent"),
        ("/open%2f..%2fv2", "ambiguous_percent"),
        ("/open/%2F", "ambiguous_percent"),
        ("/open/%5c", "ambiguous_percent"),
        ("/open/%00", "ambiguous_percent"),
        ("/open/%252e", "ambiguous_percent"),
        ("/open/%0d%0aX:y", "ambiguous_percent"),
        ("/v2/models/%69ris", "ambiguous_percent"),
        ("/open/%", "invalid_percent"),
        ("/open/%g0", "invalid_percent"),
        ("/open/%ff", "not_utf8"),
        ("/open/{x}", "invalid_byte"),
        ("/open/\u{e9}", "invalid_byte"),
    ] {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        let answer = raw(proxy.guard_address(), bytes).await;
        let found = answer.as_ref().map(|answer| (answer.status, answer.reason()));
        assert_eq!(found, Some((400, reason.to_owned())), "{path}: {answer:?}");
    }
    for path in ["/v2\\models", "/open/\"x\"", "/open/<x>", "/open/x y"] {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        let answer = raw(proxy.guard_address(), bytes).await;
        assert!(answer.as_ref().is_none_or(|a| a.status == 400), "{path}: {answer:?}");
    }
    assert!(app.heads().is_empty(), "{:?}", app.heads());
}

#[tokio::test]
async fn exactly_the_bytes_matched_go_on() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    for target in ["/open/a%20b/%c3%A9?q=%2f..//;x&y=%zz", "/open/", "/v2?"] {
        let bytes = format!("GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
        assert_eq!(raw(proxy.guard_address(), bytes).await.map(|a| a.status), Some(200), "{target}");
        let head = app.heads().pop().unwrap_or_default();
        assert!(head.starts_with(&format!("get {} http/1.1\r\n", target.to_lowercase())), "{head}");
    }
}

#[tokio::test]
async fn nobody_forges_an_identity() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    let bytes = format!(
        "GET /v2 HTTP/1.1\r\nHost: iris.vision.svc\r\nAuthorization: Bearer {token}\r\nX-Keywire-Subject: root\r\n\
         x-keywire-client: root\r\nX-KEYWIRE-ROLES: admin\r\nX-Keywire-Endpoint: root/root\r\nX-Keywire-Else: root\r\n\
         Connection: close, X-Keywire-Subject, X-Private\r\nX-Private: root\r\nX-Forwarded-For: 6.6.6.6\r\n\
         X-Forwarded-User: root\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nTE: trailers\r\nAccept: */*\r\n\r\n"
    );
    assert_eq!(raw(proxy.guard_address(), bytes).await.map(|a| a.status), Some(200));
    let head = app.heads().pop().unwrap_or_default();
    for expected in [
        "\r\nx-keywire-subject: 9f6e2a54-8f63-4a3e-8c0e-0d6d3a5b7f11\r\n",
        "\r\nx-keywire-client: labeler.agents.workload\r\n",
        "\r\nx-keywire-roles: read,predict\r\n",
        "\r\nx-keywire-endpoint: vision/iris\r\n",
        "\r\nx-forwarded-for: 127.0.0.1\r\n",
        "\r\nhost: iris.vision.svc\r\n",
        "\r\naccept: */*\r\n",
    ] {
        assert_eq!(head.matches(expected).count(), 1, "{expected:?} in {head}");
    }
    for absent in ["root", "6.6.6.6", "authorization", "bearer", "connection:", "\r\nte:", "x-private"] {
        assert!(!head.contains(absent), "{absent:?} in {head}");
    }
    // A public route carries nobody's identity, a forged one least of all.
    let public = "GET /hello HTTP/1.1\r\nHost: a\r\nX-Keywire-Client: root\r\n\r\n";
    assert_eq!(raw(proxy.guard_address(), public).await.map(|a| a.status), Some(200));
    assert!(!app.heads().pop().unwrap_or_default().contains("x-keywire-client"));
}

#[tokio::test]
async fn the_application_does_not_speak_for_the_guard() {
    let Scene { proxy, app, token, _issuer } = scene().await;
    app.script("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nX-Keywire-Reason: role_missing\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\n");
    let bytes = format!("GET /v2 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    let answer = raw(proxy.guard_address(), bytes.clone()).await.expect("an answer");
    assert_eq!(answer.status, 403);
    assert_eq!((answer.header("x-keywire-reason"), answer.header("x-hop")), (None, None));
    app.script("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n");
    assert_eq!(raw(proxy.guard_address(), bytes).await.map(|a| a.status), Some(502));
}
