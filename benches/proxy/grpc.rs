//! gRPC: a unary call through the guard beside a bare HTTP/2 hop, without TLS.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Body, Frame, Incoming},
    client::conn::http2::{self as client, SendRequest},
    rt::Executor,
    server::conn::http2 as server,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, LocalOptions},
    sync::{OnceCell, mpsc},
    task::spawn_local,
};

use crate::{
    Result,
    process::{Process, address},
    report::Report,
    scene::{Scene, THREADS, part},
};

/// Connections of the load, and calls at a time on each.
const CONNECTIONS: usize = 4;
const CALLS: usize = 4;
const PATH: &str = "/inference.GRPCInferenceService/ModelInfer";
/// A frame with a message of ours: field 1, `model_name`, is `iris`.
const MESSAGE: &[u8] = b"\0\0\0\0\x06\x0a\x04iris";

/// CPU per call of the hop and of the guard.
pub fn measure(scene: &Scene, report: &mut Report) -> Result<()> {
    report.part("CPU per request, gRPC unary");
    let app = part("grpc-app", &[])?;
    let hop = part("grpc-hop", &[&address(app.port).to_string(), &THREADS.to_string()])?;
    let mut policy = scene.policy("gRPC");
    policy["listeners"][0]["upstream"] = app.port.into();
    policy["rules"] =
        serde_json::json!([{"path": "/inference.GRPCInferenceService/**", "access": {"permission": "predict"}}]);
    policy["grants"][0]["models"] = serde_json::Value::Null;
    let guard = scene.guard("grpc", &policy, &[])?;
    let token = scene.fixture.token(0)?;
    let bare = least(scene, &hop, &token)?;
    report.figure("bare HTTP/2 hop", bare, "µs", None);
    thread::sleep(Duration::from_millis(300));
    if load(guard.port, &token, Duration::from_millis(100)).is_err() {
        report.skip("keywire", "this build does not serve gRPC");
        return Ok(());
    }
    let ours = least(scene, &guard, &token)?;
    report.figure(&format!("keywire ({:.2} × the bare hop)", ours / bare), ours, "µs", None);
    Ok(())
}

fn least(scene: &Scene, process: &Process, token: &str) -> Result<f64> {
    load(process.port, token, Duration::from_millis(300))?;
    let mut least = f64::INFINITY;
    for _ in 0..scene.bench.rounds {
        let before = process.cpu()?;
        let calls = load(process.port, token, Duration::from_secs_f64(scene.bench.seconds))?;
        least = least.min((process.cpu()? - before) / calls as f64 * 1e6);
    }
    Ok(least)
}

/// Calls for so long; how many were answered. One that fails ends it.
fn load(port: u16, token: &str, time: Duration) -> Result<u64> {
    let authorization = HeaderValue::try_from(format!("Bearer {token}"))?;
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    runtime.block_on(async {
        let until = Instant::now() + time;
        let mut callers = Vec::new();
        for _ in 0..CONNECTIONS {
            let sender: SendRequest<Full<Bytes>> = open(address(port)).await?;
            for _ in 0..CALLS {
                callers.push(spawn_local(calls(sender.clone(), port, authorization.clone(), until)));
            }
        }
        let mut count = 0;
        for caller in callers {
            count += caller.await??;
        }
        Ok(count)
    })
}

async fn calls(mut sender: SendRequest<Full<Bytes>>, port: u16, token: HeaderValue, until: Instant) -> Result<u64> {
    let mut count = 0;
    while Instant::now() < until {
        let request = Request::post(format!("http://{}{PATH}", address(port)))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", token.clone())
            .body(Full::new(Bytes::from_static(MESSAGE)))?;
        sender.ready().await?;
        let response = sender.send_request(request).await?;
        let (status, head) = (response.status(), response.headers().get("grpc-status").cloned());
        let body = response.into_body().collect().await?;
        let grpc = head.or_else(|| body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()));
        if status != 200 || grpc.as_ref().is_none_or(|code| code != "0") {
            return Err(format!("answered with {status}, grpc-status {grpc:?}").into());
        }
        count += 1;
    }
    Ok(count)
}

/// The hop: checks nothing, threaded as the proxy is, one connection to the server for each thread.
pub fn hop(listen: SocketAddr, upstream: SocketAddr, threads: usize) -> Result<()> {
    serve(listen, threads, move || {
        let sender = Rc::new(OnceCell::new());
        move |request: Request<Incoming>| {
            let sender = Rc::clone(&sender);
            async move {
                let mut sender: SendRequest<Incoming> =
                    sender.get_or_init(|| async { open(upstream).await.expect("the server listens") }).await.clone();
                let (mut parts, body) = request.into_parts();
                parts.uri = format!("http://{upstream}{}", parts.uri.path()).parse().expect("a URI");
                Ok(sender.send_request(Request::from_parts(parts, body)).await.expect("the server answers"))
            }
        }
    })
}

/// The server: reads the message and answers with one.
pub fn app(listen: SocketAddr) -> Result<()> {
    serve(listen, 1, || {
        |request: Request<Incoming>| async move {
            let _ = request.into_body().collect().await;
            let answer = Response::builder().header("content-type", "application/grpc").body(Unary::Message);
            Ok(answer.expect("an answer"))
        }
    })
}

/// Serves HTTP/2 on some threads, each with a service of its own.
fn serve<S, F, B>(listen: SocketAddr, threads: usize, make: impl Fn() -> S + Send + Clone + 'static) -> Result<()>
where
    S: Fn(Request<Incoming>) -> F + 'static,
    F: Future<Output = std::result::Result<Response<B>, Infallible>> + 'static,
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + 'static,
{
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let (sender, mut accepted) = mpsc::unbounded_channel::<std::net::TcpStream>();
            let make = make.clone();
            thread::spawn(move || -> Result<()> {
                let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
                let service = Rc::new(make());
                runtime.block_on(async {
                    while let Some(stream) = accepted.recv().await {
                        let (stream, service) = (TcpStream::from_std(stream)?, Rc::clone(&service));
                        let service = service_fn(move |request| service(request));
                        let connection = server::Builder::new(Here).serve_connection(TokioIo::new(stream), service);
                        spawn_local(async { drop(connection.await) });
                    }
                    Ok(())
                })
            });
            sender
        })
        .collect();
    Builder::new_current_thread().enable_io().build()?.block_on(async {
        let listener = TcpListener::bind(listen).await?;
        for turn in 0.. {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            workers[turn % threads].send(stream.into_std()?)?;
        }
        Ok(())
    })
}

async fn open<B>(to: SocketAddr) -> Result<SendRequest<B>>
where
    B: Body<Data = Bytes, Error: std::error::Error + Send + Sync> + Unpin + 'static,
{
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = client::handshake(Here, TokioIo::new(stream)).await?;
    spawn_local(async { drop(connection.await) });
    Ok(sender)
}

/// Runs hyper's tasks on this thread.
#[derive(Clone, Copy)]
struct Here;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Here {
    fn execute(&self, task: F) {
        spawn_local(task);
    }
}

/// The body of an answer: a message, then the trailers.
enum Unary {
    Message,
    Trailers,
    End,
}

impl Body for Unary {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, Infallible>>> {
        let (next, frame) = match *self {
            Self::Message => (Self::Trailers, Some(Frame::data(Bytes::from_static(MESSAGE)))),
            Self::Trailers => {
                let trailers = HeaderMap::from_iter([(
                    http::HeaderName::from_static("grpc-status"),
                    HeaderValue::from_static("0"),
                )]);
                (Self::End, Some(Frame::trailers(trailers)))
            }
            Self::End => (Self::End, None),
        };
        *self = next;
        Poll::Ready(frame.map(Ok))
    }
}
