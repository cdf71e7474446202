//! One probe, as the kubelet would make it.

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::core::{
    app_probe::Action,
    body::{grpc::framed, protobuf},
};

/// What the kubelet calls itself, in its manner: some servers keep such calls out of their logs.
const USER_AGENT: &str = "kube-probe/keywire";
/// The largest answer of a health service, in bytes.
const MAX_ANSWER: usize = 64;
/// `HealthCheckResponse{status: SERVING}` in its frame (`grpc.health.v1`).
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 0x08, 0x01];

/// Why a probe failed.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// Nobody listens.
    #[error("nobody listens on 127.0.0.1 at this port")]
    Refused,
    /// Not within the probe's time.
    #[error("no answer came in time")]
    TooSlow,
    /// Not what was asked for, or broken off.
    #[error("the answer is none of this protocol")]
    Broken,
    /// It does not feel well, as it says.
    #[error("the application answers with status {0}")]
    Status(StatusCode),
    /// The same over gRPC.
    #[error("the health service does not say SERVING")]
    NotServing,
}

/// Makes it.
pub async fn run(action: &Action) -> Result<(), ActionError> {
    match action {
        Action::TcpSocket { port } => connect(*port).await.map(drop),
        Action::HttpGet { port, path, headers } => get(*port, path, headers).await,
        Action::Grpc { port, service } => check(*port, service).await,
    }
}

async fn connect(port: u16) -> Result<TcpStream, ActionError> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|_| ActionError::Refused)
}

/// From 200 to 399 is good, as for the kubelet. It would follow a redirect within the pod; that one is given is enough.
async fn get(port: u16, path: &str, headers: &[(String, String)]) -> Result<(), ActionError> {
    let mut request = Request::get(path).header(header::USER_AGENT, USER_AGENT).header(header::ACCEPT, "*/*");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        request = request.header(header::HOST, format!("127.0.0.1:{port}"));
    }
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    let request = request.body(Full::<Bytes>::default()).map_err(|_| ActionError::Broken)?;
    let handshake = http1::handshake(TokioIo::new(connect(port).await?)).await;
    let (mut sender, connection) = handshake.map_err(|_| ActionError::Broken)?;
    let answering = async {
        let answer = sender.send_request(request).await.map_err(|_| ActionError::Broken)?;
        Ok(answer.status())
    };
    let status = beside(connection, answering).await?;
    if status.is_success() || status.is_redirection() { Ok(()) } else { Err(ActionError::Status(status)) }
}

/// gRPC's health checking protocol.
async fn check(port: u16, service: &str) -> Result<(), ActionError> {
    let message = if service.is_empty() { Vec::new() } else { protobuf::append(&[], 1, service) };
    let body = framed(&message).ok_or(ActionError::Broken)?;
    let request = Request::post(format!("http://127.0.0.1:{port}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, USER_AGENT)
        .body(Full::new(Bytes::from(body)))
        .map_err(|_| ActionError::Broken)?;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(connect(port).await?)).await;
    let (mut sender, connection) = handshake.map_err(|_| ActionError::Broken)?;
    let answering = async {
        let answer = sender.send_request(request).await.map_err(|_| ActionError::Broken)?;
        Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|_| ActionError::NotServing)
    };
    let answer = beside(connection, answering).await?;
    if answer.to_bytes() == SERVING { Ok(()) } else { Err(ActionError::NotServing) }
}

/// Drives a connection until the answer is there, and ends it then.
async fn beside<T>(
    connection: impl Future<Output = hyper::Result<()>>,
    answering: impl Future<Output = Result<T, ActionError>>,
) -> Result<T, ActionError> {
    let driving = async {
        // However it ends, the answer tells.
        let _ = connection.await;
        std::future::pending::<std::convert::Infallible>().await
    };
    tokio::select! {
        answer = answering => answer,
        never = driving => match never {},
    }
}
