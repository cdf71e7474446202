//! A client of HTTP/2: one that keeps the rules, and one that sends the very frames that it is given.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{body::Incoming, client::conn::http2::SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use super::client::Answer;

pub type Body = BoxBody<Bytes, std::io::Error>;

/// A connection that keeps the rules.
#[derive(Clone)]
pub struct Connection(SendRequest<Body>);

pub fn full(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into()).map_err(|never| match never {}).boxed()
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("connects")).await
    }

    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (sender, connection) = handshake.expect("shakes hands");
        tokio::spawn(async { drop(connection.await) });
        Self(sender)
    }

    pub async fn send(&mut self, request: Request<Body>) -> Option<Response<Incoming>> {
        self.0.send_request(request).await.ok()
    }

    /// A request with a JSON body; `token` without `Bearer`.
    pub async fn call(&mut self, method: &str, path: &str, token: Option<&str>, body: &str) -> Option<Answer> {
        let mut request = Request::builder().method(method).uri(format!("http://a{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.header("content-type", "application/json").body(full(body.to_owned()));
        let (head, body) = self.send(request.expect("a request")).await?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let headers = head.headers.iter();
        Some(Answer {
            status: head.status.as_u16(),
            headers: headers
                .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
                .collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    /// Whether the other side has ended the connection.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GO_AWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A connection that sends what it is given.
pub struct Raw {
    stream: TcpStream,
}

/// A frame that came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Raw {
    /// Preface and empty settings.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connects");
        let mut raw = Self { stream };
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        raw.frame(SETTINGS, 0, 0, &[]).await;
        raw
    }

    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    pub async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> bool {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.send(&[&head, payload].concat()).await
    }

    /// A request whose head is these fields, and which has no body.
    pub async fn request(&mut self, stream: u32, fields: &[(&str, &str)]) -> bool {
        self.frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields)).await
    }

    /// The next frame; `None`: the connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// How a stream ends: with the bytes of its answer's body, or reset; `None`: with the connection.
    pub async fn end(&mut self, stream: u32) -> Option<Result<String, u32>> {
        let mut body = Vec::new();
        loop {
            let frame = self.next().await?;
            match frame.kind {
                GO_AWAY => return None,
                RESET if frame.stream == stream => {
                    return Some(Err(u32::from_be_bytes(frame.payload[..4].try_into().expect("a code"))));
                }
                DATA if frame.stream == stream => body.extend_from_slice(&frame.payload),
                _ => {}
            }
            if frame.stream == stream && matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0 {
                return Some(Ok(String::from_utf8_lossy(&body).into_owned()));
            }
        }
    }
}

/// Fields as HPACK has them where it compresses nothing (RFC 7541 §6.2.2).
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(0);
        for text in [name, value] {
            length(&mut out, text.len());
            out.extend_from_slice(text.as_bytes());
        }
    }
    out
}

/// RFC 7541 §5.1, with seven bits in the first byte.
fn length(out: &mut Vec<u8>, length: usize) {
    if length < 127 {
        out.push(length as u8);
        return;
    }
    out.push(127);
    let mut rest = length - 127;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
}
