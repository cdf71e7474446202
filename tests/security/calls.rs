//! What happens to a call that passes: bodies, streams, failures, the end.

use crate::support::{
    app::{App, EVENTS},
    client::{Connection, call},
    issuer::Issuer,
    proxy::{ENDPOINT, LABELER, Proxy, Setup, policy},
};

#[tokio::test]
async fn streams_are_not_buffered_and_finish_during_a_drain() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    let mut connection = Connection::open(proxy.guard_address()).await;
    let request = format!(
        "POST /v2/models/iris/generate_stream HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    connection.send(request.as_bytes()).await;
    let answer = connection.answer().await.expect("an answer");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/event-stream")));
    assert!(connection.read_until("data: first").await, "the first event came before the second was made");
    let address = proxy.guard_address();
    let stopping = proxy.stop();
    // No new connection, but the stream goes on to its end.
    crate::support::until("the port to close", || async { tokio::net::TcpStream::connect(address).await.is_err() })
        .await;
    EVENTS.add_permits(1);
    assert!(connection.read_until("data: second").await);
    assert!(connection.read_until("0\r\n\r\n").await);
    assert!(connection.closed().await);
    tokio::task::spawn_blocking(|| stopping.join()).await.expect("joins").expect("stops");
}

#[tokio::test]
async fn bodies_of_every_framing_arrive_and_connections_are_kept() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::ready(&issuer, &app, |_| {}).await;
    let token = issuer.token(ENDPOINT, LABELER, &["predict"], proxy.now());
    let head = format!("POST /v2/models/iris/infer HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n");
    let big = "x".repeat(300_000);
    let mut connection = Connection::open(proxy.guard_address()).await;
    for rest in [
        "Content-Length: 0\r\n\r\n".to_owned(),
        "Content-Length: 5\r\n\r\nhello".to_owned(),
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
        format!("Content-Length: {}\r\n\r\n{big}", big.len()),
        "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
    ] {
        connection.send(format!("{head}{rest}").as_bytes()).await;
        let mut answer = connection.answer().await.expect("an answer");
        if answer.status == 100 {
            answer = connection.answer().await.expect("an answer");
        }
        assert_eq!(answer.status, 200, "{:.60}", rest);
    }
    assert_eq!(app.heads().len(), 5);
    assert_eq!(app.connections(), 1, "one connection to the application served them all");
    assert!(app.heads().iter().all(|head| !head.contains("expect:")));
}

#[tokio::test]
async fn an_application_that_is_not_there_is_said_so() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut document = policy(&issuer, &app);
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    document["listeners"][0]["upstream"] = serde_json::json!(free);
    let proxy = Proxy::guard(Some(&document), &[]);
    proxy.until_ready().await;
    let answer = call(proxy.guard_address(), "GET", "/hello", None).await;
    assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_refused"));
    assert!(answer.json()["message"].as_str().is_some_and(|message| message.contains(&free.to_string())));
}

#[tokio::test]
async fn an_application_that_breaks_off_or_hangs_is_said_so() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let proxy = Proxy::guard(Some(&policy(&issuer, &app)), &["--upstream-timeout", "1"]);
    proxy.until_ready().await;
    app.script("garbage\r\n\r\n");
    let answer = call(proxy.guard_address(), "GET", "/hello", None).await;
    assert_eq!((answer.status, answer.reason().as_str()), (502, "upstream_broken"));
    // Nothing at all: the guard's patience ends, not the client's.
    app.script("");
    let answer = call(proxy.guard_address(), "GET", "/hello", None).await;
    assert_eq!((answer.status, answer.reason().as_str()), (504, "upstream_too_slow"));
    // And the guard is well.
    assert_eq!(call(proxy.guard_address(), "GET", "/hello", None).await.status, 200);
}

#[tokio::test]
async fn a_kept_connection_that_the_application_closed_costs_no_call() {
    let (issuer, app) = (Issuer::start().await, App::start().await);
    let mut proxy = Proxy::prepare();
    proxy.write("guard/guard.json", &proxy.with_ports(&policy(&issuer, &app)).to_string());
    proxy.start(&Setup { guard: true, one_worker: true, ..Setup::default() });
    proxy.until_ready().await;
    for _ in 0..3 {
        app.script("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_eq!(call(proxy.guard_address(), "GET", "/hello", None).await.status, 200);
    }
    assert_eq!(app.connections(), 3);
}
