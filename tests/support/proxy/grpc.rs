//! An application that speaks gRPC: it gives back the messages that it got. And a client of it.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::{
    body::{Frame, Incoming},
    server::conn::http2,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};

use super::h2::{Body, Connection};

/// What the application got.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
    /// The call came to its end.
    pub ended: bool,
}

pub struct GrpcApp {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<JoinSet<()>>>,
    accepted: Arc<Mutex<usize>>,
}

impl GrpcApp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("address");
        let app = Self { address, seen: Arc::default(), connections: Arc::default(), accepted: Arc::default() };
        let (seen, connections, accepted) = (app.seen.clone(), app.connections.clone(), app.accepted.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                *accepted.lock().expect("lock") += 1;
                let service = service_fn(move |request| answer(request, Arc::clone(&seen)));
                connections.lock().expect("lock").spawn(async move {
                    let _ =
                        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        app
    }

    /// The calls that came through.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("lock").clone()
    }

    pub fn connections(&self) -> usize {
        *self.accepted.lock().expect("lock")
    }

    /// Ends every connection; new ones are taken.
    pub fn hang_up(&self) {
        self.connections.lock().expect("lock").abort_all();
    }
}

/// Echoes data as it comes; ends with the status zero, and with what nobody but the guard may say.
async fn answer(request: Request<Incoming>, seen: Arc<Mutex<Vec<Seen>>>) -> Result<Response<Echo>, Infallible> {
    let (parts, body) = request.into_parts();
    let at = {
        let mut seen = seen.lock().expect("lock");
        seen.push(Seen { path: parts.uri.path().to_owned(), headers: parts.headers, ..Seen::default() });
        seen.len() - 1
    };
    let response = Response::builder().header("content-type", "application/grpc").header("x-keywire-subject", "forged");
    Ok(response.body(Echo { body, seen, at, done: false }).expect("an answer"))
}

struct Echo {
    body: Incoming,
    seen: Arc<Mutex<Vec<Seen>>>,
    at: usize,
    done: bool,
}

impl hyper::body::Body for Echo {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        if this.done {
            return Poll::Ready(None);
        }
        loop {
            let frame = std::task::ready!(hyper::body::Body::poll_frame(Pin::new(&mut this.body), cx)?);
            let mut seen = this.seen.lock().expect("lock");
            let seen = &mut seen[this.at];
            match frame.map(Frame::into_data) {
                Some(Ok(data)) => {
                    seen.body.extend_from_slice(&data);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(frame)) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        seen.trailers = trailers;
                    }
                }
                None => {
                    seen.ended = true;
                    this.done = true;
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", HeaderValue::from_static("0"));
                    trailers.insert("x-keywire-reason", HeaderValue::from_static("forged"));
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            }
        }
    }
}

/// How a call ended.
#[derive(Debug)]
pub struct Ended {
    pub http: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

impl Ended {
    /// The status and the guard's reason, wherever they stand.
    pub fn told(&self) -> (&str, &str) {
        let text = |name: &str| {
            let value = self.trailers.get(name).or(self.headers.get(name));
            value.and_then(|value| value.to_str().ok()).unwrap_or_default()
        };
        (text("grpc-status"), text("x-keywire-reason"))
    }
}

/// A body fed by the test.
pub struct Fed(mpsc::UnboundedReceiver<Frame<Bytes>>);

pub fn fed() -> (mpsc::UnboundedSender<Frame<Bytes>>, Body) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, BodyExt::boxed(Fed(receiver)))
}

impl hyper::body::Body for Fed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.get_mut().0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

/// A request for a call.
pub fn request(path: &str, token: Option<&str>, body: Body) -> Request<Body> {
    let mut request = Request::builder().method("POST").uri(format!("http://a{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.header("content-type", "application/grpc").header("te", "trailers").body(body).expect("a request")
}

/// Sends a call and reads its answer to the end. `None`: the stream was reset.
pub async fn call(connection: &mut Connection, request: Request<Body>) -> Option<Ended> {
    let (head, body) = connection.send(request).await?.into_parts();
    let collected = body.collect().await.ok()?;
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let body = collected.to_bytes().to_vec();
    Some(Ended { http: head.status.as_u16(), headers: head.headers, body, trailers })
}

/// A message with its prefix.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("short").to_be_bytes();
    [&[0], &length[..], message].concat()
}

/// A field of bytes.
pub fn field(number: u8, value: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(value.len()).expect("short")], value].concat()
}
