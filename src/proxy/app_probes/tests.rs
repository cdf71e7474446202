use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};

use super::*;
use crate::core::app_probe::{Action, ProbeKind};

/// An application that answers each call as `answer` says, over HTTP/1.1 or HTTP/2.
async fn app<F>(is_h2: bool, answer: F) -> u16
where
    F: Fn(Request<Incoming>) -> Response<Full<Bytes>> + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            let service = service_fn(move |request| {
                let response = answer(request);
                async move { Ok::<_, Infallible>(response) }
            });
            tokio::spawn(async move {
                let io = TokioIo::new(stream);
                if is_h2 {
                    drop(conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await);
                } else {
                    drop(conn::http1::Builder::new().serve_connection(io, service).await);
                }
            });
        }
    });
    port
}

fn status(status: u16, body: &'static [u8]) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body)));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

async fn answer(action: Action) -> Answer {
    let probe = AppProbe { container: "app".into(), kind: ProbeKind::Readiness, action, timeout: 1 };
    let probes = AppProbes::new(&[probe]);
    assert!(probes.answer("/app-health/app/livez").await.is_none(), "another probe");
    probes.answer("/app-health/app/readyz").await.expect("its path")
}

fn get(port: u16, path: &str) -> Action {
    Action::HttpGet { port, path: path.into(), headers: vec![("X-Probe".into(), "yes".into())] }
}

#[tokio::test]
async fn http_is_as_good_as_its_status() {
    let port = app(false, |request| match request.uri().path() {
        "/fields" => {
            let field = |name: &str| request.headers().get(name).is_some();
            let all = ["host", "x-probe", "user-agent"].into_iter().all(field);
            status(if all { 200 } else { 400 }, b"")
        }
        "/query" if request.uri().query() == Some("deep=1") => status(204, b""),
        "/moved" => status(302, b""),
        "/ill" => status(500, b"the password is 123"),
        _ => status(404, b""),
    })
    .await;
    for (path, expected) in [("/fields", 200), ("/query?deep=1", 200), ("/moved", 200), ("/ill", 500), ("/query", 404)]
    {
        let (found, text) = answer(get(port, path)).await;
        assert_eq!(found.as_u16(), expected, "{path} {text}");
        assert!(!text.contains("123"), "the application's own words stay in the pod");
    }
}

#[tokio::test]
async fn a_connection_is_accepted_or_not() {
    let port = app(false, |_| status(200, b"")).await;
    assert_eq!(answer(Action::TcpSocket { port }).await.0, StatusCode::OK);
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let port = socket.local_addr().expect("its address").port();
    for action in [Action::TcpSocket { port }, get(port, "/"), Action::Grpc { port, service: String::new() }] {
        assert_eq!(answer(action).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn a_health_service_must_say_serving() {
    for (body, expected) in [
        (&[0, 0, 0, 0, 2, 8, 1][..], StatusCode::OK),
        (&[0, 0, 0, 0, 2, 8, 2], StatusCode::SERVICE_UNAVAILABLE),
        (&[0, 0, 0, 0, 0], StatusCode::SERVICE_UNAVAILABLE),
        (&[], StatusCode::SERVICE_UNAVAILABLE),
        (&[0; 100], StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let port = app(true, move |request| {
            assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
            status(200, body)
        })
        .await;
        let (found, text) = answer(Action::Grpc { port, service: "iris".into() }).await;
        assert_eq!(found, expected, "{body:?} {text}");
    }
}

#[tokio::test]
async fn an_application_that_hangs_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (found, text) = answer(get(port, "/")).await;
    assert!(found == StatusCode::SERVICE_UNAVAILABLE && text.contains("in time"), "{found} {text}");
}

#[tokio::test]
async fn who_asks_at_one_time_shares_one_probe() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let port = app(false, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        status(200, b"")
    })
    .await;
    let action = get(port, "/");
    let probe = AppProbe { container: "app".into(), kind: ProbeKind::Liveness, action, timeout: 1 };
    let probes = Arc::new(AppProbes::new(&[probe]));
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        let probes = Arc::clone(&probes);
        crowd.spawn(async move { probes.answer("/app-health/app/livez").await });
    }
    let answers = crowd.join_all().await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_some_and(|(found, _)| *found == StatusCode::OK)));
    assert!(calls.load(Ordering::SeqCst) < 25, "{} calls", calls.load(Ordering::SeqCst));
}
