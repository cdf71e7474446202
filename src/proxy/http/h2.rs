//! One accepted connection that speaks HTTP/2, over TLS or by prior knowledge.
//!
//! Every bound is set here, whatever the library's own is: each is one that somebody was once brought down by.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, header::CONNECTION};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep, sleep_until, timeout},
};

use super::{
    answer::Shape,
    body::AnswerBody,
    flow::{HEAD_TIMEOUT, IDLE_TIMEOUT},
    grpc,
    local::{Local, Streams},
    scan::MAX_HEAD,
    serve::{Drain, Handler},
};

/// The most requests at once on one connection.
const MAX_STREAMS: u32 = 100;
/// How much of one request's body may wait to be read, in bytes.
const STREAM_WINDOW: u32 = 256 << 10;
/// The same of all requests of a connection.
const CONNECTION_WINDOW: u32 = 1 << 20;
/// How much of one answer may wait to be sent, in bytes.
const SEND_BUFFER: usize = 64 << 10;
/// How many streams that were reset before they were looked at may wait (CVE-2023-44487).
const MAX_RESETS: usize = 20;
/// How many streams may be reset for the client's mistakes before the connection ends (CVE-2025-8671).
const MAX_MISTAKES: usize = 100;
/// How often a silent client is asked whether it is there, and how long its answer may take.
const PING: Duration = Duration::from_secs(20);

/// Serves a connection until it ends, is idle for too long, or is drained.
pub async fn serve<S>(stream: S, handler: Rc<impl Handler + 'static>, drain: &Drain)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let streams = Streams::new();
    let service = service_fn(|request| answer(Rc::clone(&handler), request));
    let connection = http2::Builder::new(Local::counting(&streams))
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_MISTAKES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let mut drained = pin!(drain.wait());
    let mut ending = Ending::new(&streams);
    let (mut draining, mut registered) = (false, false);
    poll_fn(|cx| {
        // Polled once, which registers this task; from then on the flag tells.
        let first = !std::mem::replace(&mut registered, true);
        if !draining && (drain.begun() || first && drained.as_mut().poll(cx).is_ready()) {
            draining = true;
            connection.as_mut().graceful_shutdown();
        }
        loop {
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            match ending.poll(&streams, cx) {
                Next::Wait => return Poll::Pending,
                Next::Tell => connection.as_mut().graceful_shutdown(),
                Next::Leave => return Poll::Ready(()),
            }
        }
    })
    .await;
}

async fn answer<H: Handler>(handler: Rc<H>, request: Request<Incoming>) -> Result<Response<AnswerBody>, Infallible> {
    let started = Instant::now();
    let is_call = grpc::is_call(request.version(), request.headers());
    let mut response = match timeout(handler.patience(), handler.handle(request, started)).await {
        Ok(response) => response,
        Err(_) if is_call => handler.too_slow().shaped(Shape::Grpc).into_response(),
        Err(_) => handler.too_slow().into_response(),
    };
    // What a refusal says of the connection is of this stream alone: a stream has one reading, and ends with its answer.
    response.headers_mut().remove(CONNECTION);
    Ok(response)
}

/// The end of a connection that nobody uses: first told, then cut.
struct Ending {
    sleep: Pin<Box<Sleep>>,
    /// The client was told, and may answer until then.
    cut_at: Option<Instant>,
}

enum Next {
    Wait,
    Tell,
    Leave,
}

impl Ending {
    fn new(streams: &Streams) -> Self {
        let first = streams.idle_since().unwrap_or_else(Instant::now) + IDLE_TIMEOUT;
        Self { sleep: Box::pin(sleep_until(first)), cut_at: None }
    }

    fn poll(&mut self, streams: &Streams, cx: &mut Context<'_>) -> Next {
        // One timer, looked at when it rings: what happened since then moves it on.
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = match (streams.idle_since(), self.cut_at) {
                (None, _) => now + IDLE_TIMEOUT,
                (Some(_), Some(cut_at)) => cut_at,
                (Some(since), None) => since + IDLE_TIMEOUT,
            };
            if due > now {
                self.sleep.as_mut().reset(due);
                continue;
            }
            if self.cut_at.is_some() {
                return Next::Leave;
            }
            self.cut_at = Some(now + HEAD_TIMEOUT);
            self.sleep.as_mut().reset(now + HEAD_TIMEOUT);
            return Next::Tell;
        }
        Next::Wait
    }
}
